"""Finite pools and their rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB


def create() -> None:
    op.create_table(
        "pools",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(), nullable=False, comment="Given once, never used again."
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="What definitions call it."),
        sa.Column(
            "version",
            sa.Integer(),
            nullable=False,
            comment="Under its name, from 1, without gaps: the same name with other rows is the next.",
        ),
        sa.Column(
            "sha256",
            sa.Text(),
            nullable=False,
            comment="Of the file with its features, which is an artifact; campaigns keep to it.",
        ),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="Of that file, bytes."),
        sa.Column("rows", sa.Integer(), nullable=False, comment="How many there are."),
        sa.Column(
            "columns",
            JSONB(),
            nullable=False,
            comment="Each feature's name, kind, and range or categories, in order.",
        ),
        sa.Column("actor", sa.Text(), nullable=False, comment="Who uploaded it."),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When the row was written, by the database's clock.",
        ),
        sa.CheckConstraint("version > 0", name=op.f("pools_version_check")),
        sa.CheckConstraint("rows > 0", name=op.f("pools_rows_check")),
        sa.ForeignKeyConstraint(["sha256"], ["artifacts.sha256"], name=op.f("pools_sha256_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("pools_pk")),
        sa.UniqueConstraint("name", "version", name=op.f("pools_name_version_key")),
        comment="Uploaded pools. Append-only.",
    )
    op.create_index("pools_sha256_index", "pools", ["sha256"])
    op.create_table(
        "pool_rows",
        sa.Column(
            "pool_id",
            sa.BigInteger(),
            nullable=False,
            comment="The first pool that is kept in this file. No foreign key: a million checks at an upload.",
        ),
        sa.Column("key", sa.Text(), nullable=False, comment="The row's id."),
        sa.Column("place", sa.Integer(), nullable=False, comment="Its row in the file, from 0."),
        sa.Column(
            "shown",
            JSONB(),
            nullable=True,
            comment="The features of its first columns, in order, as people see them; null where none are kept.",
        ),
        sa.PrimaryKeyConstraint("pool_id", "key", name=op.f("pool_rows_pk")),
        comment="Which rows a pool has, so that one that is staged is found by an index. Append-only.",
    )


def drop() -> None:
    op.drop_table("pool_rows")
    op.drop_table("pools")
