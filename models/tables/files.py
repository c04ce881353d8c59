"""Files of campaigns: named, replaced whole; their bytes lie elsewhere, each under a key of its own."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Identity,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)

from .metadata import CLOCK, HOT, METADATA, big, created, time, words

campaign_files = Table(
    "campaign_files",
    METADATA,
    big("campaign_id", "Whose folder it lies in."),
    words("name", "Within the folder; parts with / between them."),
    big("revision", "Another one with every change; no other content of any file has it.", Identity()),
    big("before", "The revision that this one replaced; null where there was no such file.", nullable=True),
    words("sha256", "Of the bytes."),
    big("size", "Bytes."),
    words("key", "Where the bytes lie. Of this content alone: they are removed when it is replaced."),
    words("actor", "Who wrote it."),
    time("changed_at", "When it was last written.", nullable=False, server_default=CLOCK),
    created(),
    PrimaryKeyConstraint("campaign_id", "name"),
    UniqueConstraint("key"),
    ForeignKeyConstraint(["campaign_id"], ["campaigns.id"]),
    CheckConstraint("size >= 0", name="size"),
    postgresql_with=HOT,
    comment="State that programs which drive a campaign keep here. Never evidence: replaced and removed at will.",
)

loose_files = Table(
    "loose_files",
    METADATA,
    words("key", "Where bytes lie, or are about to.", primary_key=True),
    time("since", "When that became so.", nullable=False, server_default=CLOCK),
    comment="Bytes of no file, not yet or not any more: what a crash leaves is found here and removed.",
)
