"""Finite pools: rows that may be run, of which a campaign chooses."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)

from .metadata import METADATA, big, created, json, serial, whole, words

pools = Table(
    "pools",
    METADATA,
    serial("id", "Given once, never used again."),
    words("name", "What definitions call it."),
    whole("version", "Under its name, from 1, without gaps: the same name with other rows is the next."),
    words("sha256", "Of the file with its features, which is an artifact; campaigns keep to it."),
    big("size", "Of that file, bytes."),
    whole("rows", "How many there are."),
    json("columns", "Each feature's name, kind, and range or categories, in order."),
    words("actor", "Who uploaded it."),
    created(),
    UniqueConstraint("name", "version"),
    ForeignKeyConstraint(["sha256"], ["artifacts.sha256"]),
    CheckConstraint("version > 0", name="version"),
    CheckConstraint("rows > 0", name="rows"),
    Index("pools_sha256_index", "sha256"),
    comment="Uploaded pools. Append-only.",
)

pool_rows = Table(
    "pool_rows",
    METADATA,
    big(
        "pool_id", "The first pool that is kept in this file. No foreign key: a million checks at an upload."
    ),
    words("key", "The row's id."),
    whole("place", "Its row in the file, from 0."),
    json(
        "shown",
        "The features of its first columns, in order, as people see them; null where none are kept.",
        nullable=True,
    ),
    PrimaryKeyConstraint("pool_id", "key"),
    comment="Which rows a pool has, so that one that is staged is found by an index. Append-only.",
)
