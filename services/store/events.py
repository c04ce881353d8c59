"""Events and the outbox in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from models.domain import records as r
from models.tables.operations import outbox
from models.tables.results import events

from .rows import Shape
from .session import Session

EVENT = Shape(r.Event, events, now=["at"])
ENTRY = Shape(r.Published, outbox, given=["id"])

#: Keys of advisory locks: any numbers that nothing else uses.
NUMBERING = 0x1AB_0002
RELAYING = 0x1AB_0003
RESTAGED_TOGETHER = 500

_TRY = "SELECT pg_try_advisory_xact_lock(%s)"
_LOCK = "SELECT pg_advisory_xact_lock(%s)"
# A statement of its own after the lock: its snapshot must see what the last numberer committed. Rows of
# `results` are updated in the order of `seq`; nothing here waits for a campaign.
_NUMBER = f"""
WITH head AS (SELECT coalesce(max(number), 0) AS last FROM events WHERE number IS NOT NULL),
waiting AS (SELECT id FROM events WHERE number IS NULL ORDER BY id LIMIT %s),
ordered AS (SELECT id, row_number() OVER (ORDER BY id) AS place FROM waiting),
numbered AS (
    UPDATE events e SET number = head.last + ordered.place FROM ordered, head WHERE e.id = ordered.id
    RETURNING {EVENT.select("e")}),
announced AS MATERIALIZED (
    SELECT s.seq, numbered.number FROM results s JOIN numbered ON numbered.result_seq = s.seq
    ORDER BY s.seq FOR NO KEY UPDATE OF s),
revised AS (UPDATE results s SET revision = announced.number FROM announced WHERE s.seq = announced.seq),
learnt AS (
    SELECT campaign_id, max(number) FILTER (WHERE teaches) AS revision, sum(accepts) AS accepted
    FROM numbered WHERE teaches OR accepts <> 0 GROUP BY campaign_id),
progress AS (
    UPDATE campaign_progress p SET data_revision = greatest(p.data_revision, learnt.revision),
        accepted = p.accepted + learnt.accepted
    FROM learnt WHERE p.campaign_id = learnt.campaign_id)
SELECT * FROM numbered ORDER BY number"""
_PAGE = f"SELECT {EVENT.select('e')} FROM events e WHERE e.number IS NOT NULL AND e.number > %s"
_END = " ORDER BY e.number LIMIT %s"
# The newest number of all stays, or it would be given again. A webhook that has heard all of these needs none of them.
_FORGET_INQUIRIES = """
WITH gone AS MATERIALIZED (
    SELECT id FROM events WHERE starts_with(type, 'inquiry.') AND at < %s AND number <= least(
        (SELECT max(number) - 1 FROM events WHERE number IS NOT NULL), (SELECT min(cursor) FROM webhooks))
    ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED)
DELETE FROM events WHERE id = ANY(ARRAY(SELECT id FROM gone))"""
_LAST = "SELECT coalesce(max(number), 0) FROM events WHERE number IS NOT NULL"

_TAKE = f"SELECT {ENTRY.select('o')} FROM outbox o ORDER BY o.id LIMIT %s"
_RESTAGE = """
WITH ordered AS (
    SELECT e.id, e.code, e.campaign, e.priority, e.planned,
        row_number() OVER (ORDER BY e.priority DESC, e.tag, e.id) AS place
    FROM experiments e WHERE e.queue = %(queue)s AND e.state = 'staged' AND e.ready),
parts AS (
    SELECT (place - 1) / %(size)s AS part, count(*) AS size, jsonb_agg(jsonb_build_object('id', id, 'code', code,
        'campaign', campaign, 'priority', priority, 'parameters', planned) ORDER BY place) AS listed
    FROM ordered GROUP BY part),
written AS (
    INSERT INTO outbox (queue, kind, body)
    SELECT %(queue)s, 'batch', jsonb_build_object('batch', NULL, 'campaign', NULL, 'model_version', 0,
        'data_revision', 0, 'experiments', listed)
    FROM parts ORDER BY part)
SELECT coalesce(sum(size), 0)::bigint FROM parts"""
_SET_EPOCH = """
INSERT INTO stream_epochs (queue, epoch) VALUES (%s, %s)
ON CONFLICT (queue) DO UPDATE SET epoch = excluded.epoch, set_at = clock_timestamp()"""


class PostgresEvents:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, events: Sequence[r.Event]) -> None:
        self._session.insert(EVENT, events)

    def number(self, limit: int = 1000, *, wait: bool = False) -> list[r.Event]:
        if wait:
            self._session.run(_LOCK, [NUMBERING])
        elif not self._session.value(_TRY, [NUMBERING]):
            return []
        return self._session.all_of(EVENT, _NUMBER, [limit])

    def after(
        self, number: int, limit: int, *, campaign_id: int | None = None, experiment_id: int | None = None
    ) -> list[r.Event]:
        sql, parameters = _PAGE, [number]
        for column, wanted in (("campaign_id", campaign_id), ("experiment_id", experiment_id)):
            if wanted is not None:
                sql += f" AND e.{column} = %s"
                parameters.append(wanted)
        return self._session.all_of(EVENT, sql + _END, [*parameters, limit])

    def last(self) -> int:
        return int(self._session.value(_LAST))

    def forget_inquiries(self, before: datetime, limit: int) -> int:
        return self._session.run(_FORGET_INQUIRIES, [before, limit])


class PostgresOutbox:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, entries: Sequence[r.Published]) -> None:
        self._session.insert(ENTRY, entries)

    def take(self, limit: int) -> list[r.Published]:
        if not self._session.value(_TRY, [RELAYING]):
            return []
        return self._session.all_of(ENTRY, _TAKE, [limit])

    def done(self, ids: Sequence[int]) -> None:
        self._session.run("DELETE FROM outbox WHERE id = ANY(%s::bigint[])", [list(ids)])

    def restage(self, queue: str) -> int:
        return int(self._session.value(_RESTAGE, {"queue": queue, "size": RESTAGED_TOGETHER}))

    def epochs(self) -> dict[str, str]:
        return dict(self._session.rows("SELECT queue, epoch FROM stream_epochs"))

    def set_epoch(self, queue: str, epoch: str) -> None:
        self._session.run(_SET_EPOCH, [queue, epoch])
