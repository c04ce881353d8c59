"""Results, readings and events."""

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
        "events",
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(),
            nullable=False,
            comment="The order of insertion; readers page by number instead.",
        ),
        sa.Column(
            "number",
            sa.BigInteger(),
            nullable=True,
            comment="Given right after commit: gapless, in the order of visibility. Null until.",
        ),
        sa.Column("type", sa.Text(), nullable=False, comment="What became true."),
        sa.Column("actor", sa.Text(), nullable=False, comment="Who made it so."),
        sa.Column("campaign_id", sa.BigInteger(), nullable=True, comment="Where it concerns one."),
        sa.Column("experiment_id", sa.BigInteger(), nullable=True, comment="Where it concerns one."),
        sa.Column("attempt", sa.Uuid(), nullable=True, comment="Where it concerns one."),
        sa.Column("queue", sa.Text(), nullable=True, comment="Where it concerns one."),
        sa.Column("instrument", sa.Text(), nullable=True, comment="Where it concerns one."),
        sa.Column("data", JSONB(), nullable=False, comment="The rest."),
        sa.Column(
            "teaches",
            sa.Boolean(),
            nullable=False,
            comment="It changes what training may use: its number becomes a data revision.",
        ),
        sa.Column(
            "accepts",
            sa.Integer(),
            nullable=False,
            comment="Accepted results that it stands for; negative where one is withdrawn.",
        ),
        sa.Column(
            "result_seq",
            sa.BigInteger(),
            nullable=True,
            comment="The result whose revision its number becomes.",
        ),
        sa.Column(
            "at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When it was written.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("events_pk")),
        comment="What happened, in the transaction that made it true. No foreign keys: it outlives what it names. Kept "
        "for ever, but for what happened to inquiries.",
        postgresql_with=HOT,
    )
    op.create_index(
        "events_campaign_index",
        "events",
        ["campaign_id", "number"],
        postgresql_where=sa.text("number IS NOT NULL"),
    )
    op.create_index(
        "events_experiment_index",
        "events",
        ["experiment_id", "number"],
        postgresql_where=sa.text("number IS NOT NULL"),
    )
    op.create_index(
        "events_number_index",
        "events",
        ["number"],
        unique=True,
        postgresql_where=sa.text("number IS NOT NULL"),
    )
    op.create_index(
        "events_inquiry_index",
        "events",
        ["at"],
        postgresql_where=sa.text("starts_with(type, 'inquiry.')"),
    )
    op.create_index("events_unnumbered_index", "events", ["id"], postgresql_where=sa.text("number IS NULL"))
    op.create_table(
        "results",
        sa.Column(
            "seq",
            sa.BigInteger(),
            sa.Identity(),
            nullable=False,
            comment="The order in which results were recorded.",
        ),
        sa.Column(
            "id",
            sa.Uuid(),
            nullable=False,
            comment="Made when the measurement ended; unique but for refused ones, which reused it.",
        ),
        sa.Column(
            "experiment_id",
            sa.BigInteger(),
            nullable=True,
            comment="What was measured; null where nobody knows it.",
        ),
        sa.Column("campaign_id", sa.BigInteger(), nullable=True, comment="Of that experiment."),
        sa.Column("attempt", sa.Uuid(), nullable=True, comment="Lineage, as reported; decides nothing."),
        sa.Column("kind", sa.Text(), nullable=False, comment="report, amend or withdraw."),
        sa.Column(
            "verdict",
            sa.Text(),
            nullable=False,
            comment="What became of it when it was recorded; never changed.",
        ),
        sa.Column("outcome", sa.Text(), nullable=False, comment="measured, infeasible or suspect."),
        sa.Column(
            "outputs", JSONB(), nullable=False, comment="Values of the problem's outputs: numbers, or labels."
        ),
        sa.Column("extra", JSONB(), nullable=False, comment="Outputs beyond the problem's: kept, not used."),
        sa.Column("noise", JSONB(), nullable=False, comment="Standard deviations, where reported."),
        sa.Column(
            "actual", JSONB(), nullable=False, comment="Parameters as they really were, where reported."
        ),
        sa.Column(
            "outstanding",
            sa.ARRAY(sa.Text()),
            nullable=False,
            comment="Outputs that follow in another result.",
        ),
        sa.Column(
            "artifacts", JSONB(), nullable=False, comment="Names and SHA-256 of the files that belong to it."
        ),
        sa.Column("comment", sa.Text(), nullable=False, comment="What the sender said."),
        sa.Column(
            "reason", sa.Text(), nullable=False, comment="Why it was amended, withdrawn, held or refused."
        ),
        sa.Column("body", JSONB(), nullable=True, comment="As sent."),
        sa.Column(
            "body_hash",
            sa.Text(),
            nullable=False,
            comment="Of the body: the same result again is recognised by it.",
        ),
        sa.Column("instrument", sa.Text(), nullable=False, comment="Who measured it; empty if nobody said."),
        sa.Column("actor", sa.Text(), nullable=False, comment="Who sent it."),
        sa.Column("amends", sa.Uuid(), nullable=True, comment="The result that it amends or withdraws."),
        sa.Column(
            "measured_at", sa.Text(), nullable=True, comment="The sender's clock: shown, decides nothing."
        ),
        sa.Column(
            "received_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="When it was recorded.",
        ),
        sa.Column(
            "revision",
            sa.BigInteger(),
            nullable=True,
            comment="Number of the event that announced it: which data revisions hold it.",
        ),
        sa.Column(
            "retired_seq",
            sa.BigInteger(),
            nullable=True,
            comment="The result that amended or withdrew it; null while it stands.",
        ),
        sa.Column(
            "dismissed_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When a person had seen that it was refused; null otherwise.",
        ),
        sa.CheckConstraint("kind IN ('report', 'amend', 'withdraw')", name=op.f("results_kind_check")),
        sa.CheckConstraint(
            "outcome IN ('measured', 'infeasible', 'suspect')", name=op.f("results_outcome_check")
        ),
        sa.CheckConstraint(
            "verdict IN ('accepted', 'replicate', 'duplicate', 'held', 'refused')",
            name=op.f("results_verdict_check"),
        ),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiments.id"], name=op.f("results_experiment_id_fk")),
        sa.PrimaryKeyConstraint("seq", name=op.f("results_pk")),
        comment="Results as they came. Append-only: nothing that was sent is ever changed.",
        postgresql_with=HOT,
    )
    op.create_index("results_campaign_index", "results", ["campaign_id", "seq"])
    op.create_index("results_experiment_index", "results", ["experiment_id"])
    op.create_index(
        "results_id_index", "results", ["id"], unique=True, postgresql_where=sa.text("verdict <> 'refused'")
    )
    op.create_index(
        "results_unusable_index",
        "results",
        ["seq"],
        postgresql_where=sa.text("verdict IN ('held', 'refused') AND dismissed_at IS NULL"),
    )
    op.create_index(
        "results_refused_index", "results", ["id"], postgresql_where=sa.text("verdict = 'refused'")
    )
    op.create_table(
        "readings",
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(),
            nullable=False,
            comment="The order in which values were set.",
        ),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False, comment="Of which experiment."),
        sa.Column("output", sa.Text(), nullable=False, comment="Of which output."),
        sa.Column(
            "value",
            sa.Double(),
            nullable=False,
            comment="In the output's unit, or the place of a label; finite.",
        ),
        sa.Column(
            "noise", sa.Double(), nullable=True, comment="Standard deviation; null where not reported."
        ),
        sa.Column("result_seq", sa.BigInteger(), nullable=False, comment="The result that it came with."),
        sa.Column(
            "current",
            sa.Boolean(),
            nullable=False,
            comment="At most one of an experiment's output is current: a unique index sees to it.",
        ),
        sa.Column(
            "retired_seq",
            sa.BigInteger(),
            nullable=True,
            comment="The result that ended its being current; null otherwise.",
        ),
        sa.CheckConstraint(
            "value NOT IN ('NaN', 'Infinity', '-Infinity')", name=op.f("readings_value_check")
        ),
        sa.ForeignKeyConstraint(["result_seq"], ["results.seq"], name=op.f("readings_result_seq_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("readings_pk")),
        comment="Numbers, one row per output and result. Training reads those that are or were current.",
    )
    op.create_index(
        "readings_current_index",
        "readings",
        ["experiment_id", "output"],
        unique=True,
        postgresql_where=sa.text("current"),
    )
    op.create_index("readings_result_index", "readings", ["result_seq"])


def drop() -> None:
    op.drop_table("readings")
    op.drop_table("results")
    op.drop_table("events")
