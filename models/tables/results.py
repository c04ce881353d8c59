"""What came back: results as they came, the current value of each output, and the event log."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Table, Text, text

from labqueue.states import Outcome, Verdict

from .metadata import (
    CLOCK,
    HOT,
    METADATA,
    big,
    flag,
    json,
    many,
    one_of,
    real,
    serial,
    time,
    uuid,
    whole,
    words,
)

results = Table(
    "results",
    METADATA,
    serial("seq", "The order in which results were recorded."),
    uuid("id", "Made when the measurement ended; unique but for refused ones, which reused it."),
    big("experiment_id", "What was measured; null where nobody knows it.", nullable=True),
    big("campaign_id", "Of that experiment.", nullable=True),
    uuid("attempt", "Lineage, as reported; decides nothing.", nullable=True),
    words("kind", "report, amend or withdraw."),
    words("verdict", "What became of it when it was recorded; never changed."),
    words("outcome", "measured, infeasible or suspect."),
    json("outputs", "Values of the problem's outputs: numbers, or labels."),
    json("extra", "Outputs beyond the problem's: kept, not used."),
    json("noise", "Standard deviations, where reported."),
    json("actual", "Parameters as they really were, where reported."),
    many("outstanding", Text, "Outputs that follow in another result."),
    json("artifacts", "Names and SHA-256 of the files that belong to it."),
    words("comment", "What the sender said."),
    words("reason", "Why it was amended, withdrawn, held or refused."),
    json("body", "As sent.", nullable=True),
    words("body_hash", "Of the body: the same result again is recognised by it."),
    words("instrument", "Who measured it; empty if nobody said."),
    words("actor", "Who sent it."),
    uuid("amends", "The result that it amends or withdraws.", nullable=True),
    words("measured_at", "The sender's clock: shown, decides nothing.", nullable=True),
    time("received_at", "When it was recorded.", nullable=False, server_default=CLOCK),
    big("revision", "Number of the event that announced it: which data revisions hold it.", nullable=True),
    big("retired_seq", "The result that amended or withdrew it; null while it stands.", nullable=True),
    time("dismissed_at", "When a person had seen that it was refused; null otherwise."),
    ForeignKeyConstraint(["experiment_id"], ["experiments.id"]),
    one_of("kind", ["report", "amend", "withdraw"]),
    one_of("verdict", [str(verdict) for verdict in Verdict]),
    one_of("outcome", [str(outcome) for outcome in Outcome]),
    Index("results_id_index", "id", unique=True, postgresql_where=text("verdict <> 'refused'")),
    Index("results_experiment_index", "experiment_id"),
    Index("results_campaign_index", "campaign_id", "seq"),
    Index(
        "results_unusable_index",
        "seq",
        postgresql_where=text("verdict IN ('held', 'refused') AND dismissed_at IS NULL"),
    ),
    Index("results_refused_index", "id", postgresql_where=text("verdict = 'refused'")),
    postgresql_with=HOT,
    comment="Results as they came. Append-only: nothing that was sent is ever changed.",
)

readings = Table(
    "readings",
    METADATA,
    serial("id", "The order in which values were set."),
    big("experiment_id", "Of which experiment."),
    words("output", "Of which output."),
    real("value", "In the output's unit, or the place of a label; finite."),
    real("noise", "Standard deviation; null where not reported.", nullable=True),
    big("result_seq", "The result that it came with."),
    flag("current", "At most one of an experiment's output is current: a unique index sees to it."),
    big("retired_seq", "The result that ended its being current; null otherwise.", nullable=True),
    ForeignKeyConstraint(["result_seq"], ["results.seq"]),
    CheckConstraint("value NOT IN ('NaN', 'Infinity', '-Infinity')", name="value"),
    Index("readings_current_index", "experiment_id", "output", unique=True, postgresql_where=text("current")),
    Index("readings_result_index", "result_seq"),
    comment="Numbers, one row per output and result. Training reads those that are or were current.",
)

events = Table(
    "events",
    METADATA,
    serial("id", "The order of insertion; readers page by number instead."),
    big(
        "number", "Given right after commit: gapless, in the order of visibility. Null until.", nullable=True
    ),
    words("type", "What became true."),
    words("actor", "Who made it so."),
    big("campaign_id", "Where it concerns one.", nullable=True),
    big("experiment_id", "Where it concerns one.", nullable=True),
    uuid("attempt", "Where it concerns one.", nullable=True),
    words("queue", "Where it concerns one.", nullable=True),
    words("instrument", "Where it concerns one.", nullable=True),
    json("data", "The rest."),
    flag("teaches", "It changes what training may use: its number becomes a data revision."),
    whole("accepts", "Accepted results that it stands for; negative where one is withdrawn."),
    big("result_seq", "The result whose revision its number becomes.", nullable=True),
    time("at", "When it was written.", nullable=False, server_default=CLOCK),
    Index("events_unnumbered_index", "id", postgresql_where=text("number IS NULL")),
    Index("events_number_index", "number", unique=True, postgresql_where=text("number IS NOT NULL")),
    Index("events_campaign_index", "campaign_id", "number", postgresql_where=text("number IS NOT NULL")),
    Index("events_experiment_index", "experiment_id", "number", postgresql_where=text("number IS NOT NULL")),
    Index("events_inquiry_index", "at", postgresql_where=text("starts_with(type, 'inquiry.')")),
    postgresql_with=HOT,
    comment="What happened, in the transaction that made it true. No foreign keys: it outlives what it names. Kept "
    "for ever, but for what happened to inquiries.",
)
