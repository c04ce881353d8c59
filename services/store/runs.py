"""Attempts, instruments and the keys of claims and stagings in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from models.domain import records as r
from models.domain.replacing import replace
from models.tables.experiments import attempts, claims, staged_batches
from models.tables.operations import instruments

from .rows import Shape
from .session import Session

ATTEMPT = Shape(r.Attempt, attempts)
INSTRUMENT = Shape(r.Instrument, instruments)
CLAIM = Shape(r.Claim, claims)
BATCH = Shape(r.StagedBatch, staged_batches)

FENCE_LIMIT = 2**31
_FIXED = {
    "id",
    "experiment_id",
    "number",
    "queue",
    "instrument",
    "fence",
    "lease_seconds",
    "deadline",
    "claimed_at",
    "started_at",
    "ended_at",
}
_CHANGING = [name for name in ATTEMPT.fields if name not in _FIXED]
_GIVEN = [name for name in ATTEMPT.fields if name not in ("deadline", "claimed_at")]

_FROM = f"SELECT {ATTEMPT.select('a')} FROM attempts a"
_GET = f"{_FROM} WHERE a.id = ANY(%s::uuid[]) ORDER BY a.id"
_LOCK = f"{_GET} FOR NO KEY UPDATE"
_OVERDUE = (
    f"{_FROM} WHERE a.state <> 'ended' AND NOT a.silent AND a.deadline < clock_timestamp() "
    "ORDER BY a.deadline, a.id LIMIT %s"
)
_LIVE_OF = f"{_FROM} WHERE a.instrument = %s AND a.state <> 'ended' ORDER BY a.claimed_at, a.id"
_OF_EXPERIMENT = f"{_FROM} WHERE a.experiment_id = %s ORDER BY a.number"
_NEWEST = (
    f"SELECT DISTINCT ON (a.experiment_id) {ATTEMPT.select('a')} FROM attempts a "
    "WHERE a.experiment_id = ANY(%s::bigint[]) ORDER BY a.experiment_id, a.number DESC"
)
_DURATIONS = (
    "SELECT extract(epoch FROM a.ended_at - a.claimed_at)::float8 FROM experiments e "
    "JOIN attempts a ON a.experiment_id = e.id WHERE e.campaign_id = %s AND e.state = 'completed' "
    "AND a.\"end\" IN ('completed', 'partial') ORDER BY e.id DESC, a.number DESC LIMIT %s"
)

_NAMES = ", ".join(f'"{name}"' for name in _GIVEN)
_ADD = (
    f"INSERT INTO attempts ({_NAMES}, deadline, claimed_at) SELECT {_NAMES}, "
    "now.at + make_interval(secs => lease_seconds), now.at FROM "
    f"{ATTEMPT.recordset(_GIVEN)}, (SELECT clock_timestamp() AS at) now RETURNING id, deadline, claimed_at"
)
# Both times are stamped once, when the state first says so.
_STAMPS = (
    ", started_at = coalesce(t.started_at, CASE WHEN {0} = 'started' THEN clock_timestamp() END)"
    ", ended_at = coalesce(t.ended_at, CASE WHEN {0} = 'ended' THEN clock_timestamp() END)"
)
_SETS = ", ".join(f'"{name}" = %s::{ATTEMPT.types[name]}' for name in _CHANGING)
_SAVE_ONE = f"UPDATE attempts t SET {_SETS}{_STAMPS.format('%s::text')} WHERE t.id = %s"
# Locked in the order of the ids first: renewals of the same leases lock in that order, too.
_SAVE_MANY = (
    "WITH locked AS MATERIALIZED (SELECT id FROM attempts WHERE id = ANY(%s::uuid[]) ORDER BY id "
    "FOR NO KEY UPDATE) UPDATE attempts t SET "
    + ", ".join(f'"{name}" = j."{name}"' for name in _CHANGING)
    + _STAMPS.format("j.state")
    + f" FROM {ATTEMPT.recordset(['id', *_CHANGING])} JOIN locked ON locked.id = j.id WHERE t.id = j.id"
)
# The instrument's row is passed over where somebody holds it: a claim that goes on has seen it, too.
_RENEW = """
WITH asked AS (SELECT * FROM unnest(%s::uuid[], %s::integer[]) AS t(id, fence)),
held AS MATERIALIZED (
    SELECT a.id, a.lease_seconds FROM attempts a JOIN asked ON asked.id = a.id AND asked.fence = a.fence
    WHERE a.instrument = %s AND a.state <> 'ended' ORDER BY a.id FOR NO KEY UPDATE OF a),
