"""Results, the current value of each output, and what training may use, in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from labqueue.problem import Value
from labqueue.states import Outcome, Verdict
from models.domain import records as r
from models.domain.replacing import replace
from models.tables.results import readings, results

from .rows import Shape
from .session import Session

RESULT = Shape(
    r.Result,
    results,
    enums={"verdict": Verdict, "outcome": Outcome},
    given=["seq"],
    now=["received_at"],
)
READING = Shape(r.Reading, readings)

_FROM = f"SELECT {RESULT.select('s')} FROM results s"
_GET = f"{_FROM} WHERE s.id = ANY(%s::uuid[]) AND s.verdict <> 'refused' ORDER BY s.seq"
_OF_EXPERIMENT = f"{_FROM} WHERE s.experiment_id = %s ORDER BY s.seq"
_LATER = f"{_FROM} WHERE s.experiment_id = ANY(%s::bigint[]) AND s.kind <> 'report' ORDER BY s.seq"
# Two arms, as each verdict has an index of its own on the id.
_UNUSABLE = (
    f"{_FROM} WHERE (s.id = %(of)s AND s.verdict = 'refused') OR (s.id = %(of)s AND s.verdict = 'held') "
    "ORDER BY s.seq"
)
#: Of a held result: it put no experiment on hold, as the event that announced it tells, and nobody has corrected it.
ALONE = (
    "s.verdict = 'held' AND (s.experiment_id IS NULL OR (EXISTS (SELECT FROM events v "
    "WHERE v.number = s.revision AND v.data->>'state' <> 'held') AND NOT EXISTS (SELECT FROM results l "
    "WHERE l.experiment_id = s.experiment_id AND l.amends = s.id)))"
)
_WAITING = (
    f"{_FROM} WHERE s.verdict IN ('held', 'refused') AND s.dismissed_at IS NULL "
    f"AND s.campaign_id = ANY(%s::bigint[]) AND {ALONE} ORDER BY s.seq DESC LIMIT %s"
)
_DISMISS = (
    "UPDATE results s SET dismissed_at = clock_timestamp() WHERE s.dismissed_at IS NULL "
    f"AND ((s.{{of}} = %(of)s AND s.verdict = 'refused') OR (s.{{of}} = %(of)s AND {ALONE}))"
)
_DISMISSED = "SELECT EXISTS (SELECT FROM results WHERE experiment_id = %s AND dismissed_at IS NOT NULL)"
_RETURNING = " RETURNING seq, received_at"
_ADD_ONE = RESULT.insert_one + _RETURNING
_ADD_MANY = RESULT.insert_many + _RETURNING
_RETIRE = "UPDATE results SET retired_seq = %s WHERE id = %s AND verdict <> 'refused' AND retired_seq IS NULL"
_READINGS = (
    f"SELECT {READING.select('g')} FROM readings g WHERE g.experiment_id = ANY(%s::bigint[]) AND g.current "
    "ORDER BY g.experiment_id, g.output"
)
_RETIRED = (
    f"SELECT {READING.select('g')} FROM readings g "
    "WHERE g.result_seq = ANY(%s::bigint[]) AND g.retired_seq IS NOT NULL ORDER BY g.id"
)
_RETIRE_READINGS = (
    "UPDATE readings SET current = false, retired_seq = %s "
    "WHERE experiment_id = %s AND output = ANY(%s::text[]) AND current"
)
# A result counts as of revision R when the event that announced it has a number up to R, and no longer when that
# of the result which retired it has. Where two values of one output qualify, the first that was set is meant.
_ROWS = """
WITH standing AS (
    SELECT s.seq, s.experiment_id, s.outcome, s.actual, s.revision
    FROM results s LEFT JOIN results later ON later.seq = s.retired_seq AND later.revision <= %(revision)s
    WHERE {results} AND s.verdict = 'accepted' AND s.kind <> 'withdraw'
        AND s.outcome <> 'suspect' AND s.revision <= %(revision)s AND later.seq IS NULL),
valued AS (
    SELECT DISTINCT ON (g.experiment_id, g.output) g.experiment_id, g.output, g.value, g.noise, s.revision
    FROM results s JOIN readings g ON g.result_seq = s.seq
    LEFT JOIN results later ON later.seq = g.retired_seq AND later.revision <= %(revision)s
    WHERE {results} AND s.revision <= %(revision)s AND s.outcome = 'measured'
        AND (g.current OR g.retired_seq IS NOT NULL) AND later.seq IS NULL
    ORDER BY g.experiment_id, g.output, g.id),
outputs AS (
    SELECT experiment_id, jsonb_object_agg(output, value) AS outputs,
        coalesce(jsonb_object_agg(output, noise) FILTER (WHERE noise IS NOT NULL), '{{}}') AS noise,
        max(revision) AS revision
    FROM valued GROUP BY experiment_id),
repeated AS (
    SELECT g.experiment_id, g.output, jsonb_agg(g.value ORDER BY g.id) AS values
    FROM results s JOIN readings g ON g.result_seq = s.seq
    LEFT JOIN results later ON later.seq = s.retired_seq AND later.revision <= %(revision)s
    WHERE {results} AND s.revision <= %(revision)s AND s.outcome = 'measured'
        AND NOT g.current AND g.retired_seq IS NULL AND later.seq IS NULL
    GROUP BY g.experiment_id, g.output),
