"""Experiments in Postgres: staging, the claim's index, the states of a campaign."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from labqueue.problem import Value
from labqueue.states import Outcome, State
from models.domain import records as r
from models.domain.replacing import replace
from models.tables.experiments import experiments

from .rows import Shape, dumps, ids
from .session import Session

EXPERIMENT = Shape(
    r.Experiment, experiments, enums={"state": State, "outcome": Outcome}, given=["id"], now=["created_at"]
)
#: What staging fixes for ever.
FIXED = {
    "id",
    "campaign_id",
    "campaign",
    "queue",
    "number",
    "code",
    "origin",
    "problem_version",
    "planned",
    "payload",
    "row",
    "batch",
    "suggestion_id",
    "created_at",
}
_CHANGING = [name for name in EXPERIMENT.fields if name not in FIXED]

_FROM = f"SELECT {EXPERIMENT.select('e')} FROM experiments e"
_GET = f"{_FROM} WHERE e.id = ANY(%s::bigint[]) ORDER BY e.id"
_BY_CODE = f"{_FROM} WHERE e.code = ANY(%s::text[]) ORDER BY e.id"
# NO KEY: what refers to the row (attempts, results) may be written by others meanwhile.
_LOCK = f"{_GET} FOR NO KEY UPDATE"
_LOCK_OF_ATTEMPTS = (
    f"{_FROM} WHERE e.id IN (SELECT a.experiment_id FROM attempts a WHERE a.id = ANY(%s::uuid[])) "
    "ORDER BY e.id FOR NO KEY UPDATE OF e"
)
# The predicate is the index's own, word for word. At the top level: in a CTE or a subquery LIMIT could lock more.
_CLAIMABLE = "e.queue = %s AND e.state = 'staged' AND e.ready"
_IN_ORDER = "ORDER BY e.priority DESC, e.tag, e.id LIMIT %s"
_PICK = f"{_FROM} WHERE {_CLAIMABLE} {_IN_ORDER} FOR NO KEY UPDATE SKIP LOCKED"
_PICK_THESE = (
    f"{_FROM} WHERE {_CLAIMABLE} AND e.id = ANY(%s::bigint[]) ORDER BY e.id FOR NO KEY UPDATE SKIP LOCKED"
)
_COUNT_CLAIMABLE = (
    "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(head.staged_at)), 0)::float8 "
    f"FROM (SELECT e.staged_at FROM experiments e WHERE {_CLAIMABLE} {_IN_ORDER}) head"
)
_HEAD = f"SELECT e.tag FROM experiments e WHERE {_CLAIMABLE} {_IN_ORDER}"
_RETURNING = " RETURNING id, created_at"
_ADD_ONE = EXPERIMENT.insert_one + _RETURNING
_ADD_MANY = EXPERIMENT.insert_many + _RETURNING
_SAVE_ONE = EXPERIMENT.update_one(["id"], _CHANGING)
_SAVE_MANY = EXPERIMENT.update_many("id", _CHANGING)
_OF_CAMPAIGN = f"{_FROM} WHERE e.campaign_id = %s AND e.state = ANY(%s::text[]) ORDER BY e.id"
_REPLACEABLE = (
    f"{_FROM} WHERE e.campaign_id = %s AND e.state IN ('proposed', 'staged') AND e.origin = 'suggester' "
    "AND e.approved_by IS NULL AND NOT e.pinned ORDER BY e.id FOR NO KEY UPDATE SKIP LOCKED"
)
_COUNTS = "SELECT state, count(*) FROM experiments WHERE campaign_id = %s GROUP BY state"
_AT_LEAST = "SELECT count(*) FROM (SELECT FROM experiments WHERE campaign_id = %s AND state = ANY(%s::text[]) LIMIT %s) e"
# Every number up to the next one was given to an experiment.
_RAN = (
    "SELECT c.next_number - 1 - (SELECT count(*) FROM experiments e WHERE e.campaign_id = c.id "
    "AND e.state = ANY(%s::text[])) FROM campaigns c WHERE c.id = %s"
)
_RAN_NOT = [str(each) for each in State if each not in (State.COMPLETED, State.PARTIAL)]
_GIVEN_UP = (
    "SELECT count(*) FROM experiments WHERE campaign_id = %s AND state = 'failed' AND dismissed_at IS NULL"
)
_DRAWN = "SELECT count(*) FROM experiments WHERE campaign_id = %s AND origin = 'design'"
_EXPIRED = (
    f"{_FROM} WHERE e.expires_at IS NOT NULL AND e.state IN ('staged', 'proposed') "
    "AND e.expires_at < clock_timestamp() ORDER BY e.id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED"
)
IN_FLIGHT = [str(s) for s in (State.PROPOSED, State.STAGED, State.LEASED, State.HELD, State.PARTIAL)]
_SET_READY = (
    "WITH mine AS MATERIALIZED (SELECT id FROM experiments WHERE campaign_id = %s AND state = ANY(%s::text[]) "
    "ORDER BY id FOR NO KEY UPDATE) "
    "UPDATE experiments e SET ready = %s FROM mine WHERE e.id = mine.id"
)

# What follows an experiment's staging, never what was chosen: a name is added, none is changed.
_INTRODUCE = (
    "WITH mine AS MATERIALIZED (SELECT id FROM experiments WHERE campaign_id = %s AND planned IS NOT NULL "
    "AND NOT jsonb_exists(planned, %s) ORDER BY id FOR NO KEY UPDATE) "
    "UPDATE experiments e SET planned = e.planned || %s::jsonb FROM mine WHERE e.id = mine.id"
)


class PostgresExperiments:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, ids_: Sequence[int]) -> list[r.Experiment]:
        return self._found(_GET, [ids(ids_)])

    def by_code(self, codes: Sequence[str]) -> list[r.Experiment]:
        return self._found(_BY_CODE, [[code for code in codes if "\0" not in code]])

    def lock(self, ids_: Sequence[int]) -> list[r.Experiment]:
        return self._found(_LOCK, [ids(ids_)])

    def lock_of_attempts(self, attempts: Sequence[UUID]) -> list[r.Experiment]:
        return self._found(_LOCK_OF_ATTEMPTS, [list(attempts)])

    def pick(self, queue: str, limit: int) -> list[r.Experiment]:
        return sorted(self._found(_PICK, [queue, limit]), key=_order)

    def pick_these(self, queue: str, ids_: Sequence[int]) -> list[r.Experiment]:
        return sorted(self._found(_PICK_THESE, [queue, ids(ids_)]), key=_order)

    def claimable(self, queue: str, limit: int) -> tuple[int, float]:
        row = self._session.row(_COUNT_CLAIMABLE, [queue, limit])
        return (row[0], max(0.0, row[1])) if row else (0, 0.0)

    def head_tag(self, queue: str) -> float | None:
        tag: float | None = self._session.value(_HEAD, [queue, 1])
        return tag

    def add(self, experiments: Sequence[r.Experiment]) -> list[r.Experiment]:
        if not experiments:
            return []
        if len(experiments) == 1:
            rows = self._session.rows(_ADD_ONE, EXPERIMENT.values(experiments[0], EXPERIMENT.inserted))
        else:
            rows = self._session.rows(_ADD_MANY, [EXPERIMENT.document(experiments, EXPERIMENT.inserted)])
        return [replace(each, id=id, created_at=at) for each, (id, at) in zip(experiments, rows, strict=True)]

    def save(self, experiments: Sequence[r.Experiment]) -> None:
        if len(experiments) == 1:
            only = experiments[0]
            self._session.run(_SAVE_ONE, [*EXPERIMENT.values(only, _CHANGING), only.id])
        elif experiments:
            self._session.run(_SAVE_MANY, [EXPERIMENT.document(experiments, ["id", *_CHANGING])])

    def of_campaign(
        self, campaign_id: int, states: Iterable[State], limit: int = 100_000
    ) -> list[r.Experiment]:
        return self._found(f"{_OF_CAMPAIGN} LIMIT %s", [campaign_id, _texts(states), limit])

    def lock_of_campaign(self, campaign_id: int, states: Iterable[State]) -> list[r.Experiment]:
        return self._found(f"{_OF_CAMPAIGN} FOR NO KEY UPDATE", [campaign_id, _texts(states)])

    def lock_replaceable(self, campaign_id: int) -> list[r.Experiment]:
        return self._found(_REPLACEABLE, [campaign_id])

    def counts(self, campaign_id: int) -> dict[State, int]:
        return {State(state): count for state, count in self._session.rows(_COUNTS, [campaign_id])}

    def ran(self, campaign_id: int) -> int:
        return int(self._session.value(_RAN, [_RAN_NOT, campaign_id]) or 0)

    def at_least(self, campaign_id: int, states: Iterable[State], limit: int) -> int:
        return int(self._session.value(_AT_LEAST, [campaign_id, [str(each) for each in states], limit]))

    def given_up(self, campaign_id: int) -> int:
        return int(self._session.value(_GIVEN_UP, [campaign_id]))

    def drawn(self, campaign_id: int) -> int:
        return int(self._session.value(_DRAWN, [campaign_id]))

    def set_ready(self, campaign_id: int, ready: bool) -> None:
        self._session.run(_SET_READY, [campaign_id, IN_FLIGHT, ready])

    def introduce(self, campaign_id: int, parameter: str, value: Value) -> None:
        self._session.run(_INTRODUCE, [campaign_id, parameter, dumps({parameter: value})])

    def lock_expired(self, limit: int) -> list[r.Experiment]:
        return self._found(_EXPIRED, [limit])

    def unfinished(self, campaign_id: int) -> list[r.Experiment]:
        return self._found(_OF_CAMPAIGN, [campaign_id, IN_FLIGHT])

    def _found(self, sql: str, parameters: Sequence[Any]) -> list[r.Experiment]:
        return self._session.all_of(EXPERIMENT, sql, parameters)


def _order(experiment: r.Experiment) -> tuple[int, float, int]:
    """Rows that changed while they were being locked come back out of order."""
    return (-experiment.priority, experiment.tag, experiment.id)


def _texts(states: Iterable[State]) -> list[str]:
    return [str(state) for state in states]