renewed AS (
    UPDATE attempts a SET deadline = clock_timestamp() + make_interval(secs => held.lease_seconds),
        adapter = coalesce(nullif(%s, ''), a.adapter)
    FROM held WHERE a.id = held.id RETURNING a.id, a.deadline),
seen AS (
    UPDATE instruments SET last_seen = clock_timestamp() WHERE name IN (
        SELECT name FROM instruments WHERE name = %s FOR NO KEY UPDATE SKIP LOCKED))
SELECT asked.id, a.id IS NOT NULL, renewed.id IS NOT NULL, a."end", coalesce(e.cancel_wished, false),
    coalesce(a.silent, false), coalesce(renewed.deadline, a.deadline)
FROM asked LEFT JOIN attempts a ON a.id = asked.id LEFT JOIN experiments e ON e.id = a.experiment_id
LEFT JOIN renewed ON renewed.id = asked.id"""
_EXTEND = """
WITH live AS MATERIALIZED (
    SELECT id FROM attempts WHERE state <> 'ended' ORDER BY id FOR NO KEY UPDATE)
UPDATE attempts a SET deadline = deadline + make_interval(secs => %s + lease_seconds)
FROM live WHERE a.id = live.id"""


class PostgresAttempts:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, ids: Sequence[UUID]) -> list[r.Attempt]:
        return self._session.all_of(ATTEMPT, _GET, [list(ids)])

    def lock(self, ids: Sequence[UUID]) -> list[r.Attempt]:
        return self._session.all_of(ATTEMPT, _LOCK, [list(ids)])

    def add(self, attempts: Sequence[r.Attempt]) -> list[r.Attempt]:
        if not attempts:
            return []
        rows = self._session.rows(_ADD, [ATTEMPT.document(attempts, _GIVEN)])
        times = {id: (deadline, at) for id, deadline, at in rows}
        return [replace(each, deadline=times[each.id][0], claimed_at=times[each.id][1]) for each in attempts]

    def save(self, attempts: Sequence[r.Attempt]) -> None:
        if len(attempts) == 1:
            only = attempts[0]
            states = [only.state, only.state]
            self._session.run(_SAVE_ONE, [*ATTEMPT.values(only, _CHANGING), *states, only.id])
        elif attempts:
            document = ATTEMPT.document(attempts, ["id", *_CHANGING])
            self._session.run(_SAVE_MANY, [[each.id for each in attempts], document])

    def renew(
        self, leases: Sequence[tuple[UUID, int]], instrument: str, adapter: str = ""
    ) -> list[r.Renewal]:
        ids = [id for id, _ in leases]
        # A fence beyond the column's range is nobody's.
        fences = [fence if 0 <= fence < FENCE_LIMIT else -1 for _, fence in leases]
        rows = self._session.rows(_RENEW, [ids, fences, instrument, adapter, instrument])
        found = {row[0]: r.Renewal(*row) for row in rows}
        return [found[id] for id in ids]

    def overdue(self, limit: int) -> list[r.Attempt]:
        return self._session.all_of(ATTEMPT, _OVERDUE, [limit])

    def live_of(self, instrument: str) -> list[r.Attempt]:
        return self._session.all_of(ATTEMPT, _LIVE_OF, [instrument])

    def of_experiment(self, experiment_id: int) -> list[r.Attempt]:
        return self._session.all_of(ATTEMPT, _OF_EXPERIMENT, [experiment_id])

    def newest(self, experiments: Sequence[int]) -> list[r.Attempt]:
        return self._session.all_of(ATTEMPT, _NEWEST, [list(experiments)])

    def durations(self, campaign_id: int, limit: int) -> list[float]:
        return [seconds for (seconds,) in self._session.rows(_DURATIONS, [campaign_id, limit])]

    def extend_live(self, seconds: float) -> int:
        return self._session.run(_EXTEND, [float(seconds)])


_INSTRUMENT = f"SELECT {INSTRUMENT.select('i')} FROM instruments i"
_INSTRUMENT_GET = f"{_INSTRUMENT} WHERE i.name = %s"
_INSTRUMENT_LOCK = f"{_INSTRUMENT_GET} FOR NO KEY UPDATE"
_INSTRUMENT_NEW = f"{INSTRUMENT.insert_one} ON CONFLICT (name) DO NOTHING"
# From those that were seen lately to their few live runs: no index on the queue is needed.
_SERVING = (
    "SELECT i.name, (SELECT count(*) FROM attempts a WHERE a.instrument = i.name AND a.state <> 'ended'), i.asks "
    "FROM instruments i WHERE i.queue = %s AND i.state = 'active' AND i.blocked_by IS NULL "
    "AND i.last_seen > clock_timestamp() - make_interval(secs => %s) ORDER BY i.name"
)
_INSTRUMENT_FIELDS = [name for name in INSTRUMENT.fields if name != "name"]
_INSTRUMENT_SAVE = INSTRUMENT.update_one(["name"], _INSTRUMENT_FIELDS)
_INSTRUMENT_SEEN = _INSTRUMENT_SAVE.replace(
    '"last_seen" = %s::TIMESTAMP WITH TIME ZONE', '"last_seen" = clock_timestamp()'
)
_SEEN_FIELDS = [name for name in _INSTRUMENT_FIELDS if name != "last_seen"]
_INSTRUMENT_FORGET = """
WITH gone AS MATERIALIZED (
    SELECT i.name FROM instruments i
    WHERE coalesce(i.last_seen, i.created_at) < %s AND i.state = 'active' AND i.blocked_by IS NULL
        AND i.failure_limit = %s
        AND NOT EXISTS (SELECT FROM attempts a WHERE a.instrument = i.name AND a.state <> 'ended')
    LIMIT %s FOR UPDATE SKIP LOCKED)
