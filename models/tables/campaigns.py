"""Who asks for what: owners, queues, campaigns and every version of their problems and strategies."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    text,
)

from labqueue.states import LostLease

from .metadata import METADATA, big, created, flag, json, one_of, real, serial, time, whole, words

actors = Table(
    "actors",
    METADATA,
    words("name", "Who owns campaigns, as named in requests.", primary_key=True),
    words("kind", "person or system."),
    real("weight", "Share of each queue beside the other owners; 1 unless somebody set it."),
    created(),
    one_of("kind", ["person", "system"]),
    CheckConstraint("weight > 0", name="weight"),
    comment="Owners of campaigns. Fair share is first between them, then between each one's campaigns.",
)

queues = Table(
    "queues",
    METADATA,
    words("name", "A kind of work; adapters subscribe by it. Never renamed.", primary_key=True),
    real("lease_seconds", "Length of a lease; a heartbeat renews it in full."),
    words("on_lost", "What becomes of a started experiment whose holder fell silent: hold, requeue, probe."),
    whole("max_attempts", "Attempts that count (started and lost, or failed) before an experiment fails."),
    flag("people", "People serve it: leases of days, without heartbeat."),
    words("state", "active, paused (no claims) or draining (no staging)."),
    words("reason", "Why it is paused or draining; empty while active."),
    created(),
    one_of("on_lost", [str(policy) for policy in LostLease]),
    one_of("state", ["active", "paused", "draining"]),
    CheckConstraint("lease_seconds > 0", name="lease_seconds"),
    CheckConstraint("max_attempts > 0", name="max_attempts"),
    comment="Kinds of work and their policies. Many campaigns feed one, many instruments serve it.",
)

campaigns = Table(
    "campaigns",
    METADATA,
    serial("id", "Given once, never used again."),
    words("name", "Unique, never renamed: experiments and their codes carry it.", unique=True),
    words("queue", "Where its experiments are staged."),
    words("owner", "Whose share of the queue it uses."),
    words("state", "active, paused (no staging, no claims) or finished (results are still taken)."),
    words("reason", "Why it is paused or finished; empty while active."),
    json("problem", "The problem as it is now, as labqueue.problem writes it."),
    whole("problem_version", "Number of that problem in campaign_versions."),
    json("strategy", "The strategy as it is now, as labqueue.strategy writes it."),
    whole("strategy_version", "Number of that strategy in campaign_versions."),
    real("weight", "Share beside the same owner's other campaigns."),
    big("seed", "With the number of a suggestion, its only randomness."),
    whole("next_number", "Number of the next experiment; rises under the campaign's lock, without gaps."),
    whole("next_suggestion", "Number of the next suggestion; rises under the campaign's lock."),
    real("finish_tag", "Virtual time at which its last staged experiment would end; never falls."),
    big("resumed_completed", "Experiments completed when it was finished and resumed; -1: never was."),
    words("request_hash", "Of the request that created it: the same again is one effect."),
    created(),
    time("finished_at", "Null until it is finished."),
    ForeignKeyConstraint(["queue"], ["queues.name"]),
    ForeignKeyConstraint(["owner"], ["actors.name"]),
    one_of("state", ["active", "paused", "finished"]),
    CheckConstraint("weight > 0", name="weight"),
    Index("campaigns_queue_index", "queue", postgresql_where=text("state <> 'finished'")),
    comment="A problem, a strategy and the history between them.",
)

campaign_progress = Table(
    "campaign_progress",
    METADATA,
    Column(
        "campaign_id",
        BigInteger,
        ForeignKey("campaigns.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment="Every campaign has exactly one row here.",
    ),
    big("data_revision", "Number of the last event that changed what training may use; never falls."),
    big("accepted", "Accepted results among the numbered events; falls when one is withdrawn."),
    whole("model_version", "Of the newest model; 0 while there is none."),
    big("model_revision", "The data revision that this model saw."),
    big("model_accepted", "What `accepted` was when this model was trained."),
    comment="What numbering and training write. Apart from campaigns, so that neither ever waits for a staging.",
)

campaign_versions = Table(
    "campaign_versions",
    METADATA,
    big("campaign_id", "Whose."),
    words("kind", "problem or strategy."),
    whole("number", "From 1, without gaps."),
    json("body", "The definition as it was; never changed."),
    words("actor", "Who set it."),
    words("reason", "Why."),
    created(),
    PrimaryKeyConstraint("campaign_id", "kind", "number"),
    ForeignKeyConstraint(["campaign_id"], ["campaigns.id"]),
    one_of("kind", ["problem", "strategy"]),
    comment="Every problem and strategy that a campaign ever had. Append-only.",
)
