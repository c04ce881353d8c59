"""Owners, queues, campaigns and their versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB


def create() -> None:
    op.create_table(
        "actors",
        sa.Column("name", sa.Text(), nullable=False, comment="Who owns campaigns, as named in requests."),
        sa.Column("kind", sa.Text(), nullable=False, comment="person or system."),
        sa.Column(
            "weight",
            sa.Double(),
            nullable=False,
            comment="Share of each queue beside the other owners; 1 unless somebody set it.",
        ),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.CheckConstraint("kind IN ('person', 'system')", name=op.f("actors_kind_check")),
        sa.CheckConstraint("weight > 0", name=op.f("actors_weight_check")),
        sa.PrimaryKeyConstraint("name", name=op.f("actors_pk")),
        comment="Owners of campaigns. Fair share is first between them, then between each one's campaigns.",
    )
    op.create_table(
        "queues",
        sa.Column(
            "name",
            sa.Text(),
            nullable=False,
            comment="A kind of work; adapters subscribe by it. Never renamed.",
        ),
        sa.Column(
            "lease_seconds",
            sa.Double(),
            nullable=False,
            comment="Length of a lease; a heartbeat renews it in full.",
        ),
        sa.Column(
            "on_lost",
            sa.Text(),
            nullable=False,
            comment="What becomes of a started experiment whose holder fell silent: hold, requeue, probe.",
        ),
        sa.Column(
            "max_attempts",
            sa.Integer(),
            nullable=False,
            comment="Attempts that count (started and lost, or failed) before an experiment fails.",
        ),
        sa.Column(
            "people",
            sa.Boolean(),
            nullable=False,
            comment="People serve it: leases of days, without heartbeat.",
        ),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="active, paused (no claims) or draining (no staging)."
        ),
        sa.Column(
            "reason", sa.Text(), nullable=False, comment="Why it is paused or draining; empty while active."
        ),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.CheckConstraint("on_lost IN ('hold', 'requeue', 'probe')", name=op.f("queues_on_lost_check")),
        sa.CheckConstraint("state IN ('active', 'paused', 'draining')", name=op.f("queues_state_check")),
        sa.CheckConstraint("lease_seconds > 0", name=op.f("queues_lease_seconds_check")),
        sa.CheckConstraint("max_attempts > 0", name=op.f("queues_max_attempts_check")),
        sa.PrimaryKeyConstraint("name", name=op.f("queues_pk")),
        comment="Kinds of work and their policies. Many campaigns feed one, many instruments serve it.",
    )
    op.create_table(
        "campaigns",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(), nullable=False, comment="Given once, never used again."
        ),
        sa.Column(
            "name",
            sa.Text(),
            nullable=False,
            comment="Unique, never renamed: experiments and their codes carry it.",
        ),
        sa.Column("queue", sa.Text(), nullable=False, comment="Where its experiments are staged."),
        sa.Column("owner", sa.Text(), nullable=False, comment="Whose share of the queue it uses."),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="active, paused (no staging, no claims) or finished (results are still taken).",
        ),
        sa.Column(
            "reason", sa.Text(), nullable=False, comment="Why it is paused or finished; empty while active."
        ),
        sa.Column(
            "problem",
            JSONB(),
            nullable=False,
            comment="The problem as it is now, as labqueue.problem writes it.",
        ),
        sa.Column(
            "problem_version",
            sa.Integer(),
            nullable=False,
            comment="Number of that problem in campaign_versions.",
        ),
        sa.Column(
            "strategy",
            JSONB(),
            nullable=False,
            comment="The strategy as it is now, as labqueue.strategy writes it.",
        ),
        sa.Column(
            "strategy_version",
            sa.Integer(),
            nullable=False,
            comment="Number of that strategy in campaign_versions.",
        ),
        sa.Column(
            "weight", sa.Double(), nullable=False, comment="Share beside the same owner's other campaigns."
        ),
        sa.Column(
            "seed",
            sa.BigInteger(),
            nullable=False,
            comment="With the number of a suggestion, its only randomness.",
        ),
        sa.Column(
            "next_number",
            sa.Integer(),
            nullable=False,
            comment="Number of the next experiment; rises under the campaign's lock, without gaps.",
        ),
        sa.Column(
            "next_suggestion",
            sa.Integer(),
            nullable=False,
            comment="Number of the next suggestion; rises under the campaign's lock.",
        ),
        sa.Column(
            "finish_tag",
            sa.Double(),
            nullable=False,
            comment="Virtual time at which its last staged experiment would end; never falls.",
        ),
        sa.Column(
            "resumed_completed",
            sa.BigInteger(),
            nullable=False,
            comment="Experiments completed when it was finished and resumed; -1: never was.",
        ),
        sa.Column(
            "request_hash",
            sa.Text(),
            nullable=False,
            comment="Of the request that created it: the same again is one effect.",
        ),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.Column(
            "finished_at", sa.TIMESTAMP(timezone=True), nullable=True, comment="Null until it is finished."
        ),
        sa.CheckConstraint("state IN ('active', 'paused', 'finished')", name=op.f("campaigns_state_check")),
        sa.CheckConstraint("weight > 0", name=op.f("campaigns_weight_check")),
        sa.ForeignKeyConstraint(["owner"], ["actors.name"], name=op.f("campaigns_owner_fk")),
        sa.ForeignKeyConstraint(["queue"], ["queues.name"], name=op.f("campaigns_queue_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("campaigns_pk")),
        sa.UniqueConstraint("name", name=op.f("campaigns_name_key")),
        comment="A problem, a strategy and the history between them.",
    )
    op.create_index(
        "campaigns_queue_index", "campaigns", ["queue"], postgresql_where=sa.text("state <> 'finished'")
    )
    op.create_table(
        "campaign_progress",
        sa.Column(
            "campaign_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Every campaign has exactly one row here.",
        ),
        sa.Column(
            "data_revision",
            sa.BigInteger(),
            nullable=False,
            comment="Number of the last event that changed what training may use; never falls.",
        ),
        sa.Column(
            "accepted",
            sa.BigInteger(),
            nullable=False,
            comment="Accepted results among the numbered events; falls when one is withdrawn.",
        ),
        sa.Column(
            "model_version",
            sa.Integer(),
            nullable=False,
            comment="Of the newest model; 0 while there is none.",
        ),
        sa.Column(
            "model_revision",
            sa.BigInteger(),
            nullable=False,
            comment="The data revision that this model saw.",
        ),
        sa.Column(
            "model_accepted",
            sa.BigInteger(),
            nullable=False,
            comment="What `accepted` was when this model was trained.",
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaigns.id"],
            name=op.f("campaign_progress_campaign_id_fk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("campaign_id", name=op.f("campaign_progress_pk")),
        comment="What numbering and training write. Apart from campaigns, so that neither ever waits for a staging.",
    )
    op.create_table(
        "campaign_versions",
        sa.Column("campaign_id", sa.BigInteger(), nullable=False, comment="Whose."),
        sa.Column("kind", sa.Text(), nullable=False, comment="problem or strategy."),
        sa.Column("number", sa.Integer(), nullable=False, comment="From 1, without gaps."),
        sa.Column("body", JSONB(), nullable=False, comment="The definition as it was; never changed."),
        sa.Column("actor", sa.Text(), nullable=False, comment="Who set it."),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why."),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.CheckConstraint("kind IN ('problem', 'strategy')", name=op.f("campaign_versions_kind_check")),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("campaign_versions_campaign_id_fk")
        ),
        sa.PrimaryKeyConstraint("campaign_id", "kind", "number", name=op.f("campaign_versions_pk")),
        comment="Every problem and strategy that a campaign ever had. Append-only.",
    )


def drop() -> None:
    op.drop_table("campaign_versions")
    op.drop_table("campaign_progress")
    op.drop_table("campaigns")
    op.drop_table("queues")
    op.drop_table("actors")
