"""Files of campaigns, and bytes of none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

HOT = {
    "fillfactor": 85,
    "autovacuum_vacuum_scale_factor": 0.01,
    "autovacuum_vacuum_threshold": 1000,
    "autovacuum_analyze_scale_factor": 0.02,
}


def create() -> None:
    op.create_table(
        "campaign_files",
        sa.Column("campaign_id", sa.BigInteger(), nullable=False, comment="Whose folder it lies in."),
        sa.Column("name", sa.Text(), nullable=False, comment="Within the folder; parts with / between them."),
        sa.Column(
            "revision",
            sa.BigInteger(),
            sa.Identity(),
            nullable=False,
            comment="Another one with every change; no other content of any file has it.",
        ),
        sa.Column(
            "before",
            sa.BigInteger(),
            nullable=True,
            comment="The revision that this one replaced; null where there was no such file.",
        ),
        sa.Column("sha256", sa.Text(), nullable=False, comment="Of the bytes."),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="Bytes."),
        sa.Column(
            "key",
            sa.Text(),
            nullable=False,
            comment="Where the bytes lie. Of this content alone: they are removed when it is replaced.",
        ),
        sa.Column("actor", sa.Text(), nullable=False, comment="Who wrote it."),
        sa.Column(
            "changed_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When it was last written.",
        ),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.CheckConstraint("size >= 0", name=op.f("campaign_files_size_check")),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("campaign_files_campaign_id_fk")
        ),
        sa.PrimaryKeyConstraint("campaign_id", "name", name=op.f("campaign_files_pk")),
        sa.UniqueConstraint("key", name=op.f("campaign_files_key_key")),
        comment="State that programs which drive a campaign keep here. Never evidence: replaced and removed at will.",
        postgresql_with=HOT,
    )
    op.create_table(
        "loose_files",
        sa.Column("key", sa.Text(), nullable=False, comment="Where bytes lie, or are about to."),
        sa.Column(
            "since",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When that became so.",
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("loose_files_pk")),
        comment="Bytes of no file, not yet or not any more: what a crash leaves is found here and removed.",
    )


def drop() -> None:
    op.drop_table("loose_files")
    op.drop_table("campaign_files")
