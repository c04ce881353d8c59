"""Models, suggestions, inquiries, and the leases of the workers that make them."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)

from .metadata import METADATA, big, created, json, one_of, real, serial, time, uuid, whole, words

models = Table(
    "models",
    METADATA,
    big("campaign_id", "Whose."),
    whole("version", "From 1."),
    big("data_revision", "What it saw: every result up to this revision."),
    big("accepted", "Accepted results up to then."),
    whole("problem_version", "The problem that it was trained on."),
    whole("rows", "Training rows that it saw."),
    Column("state", LargeBinary, nullable=False, comment="Its state, no pickle; at most 16 MB."),
    words("sha256", "Of the state: checked before it is loaded."),
    json("metrics", "How well it fits."),
    words("device", "Kind of device that trained it."),
    json("versions", "Of the libraries that trained it."),
    real("seconds", "How long the training took."),
    created(),
    PrimaryKeyConstraint("campaign_id", "version"),
    ForeignKeyConstraint(["campaign_id"], ["campaigns.id"]),
    comment="Trained surrogates. Append-only.",
)

suggestions = Table(
    "suggestions",
    METADATA,
    serial("id", "Given once."),
    big("campaign_id", "Whose."),
    whole("number", "Within its campaign: with the seed, its only randomness."),
    json("snapshot", "All that it is a pure function of; large parts by revision and version."),
    words("snapshot_hash", "Of the snapshot: computed again, it must be the same."),
    json("candidates", "What came out, with reasons and expectations."),
    json("effort", "Iterations spent; says so where a deadline cut it."),
    words("device", "Kind of device."),
    json("versions", "Of the libraries."),
    big("data_revision", "What it saw."),
    whole("model_version", "The model it used; 0: none."),
    real("seconds", "How long it took."),
    created(),
    UniqueConstraint("campaign_id", "number"),
    ForeignKeyConstraint(["campaign_id"], ["campaigns.id"]),
    comment="Suggestions and the snapshots they can be computed from again. Append-only.",
)

jobs = Table(
    "jobs",
    METADATA,
    big("campaign_id", "Whose."),
    words("kind", "train or suggest: one of each at a time per campaign."),
    big("wished", "Data revision (train) or counter (suggest) that is asked for; due while above done."),
    big("done", "The one that is done."),
    words("holder", "The worker that has it; empty if none."),
    whole("fence", "Rises with each holder: what a stale one writes is refused."),
    time("deadline", "Of its holder's lease; null if none."),
    time("issued_at", "When its command was last sent; null if never."),
    whole("deaths", "Holders that died at this revision."),
    big("revision", "What the present holder works on."),
    words("error", "What went wrong last; empty if nothing."),
    PrimaryKeyConstraint("campaign_id", "kind"),
    ForeignKeyConstraint(["campaign_id"], ["campaigns.id"]),
    one_of("kind", ["train", "suggest"]),
    comment="Single-flight leases of training and suggesting.",
)

inquiries = Table(
    "inquiries",
    METADATA,
    uuid("id", "Named by the one who asks.", primary_key=True),
    big("campaign_id", "About which."),
    words("kind", "suggest, predict or train."),
    json("request", "What is asked.", nullable=True),
    words("actor", "Who asks."),
    words("state", "open, running, answered, failed or expired."),
    json("answer", "Null until answered.", nullable=True),
    words("message", "What went wrong, in a sentence; empty otherwise."),
    whole("fence", "Rises with each worker that takes it."),
    time("deadline", "Unanswered after it, it expires.", nullable=False),
    time("issued_at", "When its command was last sent; null if never."),
    created(),
    ForeignKeyConstraint(["campaign_id"], ["campaigns.id"]),
    one_of("kind", ["suggest", "predict", "train"]),
    one_of("state", ["open", "running", "answered", "failed", "expired"]),
    Index("inquiries_due_index", "created_at", postgresql_where=text("state IN ('open', 'running')")),
    comment="Questions that need a model.",
)