DELETE FROM instruments WHERE name = ANY(ARRAY(SELECT name FROM gone))"""


class PostgresInstruments:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, name: str) -> r.Instrument | None:
        return self._session.one_of(INSTRUMENT, _INSTRUMENT_GET, [name])

    def lock(self, name: str) -> r.Instrument:
        found = self._session.one_of(INSTRUMENT, _INSTRUMENT_LOCK, [name])
        if found is None:
            self._session.run(_INSTRUMENT_NEW, INSTRUMENT.values(r.Instrument(name), INSTRUMENT.inserted))
            found = self._session.one_of(INSTRUMENT, _INSTRUMENT_LOCK, [name])
        assert found is not None  # only those that were not heard of for long are deleted
        return found

    def save(self, instrument: r.Instrument, *, seen: bool = False) -> None:
        sql, fields = (_INSTRUMENT_SEEN, _SEEN_FIELDS) if seen else (_INSTRUMENT_SAVE, _INSTRUMENT_FIELDS)
        self._session.run(sql, [*INSTRUMENT.values(instrument, fields), instrument.name])

    def all(self) -> list[r.Instrument]:
        return self._session.all_of(INSTRUMENT, f"{_INSTRUMENT} ORDER BY i.name")

    def serving(self, queue: str, within: float) -> list[r.Serving]:
        return [r.Serving(*row) for row in self._session.rows(_SERVING, [queue, float(within)])]

    def forget(self, before: datetime, limit: int) -> int:
        usual = r.Instrument("").failure_limit
        return self._session.run(_INSTRUMENT_FORGET, [before, usual, limit])


# From the oldest on: those whose leases still live are few, and passed over. An array, not a join: a plan that was made
# for any limit would read the whole table.
_CLAIM_FORGET = """
WITH gone AS MATERIALIZED (
    SELECT c.key FROM claims c WHERE c.created_at < %s
        AND NOT EXISTS (SELECT FROM attempts a WHERE a.id = ANY(c.attempts) AND a.state <> 'ended')
    ORDER BY c.created_at LIMIT %s FOR UPDATE OF c SKIP LOCKED)
DELETE FROM claims WHERE key = ANY(ARRAY(SELECT key FROM gone))"""
_CLAIM_GET = f"SELECT {CLAIM.select('c')} FROM claims c WHERE c.key = %s"
_BATCH_GET = f"SELECT {BATCH.select('b')} FROM staged_batches b WHERE b.campaign_id = %s AND b.key = %s"


class PostgresClaims:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, key: str) -> r.Claim | None:
        return self._session.one_of(CLAIM, _CLAIM_GET, [key])

    def add(self, claim: r.Claim) -> None:
        self._session.insert(CLAIM, [claim])

    def forget(self, before: datetime, limit: int) -> int:
        return self._session.run(_CLAIM_FORGET, [before, limit])


class PostgresBatches:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, campaign_id: int, key: str) -> r.StagedBatch | None:
        return self._session.one_of(BATCH, _BATCH_GET, [campaign_id, key])

    def add(self, batch: r.StagedBatch) -> None:
        self._session.insert(BATCH, [batch])