replicates AS (
    SELECT experiment_id, jsonb_object_agg(output, values) AS values FROM repeated GROUP BY experiment_id),
reported AS (
    SELECT experiment_id, jsonb_agg(actual ORDER BY seq) AS actual,
        jsonb_agg(actual ORDER BY seq) FILTER (WHERE outcome = 'measured') AS measuring,
        bool_or(outcome = 'infeasible') AS infeasible, max(revision) AS revision
    FROM standing GROUP BY experiment_id)
SELECT e.id, e.planned, CASE WHEN outputs.outputs IS NULL THEN reported.actual ELSE reported.measuring END,
    outputs.outputs, outputs.noise,
    greatest(outputs.revision, reported.revision), replicates.values
FROM experiments e LEFT JOIN outputs ON outputs.experiment_id = e.id
LEFT JOIN replicates ON replicates.experiment_id = e.id
LEFT JOIN reported ON reported.experiment_id = e.id
WHERE {experiments} AND (outputs.outputs IS NOT NULL OR reported.infeasible)
ORDER BY e.id"""
_TRAINING = _ROWS.format(results="s.campaign_id = %(campaign)s", experiments="e.campaign_id = %(campaign)s")
# What retires a result is of the same experiment, so only experiments with news between can have another row.
_OF_THESE = _ROWS.format(
    results="s.experiment_id = ANY(%(of)s::bigint[])", experiments="e.id = ANY(%(of)s::bigint[])"
)
_NEWS = (
    "SELECT DISTINCT s.experiment_id FROM events v JOIN results s ON s.seq = v.result_seq "
    "WHERE v.campaign_id = %s AND v.number > %s AND v.number <= %s ORDER BY s.experiment_id"
)

_REPORTED = "SELECT actual FROM results WHERE campaign_id = %s AND actual <> '{}' ORDER BY seq"
# What was reported of a run that could not be measured says nothing of one that was.
_ACTUAL = (
    "SELECT s.experiment_id, coalesce(jsonb_agg(s.actual ORDER BY s.seq) FILTER (WHERE s.outcome = 'measured'), "
    "jsonb_agg(s.actual ORDER BY s.seq)) FROM results s "
    "WHERE s.experiment_id = ANY(%s::bigint[]) AND s.verdict = 'accepted' AND s.kind <> 'withdraw' "
    "AND s.retired_seq IS NULL GROUP BY s.experiment_id"
)
# What a withdrawn result said is left out; its experiment has run all the same.
_FINDINGS = """
WITH said AS (
    SELECT s.experiment_id, min(s.seq) AS seq, min(s.received_at) AS at,
        coalesce(
            jsonb_agg(s.actual ORDER BY s.seq) FILTER (WHERE s.retired_seq IS NULL AND s.outcome = 'measured'),
            jsonb_agg(s.actual ORDER BY s.seq) FILTER (WHERE s.retired_seq IS NULL)) AS actual,
        jsonb_agg(s.extra ORDER BY s.seq) FILTER (WHERE s.retired_seq IS NULL AND s.extra <> '{{}}') AS extra,
        (array_agg(s.comment ORDER BY s.seq) FILTER (WHERE s.comment <> ''))[1] AS comment
    FROM results s WHERE {of} AND s.verdict = 'accepted' AND s.kind <> 'withdraw' GROUP BY s.experiment_id)
SELECT e.id, said.seq, said.at, e.planned, e.reason, e.staged_at IS NOT NULL,
    g.outputs, g.noise, said.actual, said.extra, said.comment
FROM said JOIN experiments e ON e.id = said.experiment_id LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(output, value) AS outputs,
        jsonb_object_agg(output, noise) FILTER (WHERE noise IS NOT NULL) AS noise
    FROM readings WHERE experiment_id = e.id AND current) g ON true
