"""Models, suggestions, inquiries and the leases of learning."""

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
        "inquiries",
        sa.Column("id", sa.Uuid(), nullable=False, comment="Named by the one who asks."),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False, comment="About which."),
        sa.Column("kind", sa.Text(), nullable=False, comment="suggest, predict, validate or train."),
        sa.Column("request", JSONB(), nullable=True, comment="What is asked."),
        sa.Column("actor", sa.Text(), nullable=False, comment="Who asks."),
        sa.Column("state", sa.Text(), nullable=False, comment="open, running, answered, failed or expired."),
        sa.Column("answer", JSONB(), nullable=True, comment="Null until answered."),
        sa.Column(
            "message", sa.Text(), nullable=False, comment="What went wrong, in a sentence; empty otherwise."
        ),
        sa.Column("fence", sa.Integer(), nullable=False, comment="Rises with each worker that takes it."),
        sa.Column(
            "deadline",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="Unanswered after it, it expires.",
        ),
        sa.Column(
            "issued_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When its command was last sent; null if never.",
        ),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.CheckConstraint(
            "kind IN ('suggest', 'predict', 'validate', 'train')", name=op.f("inquiries_kind_check")
        ),
        sa.CheckConstraint(
            "state IN ('open', 'running', 'answered', 'failed', 'expired')",
            name=op.f("inquiries_state_check"),
        ),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("inquiries_campaign_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("inquiries_pk")),
        comment="Questions that need a model; forgotten some time after they ended.",
    )
    op.create_index(
        "inquiries_ended_index",
        "inquiries",
        ["deadline"],
        postgresql_where=sa.text("state IN ('answered', 'failed', 'expired')"),
    )
    op.create_index(
        "inquiries_due_index",
        "inquiries",
        ["created_at"],
        postgresql_where=sa.text("state IN ('open', 'running')"),
    )
    op.create_table(
        "jobs",
        sa.Column("campaign_id", sa.BigInteger(), nullable=False, comment="Whose."),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="train or suggest: one of each at a time per campaign."
        ),
        sa.Column(
            "done",
            sa.BigInteger(),
            nullable=False,
            comment="The data revision that it was last done for.",
        ),
        sa.Column("holder", sa.Text(), nullable=False, comment="The worker that has it; empty if none."),
        sa.Column(
            "fence",
            sa.Integer(),
            nullable=False,
            comment="Rises with each holder: what a stale one writes is refused.",
        ),
        sa.Column(
            "deadline",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="Of its holder's lease; null if none.",
        ),
        sa.Column(
            "issued_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When its command was last sent; null if never.",
        ),
        sa.Column("deaths", sa.Integer(), nullable=False, comment="Holders that died at this revision."),
        sa.Column("revision", sa.BigInteger(), nullable=False, comment="What the present holder works on."),
        sa.Column("error", sa.Text(), nullable=False, comment="What went wrong last; empty if nothing."),
        sa.Column(
            "learner",
            sa.Text(),
            nullable=False,
            comment="The user's own learner that had it last; empty: a worker.",
        ),
        sa.Column("work", JSONB(), nullable=True, comment="What that learner was asked; null otherwise."),
        sa.Column(
            "taken_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When that learner took it; null otherwise.",
        ),
        sa.CheckConstraint("kind IN ('train', 'suggest')", name=op.f("jobs_kind_check")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("jobs_campaign_id_fk")),
        sa.PrimaryKeyConstraint("campaign_id", "kind", name=op.f("jobs_pk")),
        comment="Single-flight leases of training and suggesting.",
    )
    op.create_table(
        "learners",
        sa.Column("campaign_id", sa.BigInteger(), nullable=False, comment="For whom it learns."),
        sa.Column("name", sa.Text(), nullable=False, comment="Of the user's own learner."),
        sa.Column(
            "holder",
            sa.Text(),
            nullable=False,
            comment="The one process that is asked; empty after it left.",
        ),
        sa.Column("trains", sa.Boolean(), nullable=False, comment="Has it a state to be trained?"),
        sa.Column("suggestions", sa.Integer(), nullable=False, comment="That were kept."),
        sa.Column(
            "failures",
            sa.Integer(),
            nullable=False,
            comment="Suggestions in a row that failed, were refused or never answered.",
        ),
        sa.Column("error", sa.Text(), nullable=False, comment="What went wrong last; empty if nothing."),
        sa.Column("failed_at", sa.TIMESTAMP(timezone=True), nullable=True, comment="When; null if never."),
        sa.Column(
            "seen_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When the process was last heard of; null if never.",
        ),
        sa.Column("versions", JSONB(), nullable=False, comment="Of its libraries, as it says."),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("learners_campaign_id_fk")),
        sa.PrimaryKeyConstraint("campaign_id", name=op.f("learners_pk")),
        postgresql_with=HOT,
        comment="Learners of users' own, in processes of their own.",
    )
    op.create_table(
        "models",
        sa.Column("campaign_id", sa.BigInteger(), nullable=False, comment="Whose."),
        sa.Column("version", sa.Integer(), nullable=False, comment="From 1."),
        sa.Column(
            "data_revision",
            sa.BigInteger(),
            nullable=False,
            comment="What it saw: every result up to this revision.",
        ),
        sa.Column("accepted", sa.BigInteger(), nullable=False, comment="Accepted results up to then."),
        sa.Column(
            "problem_version", sa.Integer(), nullable=False, comment="The problem that it was trained on."
        ),
        sa.Column("rows", sa.Integer(), nullable=False, comment="Training rows that it saw."),
        sa.Column("state", sa.LargeBinary(), nullable=False, comment="Its state, no pickle; at most 16 MB."),
        sa.Column("sha256", sa.Text(), nullable=False, comment="Of the state: checked before it is loaded."),
        sa.Column("metrics", JSONB(), nullable=False, comment="How well it fits."),
        sa.Column("device", sa.Text(), nullable=False, comment="Kind of device that trained it."),
        sa.Column("versions", JSONB(), nullable=False, comment="Of the libraries that trained it."),
        sa.Column("seconds", sa.Double(), nullable=False, comment="How long the training took."),
        sa.Column(
            "learner",
            sa.Text(),
            nullable=False,
            comment="The user's own learner that trained it; empty: ours.",
        ),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("models_campaign_id_fk")),
        sa.PrimaryKeyConstraint("campaign_id", "version", name=op.f("models_pk")),
        comment="Trained surrogates. Append-only.",
    )
    op.create_table(
        "suggestions",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False, comment="Given once."),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False, comment="Whose."),
        sa.Column(
            "number",
            sa.Integer(),
            nullable=False,
            comment="Within its campaign: with the seed, its only randomness.",
        ),
        sa.Column(
            "snapshot",
            JSONB(),
            nullable=False,
            comment="All that it is a pure function of; large parts by revision and version.",
        ),
        sa.Column(
            "snapshot_hash",
            sa.Text(),
            nullable=False,
            comment="Of the snapshot: computed again, it must be the same.",
        ),
        sa.Column(
            "candidates", JSONB(), nullable=False, comment="What came out, with reasons and expectations."
        ),
        sa.Column(
            "effort", JSONB(), nullable=False, comment="Iterations spent; says so where a deadline cut it."
        ),
        sa.Column("device", sa.Text(), nullable=False, comment="Kind of device."),
        sa.Column("versions", JSONB(), nullable=False, comment="Of the libraries."),
        sa.Column("data_revision", sa.BigInteger(), nullable=False, comment="What it saw."),
        sa.Column("model_version", sa.Integer(), nullable=False, comment="The model it used; 0: none."),
        sa.Column("seconds", sa.Double(), nullable=False, comment="How long it took."),
        sa.Column(
            "asked",
            sa.Integer(),
            nullable=False,
            comment="Candidates wanted, those among them that were staged already.",
        ),
        sa.Column(
            "brought",
            sa.Integer(),
            nullable=False,
            comment="Candidates that came: fewer where a finite space is used up.",
        ),
        sa.Column("in_flight", sa.Integer(), nullable=False, comment="Points that it knew as pending."),
        sa.Column(
            "gain",
            sa.Double(),
            nullable=True,
            comment="What its first was expected to improve the score by; null: no model.",
        ),
        sa.Column(
            "instead",
            sa.Text(),
            nullable=False,
            comment="Why it was not the strategy's own choice; empty: it was.",
        ),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("suggestions_campaign_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("suggestions_pk")),
        sa.UniqueConstraint("campaign_id", "number", name=op.f("suggestions_campaign_id_number_key")),
        comment="Suggestions and the snapshots they can be computed from again. Append-only.",
    )


def drop() -> None:
    op.drop_table("suggestions")
    op.drop_table("models")
    op.drop_table("learners")
    op.drop_table("jobs")
    op.drop_table("inquiries")
