"""What keeps the loop going: instruments, outbox, tokens, files, webhooks, signs of life."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from .metadata import CLOCK, HOT, METADATA, big, created, json, many, one_of, serial, time, uuid, whole, words

instruments = Table(
    "instruments",
    METADATA,
    words("name", "Named by the lab; outlives its adapters.", primary_key=True),
    words("queue", "What it serves; empty before its first claim."),
    words("adapter", "The incarnation that serves it: one live adapter each."),
    words("state", "active or paused."),
    words("reason", "Why it is paused; empty while active."),
    big("blocked_by", "The held experiment that a person must clear first.", nullable=True),
    whole("failures", "Failed runs in a row."),
    whole("failure_limit", "So many in a row pause it."),
    time("last_seen", "When its adapter last called; null if never."),
    whole("asks", "Experiments that its adapter last asked for at once."),
    created(),
    one_of("state", ["active", "paused"]),
    CheckConstraint("failure_limit > 0", name="failure_limit"),
    postgresql_with=HOT,
    comment="Devices, clusters and people that do the work; forgotten a long time after they were last heard of.",
)

outbox = Table(
    "outbox",
    METADATA,
    serial("id", "The order of publication."),
    words("queue", "Whose stream it goes to."),
    words("kind", "batch or withdrawn."),
    json("body", "The entry."),
    time("created_at", "When it was written.", nullable=False, server_default=CLOCK),
    one_of("kind", ["batch", "withdrawn"]),
    postgresql_with=HOT,
    comment="Entries not yet published, written with what they announce; deleted once published.",
)

stream_epochs = Table(
    "stream_epochs",
    METADATA,
    words("queue", "Whose stream.", primary_key=True),
    words("epoch", "In which it was last filled: another one means publish again."),
    time("set_at", "When.", nullable=False, server_default=CLOCK),
    comment="Which life of Redis each stream was filled in.",
)

tokens = Table(
    "tokens",
    METADATA,
    uuid("id", "Names it for revocation.", primary_key=True),
    words("name", "Whose or what for."),
    words("prefix", "The part that finds it.", unique=True),
    words("sha256", "Of the whole token, which is shown once and stored nowhere."),
    many("scopes", Text, "queue:NAME, campaign:NAME or admin."),
    time("expires_at", "Null: never."),
    time("revoked_at", "Null while it works."),
    created(),
    comment="Bearer tokens, hashed; forgotten a long time after they ended.",
)

artifacts = Table(
    "artifacts",
    METADATA,
    words("sha256", "Of the bytes: the same bytes twice are one.", primary_key=True),
    big("size", "Bytes."),
    words("media_type", "As sent."),
    words("actor", "Who sent it first."),
    created(),
    CheckConstraint("size >= 0", name="size"),
    comment="Files that are kept; the bytes lie elsewhere under the same name.",
)

webhooks = Table(
    "webhooks",
    METADATA,
    uuid("id", "Names it.", primary_key=True),
    words("url", "Who is told."),
    many("types", Text, "Types of events; empty: all."),
    big("campaign_id", "Only about this one; null: about all.", nullable=True),
    words("secret", "Signs what is sent."),
    big("cursor", "Number of the last event delivered."),
    whole("failures", "Failed deliveries in a row."),
    time("retry_at", "Not before; null: at once."),
    words("state", "active or paused."),
    created(),
    ForeignKeyConstraint(["campaign_id"], ["campaigns.id"]),
    one_of("state", ["active", "paused"]),
    comment="URLs that hear of events.",
)

documents = Table(
    "documents",
    METADATA,
    serial("id", "The order in which they were first put."),
    words("kind", "What it is; the edge that keeps such documents chose the word."),
    words("parent", "Of which it is a part; documents are listed by it."),
    words("name", "Within kind and parent."),
    json("body", "Whatever the edge keeps."),
    time("changed_at", "When it was last put.", nullable=False, server_default=CLOCK),
    created(),
    UniqueConstraint("kind", "parent", "name"),
    postgresql_with=HOT,
    comment="What an edge remembers beside the flow, such as the sessions of a front.",
)

liveness = Table(
    "liveness",
    METADATA,
    whole("id", "Always 1.", primary_key=True, autoincrement=False),
    time("stamped_at", "When an API process last said that it is there.", nullable=False),
    CheckConstraint("id = 1", name="single"),
    postgresql_with=HOT,
    comment="One row: our own downtime, which costs no holder its lease, is read from it.",
)

leases = Table(
    "leases",
    METADATA,
    words("name", "Of the duty.", primary_key=True),
    words("holder", "The process that has it."),
    time("deadline", "Another may take it after this.", nullable=False),
    comment="Duties that one process at a time does.",
)

workers = Table(
    "workers",
    METADATA,
    words("kind", "janitor, trainer, suggester, ..."),
    words("holder", "The process."),
    time("beat_at", "When it last said that it is there.", nullable=False),
    json("info", "What it says about itself."),
    PrimaryKeyConstraint("kind", "holder"),
    postgresql_with=HOT,
    comment="Worker processes; forgotten after a day.",
)
