"""Instruments, outbox, tokens, files, webhooks, signs of life."""

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
        "artifacts",
        sa.Column("sha256", sa.Text(), nullable=False, comment="Of the bytes: the same bytes twice are one."),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="Bytes."),
        sa.Column("media_type", sa.Text(), nullable=False, comment="As sent."),
        sa.Column("actor", sa.Text(), nullable=False, comment="Who sent it first."),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.CheckConstraint("size >= 0", name=op.f("artifacts_size_check")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("artifacts_pk")),
        comment="Files that are kept; the bytes lie elsewhere under the same name.",
    )
    op.create_table(
        "documents",
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(),
            nullable=False,
            comment="The order in which they were first put.",
        ),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="What it is; the edge that keeps such documents chose the word.",
        ),
        sa.Column(
            "parent", sa.Text(), nullable=False, comment="Of which it is a part; documents are listed by it."
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="Within kind and parent."),
        sa.Column("body", JSONB(), nullable=False, comment="Whatever the edge keeps."),
        sa.Column(
            "changed_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When it was last put.",
        ),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("documents_pk")),
        sa.UniqueConstraint("kind", "parent", "name", name=op.f("documents_kind_parent_name_key")),
        comment="What an edge remembers beside the flow, such as the sessions of a front.",
        postgresql_with=HOT,
    )
    op.create_table(
        "instruments",
        sa.Column("name", sa.Text(), nullable=False, comment="Named by the lab; outlives its adapters."),
        sa.Column(
            "queue", sa.Text(), nullable=False, comment="What it serves; empty before its first claim."
        ),
        sa.Column(
            "adapter",
            sa.Text(),
            nullable=False,
            comment="The incarnation that serves it: one live adapter each.",
        ),
        sa.Column("state", sa.Text(), nullable=False, comment="active or paused."),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why it is paused; empty while active."),
        sa.Column(
            "blocked_by",
            sa.BigInteger(),
            nullable=True,
            comment="The held experiment that a person must clear first.",
        ),
        sa.Column("failures", sa.Integer(), nullable=False, comment="Failed runs in a row."),
        sa.Column("failure_limit", sa.Integer(), nullable=False, comment="So many in a row pause it."),
        sa.Column(
            "last_seen",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When its adapter last called; null if never.",
        ),
        sa.Column(
            "asks",
            sa.Integer(),
            nullable=False,
            comment="Experiments that its adapter last asked for at once.",
        ),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.CheckConstraint("state IN ('active', 'paused')", name=op.f("instruments_state_check")),
        sa.CheckConstraint("failure_limit > 0", name=op.f("instruments_failure_limit_check")),
        sa.PrimaryKeyConstraint("name", name=op.f("instruments_pk")),
        comment="Devices, clusters and people that do the work; forgotten a long time after they were last heard of.",
        postgresql_with=HOT,
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False, comment="Of the duty."),
        sa.Column("holder", sa.Text(), nullable=False, comment="The process that has it."),
        sa.Column(
            "deadline", sa.TIMESTAMP(timezone=True), nullable=False, comment="Another may take it after this."
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("leases_pk")),
        comment="Duties that one process at a time does.",
    )
    op.create_table(
        "liveness",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False, comment="Always 1."),
        sa.Column(
            "stamped_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="When an API process last said that it is there.",
        ),
        sa.CheckConstraint("id = 1", name=op.f("liveness_single_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("liveness_pk")),
        comment="One row: our own downtime, which costs no holder its lease, is read from it.",
        postgresql_with=HOT,
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False, comment="The order of publication."),
        sa.Column("queue", sa.Text(), nullable=False, comment="Whose stream it goes to."),
        sa.Column("kind", sa.Text(), nullable=False, comment="batch or withdrawn."),
        sa.Column("body", JSONB(), nullable=False, comment="The entry."),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When it was written.",
        ),
        sa.CheckConstraint("kind IN ('batch', 'withdrawn')", name=op.f("outbox_kind_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("outbox_pk")),
        comment="Entries not yet published, written with what they announce; deleted once published.",
        postgresql_with=HOT,
    )
    op.create_table(
        "stream_epochs",
        sa.Column("queue", sa.Text(), nullable=False, comment="Whose stream."),
        sa.Column(
            "epoch",
            sa.Text(),
            nullable=False,
            comment="In which it was last filled: another one means publish again.",
        ),
        sa.Column(
            "set_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When.",
        ),
        sa.PrimaryKeyConstraint("queue", name=op.f("stream_epochs_pk")),
        comment="Which life of Redis each stream was filled in.",
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.Uuid(), nullable=False, comment="Names it for revocation."),
        sa.Column("name", sa.Text(), nullable=False, comment="Whose or what for."),
        sa.Column("prefix", sa.Text(), nullable=False, comment="The part that finds it."),
        sa.Column(
            "sha256",
            sa.Text(),
            nullable=False,
            comment="Of the whole token, which is shown once and stored nowhere.",
        ),
        sa.Column(
            "scopes", sa.ARRAY(sa.Text()), nullable=False, comment="queue:NAME, campaign:NAME or admin."
        ),
        sa.Column("expires_at", sa.TIMESTAMP(timezone=True), nullable=True, comment="Null: never."),
        sa.Column("revoked_at", sa.TIMESTAMP(timezone=True), nullable=True, comment="Null while it works."),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("tokens_pk")),
        sa.UniqueConstraint("prefix", name=op.f("tokens_prefix_key")),
        comment="Bearer tokens, hashed; forgotten a long time after they ended.",
    )
    op.create_table(
        "workers",
        sa.Column("kind", sa.Text(), nullable=False, comment="janitor, trainer, suggester, ..."),
        sa.Column("holder", sa.Text(), nullable=False, comment="The process."),
        sa.Column(
            "beat_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="When it last said that it is there.",
        ),
        sa.Column("info", JSONB(), nullable=False, comment="What it says about itself."),
        sa.PrimaryKeyConstraint("kind", "holder", name=op.f("workers_pk")),
        comment="Worker processes; forgotten after a day.",
        postgresql_with=HOT,
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False, comment="Names it."),
        sa.Column("url", sa.Text(), nullable=False, comment="Who is told."),
        sa.Column("types", sa.ARRAY(sa.Text()), nullable=False, comment="Types of events; empty: all."),
        sa.Column(
            "campaign_id", sa.BigInteger(), nullable=True, comment="Only about this one; null: about all."
        ),
        sa.Column("secret", sa.Text(), nullable=False, comment="Signs what is sent."),
        sa.Column("cursor", sa.BigInteger(), nullable=False, comment="Number of the last event delivered."),
        sa.Column("failures", sa.Integer(), nullable=False, comment="Failed deliveries in a row."),
        sa.Column(
            "retry_at", sa.TIMESTAMP(timezone=True), nullable=True, comment="Not before; null: at once."
        ),
        sa.Column("state", sa.Text(), nullable=False, comment="active or paused."),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.CheckConstraint("state IN ('active', 'paused')", name=op.f("webhooks_state_check")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("webhooks_campaign_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("webhooks_pk")),
        comment="URLs that hear of events.",
    )


def drop() -> None:
    op.drop_table("webhooks")
    op.drop_table("workers")
    op.drop_table("tokens")
    op.drop_table("stream_epochs")
    op.drop_table("outbox")
    op.drop_table("liveness")
    op.drop_table("leases")
    op.drop_table("instruments")
    op.drop_table("documents")
    op.drop_table("artifacts")