WHERE e.state IN ('completed', 'partial') ORDER BY said.seq"""
_ALL_FINDINGS = _FINDINGS.format(of="s.campaign_id = %(campaign)s")
# The campaign is looked at last: an index on it would find all of its results.
_THESE_FINDINGS = _FINDINGS.format(of="s.experiment_id = ANY(%(of)s::bigint[])").replace(
    "WHERE e.state", "WHERE e.campaign_id + 0 = %(campaign)s AND e.state"
)
_MEASURED = (
    "SELECT DISTINCT g.output FROM results s JOIN readings g ON g.result_seq = s.seq "
    "WHERE s.campaign_id = %s ORDER BY g.output"
)


class PostgresResults:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, ids: Sequence[UUID]) -> list[r.Result]:
        return self._session.all_of(RESULT, _GET, [list(ids)])

    def add(self, results: Sequence[r.Result]) -> list[r.Result]:
        if not results:
            return []
        if len(results) == 1:
            rows = self._session.rows(_ADD_ONE, RESULT.values(results[0], RESULT.inserted))
        else:
            rows = self._session.rows(_ADD_MANY, [RESULT.document(results, RESULT.inserted)])
        return [replace(each, seq=seq, received_at=at) for each, (seq, at) in zip(results, rows, strict=True)]

    def of_experiment(self, experiment_id: int) -> list[r.Result]:
        return self._session.all_of(RESULT, _OF_EXPERIMENT, [experiment_id])

    def later(self, experiments: Sequence[int]) -> list[r.Result]:
        return self._session.all_of(RESULT, _LATER, [list(experiments)])

    def retire(self, id: UUID, by_seq: int) -> None:
        self._session.run(_RETIRE, [by_seq, id])

    def readings(self, experiments: Sequence[int]) -> list[r.Reading]:
        return self._session.all_of(READING, _READINGS, [list(experiments)])

    def retired(self, results: Sequence[int]) -> list[r.Reading]:
        return self._session.all_of(READING, _RETIRED, [list(results)])

    def add_readings(self, readings: Sequence[r.Reading]) -> None:
        self._session.insert(READING, readings)

    def retire_readings(self, experiment_id: int, outputs: Sequence[str], by_seq: int) -> None:
        self._session.run(_RETIRE_READINGS, [by_seq, experiment_id, list(outputs)])

    def training(self, campaign_id: int, revision: int) -> list[r.TrainingRow]:
        rows = self._session.rows(_TRAINING, {"campaign": campaign_id, "revision": revision})
        return [_training_row(*row) for row in rows]

    def changed(self, campaign_id: int, since: int, revision: int) -> tuple[list[r.TrainingRow], list[int]]:
        news = [id for (id,) in self._session.rows(_NEWS, [campaign_id, since, revision])]
        if not news:
            return [], []
        found = self._session.rows(_OF_THESE, {"of": news, "revision": revision})
        rows = [_training_row(*row) for row in found]
        known = {row.experiment_id for row in rows}
        return rows, [id for id in news if id not in known]

    def reported(self, campaign_id: int) -> list[r.Json]:
        return [actual for (actual,) in self._session.rows(_REPORTED, [campaign_id])]

    def actual(self, experiments: Sequence[int]) -> dict[int, dict[str, Value]]:
        rows = self._session.rows(_ACTUAL, [list(experiments)])
        merged = {id: {name: value for each in said for name, value in each.items()} for id, said in rows}
        return {id: each for id, each in merged.items() if each}

    def findings(self, campaign_id: int, experiments: Sequence[int] | None = None) -> list[r.Finding]:
        if experiments is None:
            rows = self._session.rows(_ALL_FINDINGS, {"campaign": campaign_id})
        else:
            rows = self._session.rows(_THESE_FINDINGS, {"campaign": campaign_id, "of": list(experiments)})
        return [_finding(*row) for row in rows]

    def measured(self, campaign_id: int) -> list[str]:
        return [output for (output,) in self._session.rows(_MEASURED, [campaign_id])]

    def unusable(self, id: UUID) -> list[r.Result]:
        return self._session.all_of(RESULT, _UNUSABLE, {"of": id})

    def waiting(self, campaigns: Sequence[int], limit: int) -> list[r.Result]:
        return self._session.all_of(RESULT, _WAITING, [list(campaigns), limit])

    def dismiss(self, *, id: UUID | None = None, experiment_id: int | None = None) -> int:
        if id is not None:
            return self._session.run(_DISMISS.format(of="id"), {"of": id})
        return self._session.run(_DISMISS.format(of="experiment_id"), {"of": experiment_id})

    def dismissed(self, experiment_id: int) -> bool:
        return bool(self._session.value(_DISMISSED, [experiment_id]))


def _training_row(
    id: int,
    planned: r.Json,
    actual: r.Json,
    outputs: r.Json,
    noise: r.Json,
    revision: int,
    replicates: r.Json,
) -> r.TrainingRow:
    parameters = dict(planned or {})
    asked = dict(parameters)
    for reported in actual or []:
        parameters.update(reported or {})
    outcome = Outcome.MEASURED if outputs else Outcome.INFEASIBLE
    values = _floats(outputs)
    further = {
        name: tuple(float(each) for each in found)
        for name, found in sorted((replicates or {}).items())
        if name in values
    }
    return r.TrainingRow(id, asked, parameters, values, _floats(noise), outcome, revision, further)


def _finding(
    id: int,
    seq: int,
    at: datetime,
    planned: r.Json,
    reason: str,
    staged: bool,
    outputs: r.Json,
    noise: r.Json,
    actual: r.Json,
    extra: r.Json,
    comment: str | None,
) -> r.Finding:
    return r.Finding(
        id,
        seq,
        at,
        planned,
        reason,
        staged,
        _floats(outputs),
        _floats(noise),
        _merged(actual),
        _merged(extra),
        comment or "",
    )


def _merged(said: r.Json) -> dict[str, r.Json]:
    return {name: value for each in said or () for name, value in each.items()}


def _floats(numbers: r.Json) -> dict[str, float]:
    """JSON has one kind of number: 2.0 may come back as 2."""
    return {name: float(value) for name, value in sorted((numbers or {}).items())}
