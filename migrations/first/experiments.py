"""Experiments, attempts and the keys of requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

HOT = {
    "fillfactor": 85,
    "autovacuum_vacuum_scale_factor": 0.01,
    "autovacuum_vacuum_threshold": 1000,
    "autovacuum_analyze_scale_factor": 0.02,
}


def create() -> None:
    op.create_table(
        "claims",
        sa.Column(
            "key",
            sa.Text(),
            nullable=False,
            comment="The adapter's incarnation and counter: asked again, it returns the same.",
        ),
        sa.Column("instrument", sa.Text(), nullable=False, comment="Who asked."),
        sa.Column(
            "request_hash",
            sa.Text(),
            nullable=False,
            comment="Of what was asked: another body under this key is refused.",
        ),
        sa.Column("attempts", sa.ARRAY(sa.Uuid()), nullable=False, comment="What it was given."),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("claims_pk")),
        comment="Claims that gave something, by their keys; forgotten some time after the last of their leases ended.",
    )
    op.create_index("claims_created_index", "claims", ["created_at"])
    op.create_table(
        "experiments",
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(),
            nullable=False,
            comment="Given once, never used again; rows are locked in its order.",
        ),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False, comment="Whose."),
        sa.Column("campaign", sa.Text(), nullable=False, comment="The campaign's name, which never changes."),
        sa.Column(
            "queue", sa.Text(), nullable=False, comment="The campaign's queue: part of the claim's index."
        ),
        sa.Column("number", sa.Integer(), nullable=False, comment="Within its campaign, from 1."),
        sa.Column(
            "code",
            sa.Text(),
            nullable=False,
            comment="campaign-number: what people say and write on labels. Unique.",
        ),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="Where it stands; moves only as models.domain.lifecycle allows.",
        ),
        sa.Column("priority", sa.Integer(), nullable=False, comment="Claims take the highest first."),
        sa.Column(
            "tag",
            sa.Double(),
            nullable=False,
            comment="Virtual time stamped when staged: the stored order within a priority.",
        ),
        sa.Column(
            "origin",
            sa.Text(),
            nullable=False,
            comment="Who chose it: suggester, person (or a program of theirs), design.",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why, in a sentence."),
        sa.Column(
            "problem_version",
            sa.Integer(),
            nullable=False,
            comment="The problem that it was checked against.",
        ),
        sa.Column(
            "planned",
            JSONB(),
            nullable=True,
            comment="Parameters in lab units; null for an opaque item. No value is ever changed.",
        ),
        sa.Column(
            "payload",
            JSONB(),
            nullable=True,
            comment="What an opaque item carries; null otherwise. Never changed.",
        ),
        sa.Column(
            "row", sa.Text(), nullable=True, comment="Key of the row of a finite pool; null otherwise."
        ),
        sa.Column(
            "batch",
            sa.Uuid(),
            nullable=True,
            comment="The staging request that it came with; null if proposed by a worker.",
        ),
        sa.Column(
            "suggestion_id",
            sa.BigInteger(),
            nullable=True,
            comment="The suggestion that chose it; null if nobody suggested it.",
        ),
        sa.Column(
            "model_version", sa.Integer(), nullable=False, comment="The model that last judged it; 0: none."
        ),
        sa.Column(
            "known",
            sa.Integer(),
            nullable=True,
            comment="Accepted results known when a model last judged it; null if a person chose it.",
        ),
        sa.Column(
            "expected",
            JSONB(),
            nullable=False,
            comment="What the last model to judge it expected, {output: {mean, sd}}, lab units; kept for ever.",
        ),
        sa.Column(
            "pinned",
            sa.Boolean(),
            nullable=False,
            comment="A person wants it kept: no better candidate takes its place.",
        ),
        sa.Column(
            "approved_by", sa.Text(), nullable=True, comment="Who approved it; null if nobody had to or did."
        ),
        sa.Column(
            "ready",
            sa.Boolean(),
            nullable=False,
            comment="False while its campaign is paused: the claim's index leaves it out.",
        ),
        sa.Column(
            "expires_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="Use-by date: unclaimed after it, it expires. Null: never.",
        ),
        sa.Column(
            "attempt",
            sa.Uuid(),
            nullable=True,
            comment="Whose lease is live, or about which a person decides.",
        ),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="Attempts so far."),
        sa.Column(
            "counted", sa.Integer(), nullable=False, comment="Those that count: started and lost, or failed."
        ),
        sa.Column("fence", sa.Integer(), nullable=False, comment="Rises with every lease; never falls."),
        sa.Column(
            "cancel_wished",
            sa.Boolean(),
            nullable=False,
            comment="Its holder is asked to stop; the holder confirms.",
        ),
        sa.Column(
            "held_reason", sa.Text(), nullable=False, comment="What a person must decide; empty unless held."
        ),
        sa.Column(
            "outcome",
            sa.Text(),
            nullable=True,
            comment="What its accepted result says; null until there is one.",
        ),
        sa.Column(
            "outstanding",
            sa.ARRAY(sa.Text()),
            nullable=False,
            comment="Outputs that follow; empty unless partial.",
        ),
        sa.Column(
            "staleness",
            sa.Integer(),
            nullable=True,
            comment="Accepted results since it was last judged, when it was claimed.",
        ),
        sa.Column(
            "staged_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When it became claimable; null until then.",
        ),
        sa.Column(
            "finished_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When it reached a final state; null until then.",
        ),
        sa.Column(
            "dismissed_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When a person had seen that it failed; null again once something new happens to it.",
        ),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.CheckConstraint(
            "origin IN ('suggester', 'person', 'design')", name=op.f("experiments_origin_check")
        ),
        sa.CheckConstraint(
            "outcome IS NULL OR outcome IN ('measured', 'infeasible', 'suspect')",
            name=op.f("experiments_outcome_check"),
        ),
        sa.CheckConstraint(
            "state IN ('proposed', 'staged', 'leased', 'partial', 'held', 'completed', 'failed', 'cancelled', 'superseded', 'expired')",
            name=op.f("experiments_state_check"),
        ),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("experiments_campaign_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("experiments_pk")),
        sa.UniqueConstraint("campaign_id", "number", name=op.f("experiments_campaign_id_number_key")),
        sa.UniqueConstraint("code", name=op.f("experiments_code_key")),
        comment="Points to be run.",
        postgresql_with=HOT,
    )
    op.create_index("experiments_campaign_state_index", "experiments", ["campaign_id", "state", "id"])
    op.create_index(
        "experiments_row_index",
        "experiments",
        ["campaign_id", "row"],
        postgresql_where=sa.text('"row" IS NOT NULL'),
    )
    op.create_index(
        "experiments_claim_index",
        "experiments",
        ["queue", sa.literal_column("priority DESC"), "tag", "id"],
        postgresql_where=sa.text("state = 'staged' AND ready"),
    )
    op.create_index(
        "experiments_open_index",
        "experiments",
        ["queue", "state"],
        postgresql_where=sa.text("state IN ('proposed', 'staged', 'leased', 'held', 'partial', 'failed')"),
    )
    op.create_index(
        "experiments_drawn_index",
        "experiments",
        ["campaign_id"],
        postgresql_where=sa.text("origin = 'design'"),
    )
    op.create_index(
        "experiments_expiry_index",
        "experiments",
        ["expires_at"],
        postgresql_where=sa.text("expires_at IS NOT NULL AND state IN ('staged', 'proposed')"),
    )
    op.create_table(
        "staged_batches",
        sa.Column("id", sa.Uuid(), nullable=False, comment="Names the batch in the queue's stream."),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False, comment="Where it was staged."),
        sa.Column("key", sa.Text(), nullable=False, comment="The caller's key, unique within the campaign."),
        sa.Column(
            "request_hash",
            sa.Text(),
            nullable=False,
            comment="Of what was staged: another body under this key is refused.",
        ),
        sa.Column(
            "experiments",
            sa.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="What it became, in the order of the request.",
        ),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("staged_batches_campaign_id_fk")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("staged_batches_pk")),
        sa.UniqueConstraint("campaign_id", "key", name=op.f("staged_batches_campaign_id_key_key")),
        comment="Staging requests, by their keys.",
    )
    op.create_table(
        "attempts",
        sa.Column(
            "id",
            sa.Uuid(),
            nullable=False,
            comment="Named before it starts; a device may keep it as its own key.",
        ),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False, comment="What is run."),
        sa.Column("number", sa.Integer(), nullable=False, comment="Within its experiment, from 1."),
        sa.Column("queue", sa.Text(), nullable=False, comment="Where it was claimed."),
        sa.Column(
            "instrument",
            sa.Text(),
            nullable=False,
            comment="Who runs it; names outlive the adapters, so no foreign key.",
        ),
        sa.Column(
            "adapter", sa.Text(), nullable=False, comment="The incarnation of the adapter that claimed it."
        ),
        sa.Column(
            "fence",
            sa.Integer(),
            nullable=False,
            comment="Of its lease: start, renewal, release and failure must show it.",
        ),
        sa.Column("lease_seconds", sa.Double(), nullable=False, comment="Length of its lease."),
        sa.Column("state", sa.Text(), nullable=False, comment="claimed, started or ended; never goes back."),
        sa.Column("end", sa.Text(), nullable=True, comment="How it ended; null while it lives."),
        sa.Column(
            "reason", sa.Text(), nullable=False, comment="Why it ended so, or what its adapter last said."
        ),
        sa.Column(
            "counts", sa.Boolean(), nullable=False, comment="It counts against the queue's max_attempts."
        ),
        sa.Column(
            "probing",
            sa.Boolean(),
            nullable=False,
            comment="The adapter of that name is asked what became of it.",
        ),
        sa.Column(
            "silent",
            sa.Boolean(),
            nullable=False,
            comment="Its deadline passed and the janitor has seen it; nobody has decided yet.",
        ),
        sa.Column("run_ref", sa.Text(), nullable=True, comment="The device's own name for the run."),
        sa.Column(
            "deadline",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="A passed one takes nothing away by itself.",
        ),
        sa.Column("claimed_at", sa.TIMESTAMP(timezone=True), nullable=False, comment="When."),
        sa.Column(
            "started_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="Null until the adapter said that it starts.",
        ),
        sa.Column("ended_at", sa.TIMESTAMP(timezone=True), nullable=True, comment="Null while it lives."),
        sa.CheckConstraint("state IN ('claimed', 'started', 'ended')", name=op.f("attempts_state_check")),
        sa.CheckConstraint(
            "\"end\" IS NULL OR \"end\" IN ('completed', 'partial', 'released', 'failed', 'lost', 'cancelled', 'not_needed', 'decided')",
            name=op.f("attempts_end_check"),
        ),
        sa.CheckConstraint("(state = 'ended') = (\"end\" IS NOT NULL)", name=op.f("attempts_ended_check")),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("attempts_experiment_id_fk")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("attempts_pk")),
        sa.UniqueConstraint("experiment_id", "number", name=op.f("attempts_experiment_id_number_key")),
        comment="Leases and what became of them. Kept for ever.",
        postgresql_with=HOT,
    )
    op.create_index(
        "attempts_deadline_index",
        "attempts",
        ["deadline"],
        postgresql_where=sa.text("state <> 'ended' AND NOT silent"),
    )
    op.create_index(
        "attempts_instrument_index", "attempts", ["instrument"], postgresql_where=sa.text("state <> 'ended'")
    )


def drop() -> None:
    op.drop_table("attempts")
    op.drop_table("staged_batches")
    op.drop_table("experiments")
    op.drop_table("claims")
