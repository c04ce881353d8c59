"""Jobs, models, the seats of users' own learners, suggestions and inquiries in Postgres."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from models.domain import records as r
from models.tables import learning as tables

from .rows import Shape, dumps
from .session import Session

JOB = Shape(r.Job, tables.jobs)
MODEL = Shape(r.Model, tables.models, now=["created_at"])
SEAT = Shape(r.Seat, tables.learners)
SUGGESTION = Shape(r.Suggestion, tables.suggestions, given=["id"], now=["created_at"])
INQUIRY = Shape(r.Inquiry, tables.inquiries, now=["created_at"])

_IN = "clock_timestamp() + make_interval(secs => %s)"

_JOB_GET = f"SELECT {JOB.select('j')} FROM jobs j WHERE j.campaign_id = %s AND j.kind = %s"
_JOB_LOCK = f"{_JOB_GET} FOR NO KEY UPDATE"
_JOB_NEW = f"{JOB.insert_one} ON CONFLICT (campaign_id, kind) DO NOTHING"
_JOB_FIELDS = [name for name in JOB.fields if name not in ("campaign_id", "kind", "deadline", "issued_at")]
_JOB_SAVE = (
    "UPDATE jobs j SET "
    + ", ".join(f'"{name}" = %s::{JOB.types[name]}' for name in _JOB_FIELDS)
    + ", deadline = coalesce(clock_timestamp() + make_interval(secs => %s::float8), %s::timestamptz)"
    + ", issued_at = CASE WHEN %s THEN clock_timestamp() ELSE %s::timestamptz END"
    + f" WHERE j.campaign_id = %s AND j.kind = %s RETURNING {JOB.select('j')}"
)
_JOB_RENEW = (
    f"UPDATE jobs SET deadline = {_IN} "
    "WHERE campaign_id = %s AND kind = %s AND fence = %s AND holder = %s AND holder <> ''"
)


class PostgresJobs:
    def __init__(self, session: Session) -> None:
        self._session = session

    def lock(self, campaign_id: int, kind: str) -> r.Job:
        found = self._session.one_of(JOB, _JOB_LOCK, [campaign_id, kind])
        if found is None:
            self._session.run(_JOB_NEW, JOB.values(r.Job(campaign_id, kind), JOB.inserted))
            found = self._session.one_of(JOB, _JOB_LOCK, [campaign_id, kind])
        assert found is not None  # no job is ever deleted
        return found

    def get(self, campaign_id: int, kind: str) -> r.Job:
        return self._session.one_of(JOB, _JOB_GET, [campaign_id, kind]) or r.Job(campaign_id, kind)

    def save(self, job: r.Job, *, lease_seconds: float | None = None, issued: bool = False) -> r.Job:
        saved = self._session.one_of(
            JOB,
            _JOB_SAVE,
            [
                *JOB.values(job, _JOB_FIELDS),
                lease_seconds,
                job.deadline,
                issued,
                job.issued_at,
                job.campaign_id,
                job.kind,
            ],
        )
        assert saved is not None  # it was locked before
        return saved

    def renew(self, job: r.Job, lease_seconds: float) -> bool:
        key = [job.campaign_id, job.kind, job.fence, job.holder]
        return self._session.run(_JOB_RENEW, [float(lease_seconds), *key]) == 1


_MODEL_GET = f"SELECT {MODEL.select('m')} FROM models m WHERE m.campaign_id = %s AND m.version = %s"
_STATELESS = MODEL.select("m").replace('m."state"', "''::bytea")
_MODEL_LATEST = (
    "SELECT {} FROM models m WHERE m.campaign_id = %s AND m.learner = %s ORDER BY m.version DESC LIMIT 1"
)
_MODEL_ALL = f"SELECT {_STATELESS} FROM models m WHERE m.campaign_id = %s ORDER BY m.version"
_MODEL_RECENT = _MODEL_ALL.replace("ORDER BY m.version", "ORDER BY m.version DESC LIMIT %s")
_MODEL_PROGRESS = (
    "UPDATE campaign_progress SET model_version = %s, model_revision = %s, model_accepted = %s "
    "WHERE campaign_id = %s"
)


class PostgresModels:
    def __init__(self, session: Session) -> None:
        self._session = session

    def latest(self, campaign_id: int, learner: str = "", *, state: bool = True) -> r.Model | None:
        sql = _MODEL_LATEST.format(MODEL.select("m") if state else _STATELESS)
        return self._session.one_of(MODEL, sql, [campaign_id, learner])

    def get(self, campaign_id: int, version: int) -> r.Model | None:
        return self._session.one_of(MODEL, _MODEL_GET, [campaign_id, version])

    def add(self, model: r.Model) -> None:
        self._session.run(MODEL.insert_one, MODEL.values(model, MODEL.inserted))
        seen = [model.version, model.data_revision, model.accepted, model.campaign_id]
        self._session.run(_MODEL_PROGRESS, seen)

    def all(self, campaign_id: int) -> list[r.Model]:
        return self._session.all_of(MODEL, _MODEL_ALL, [campaign_id])

    def recent(self, campaign_id: int, limit: int) -> list[r.Model]:
        return self._session.all_of(MODEL, _MODEL_RECENT, [campaign_id, limit])


_SEAT_GET = f"SELECT {SEAT.select('s')} FROM learners s WHERE s.campaign_id = %s"
_SEAT_LOCK = f"{_SEAT_GET} FOR NO KEY UPDATE"
_SEAT_NEW = f"{SEAT.insert_one} ON CONFLICT (campaign_id) DO NOTHING"
_SEAT_FIELDS = [name for name in SEAT.fields if name not in ("campaign_id", "seen_at", "failed_at")]
_SEAT_SAVE = (
    "UPDATE learners SET "
    + ", ".join(f'"{name}" = %s::{SEAT.types[name]}' for name in _SEAT_FIELDS)
    + ", seen_at = CASE WHEN %s THEN clock_timestamp() ELSE %s::timestamptz END"
    + ", failed_at = CASE WHEN %s THEN clock_timestamp() ELSE %s::timestamptz END"
    + " WHERE campaign_id = %s"
)


class PostgresSeats:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, campaign_id: int) -> r.Seat | None:
        return self._session.one_of(SEAT, _SEAT_GET, [campaign_id])

    def lock(self, campaign_id: int) -> r.Seat:
        found = self._session.one_of(SEAT, _SEAT_LOCK, [campaign_id])
        if found is None:
            self._session.run(_SEAT_NEW, SEAT.values(r.Seat(campaign_id), SEAT.inserted))
            found = self._session.one_of(SEAT, _SEAT_LOCK, [campaign_id])
        assert found is not None  # no seat is ever deleted
        return found

    def save(self, seat: r.Seat, *, seen: bool = False, failed: bool = False) -> None:
        told = [*SEAT.values(seat, _SEAT_FIELDS), seen, seat.seen_at, failed, seat.failed_at]
        self._session.run(_SEAT_SAVE, [*told, seat.campaign_id])


_SUGGESTION_ADD = f"{SUGGESTION.insert_one} RETURNING id, created_at"
_SUGGESTION_GET = f"SELECT {SUGGESTION.select('s')} FROM suggestions s WHERE s.id = %s"
_SUGGESTION_RECENT = (
    "SELECT {} FROM suggestions s WHERE s.campaign_id = %s ORDER BY s.number DESC LIMIT %s".format(
        SUGGESTION.select("s")
        .replace('s."snapshot",', "s.snapshot - 'pending' - 'staged',")
        .replace('s."candidates"', "'[]'::jsonb")
    )
)


class PostgresSuggestions:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, suggestion: r.Suggestion) -> r.Suggestion:
        row = self._session.row(_SUGGESTION_ADD, SUGGESTION.values(suggestion, SUGGESTION.inserted))
        assert row is not None  # an insert returns its row
        return replace(suggestion, id=row[0], created_at=row[1])

    def get(self, id: int) -> r.Suggestion | None:
        return self._session.one_of(SUGGESTION, _SUGGESTION_GET, [id])

    def recent(self, campaign_id: int, limit: int) -> list[r.Suggestion]:
        return self._session.all_of(SUGGESTION, _SUGGESTION_RECENT, [campaign_id, limit])


_INQUIRY = f"SELECT {INQUIRY.select('i')} FROM inquiries i"
_INQUIRY_GET = f"{_INQUIRY} WHERE i.id = %s"
_INQUIRY_LOCK = f"{_INQUIRY_GET} FOR NO KEY UPDATE"
_INQUIRY_SAVE = (
    "UPDATE inquiries SET state = %s, answer = %s::jsonb, message = %s, fence = %s, deadline = %s, "
    "issued_at = CASE WHEN %s THEN clock_timestamp() ELSE %s::timestamptz END WHERE id = %s"
)
_INQUIRY_DUE = (
    f"{_INQUIRY} WHERE i.state IN ('open', 'running') "
    "AND (i.state = 'open' OR i.deadline < clock_timestamp()) ORDER BY i.created_at, i.id"
)
_INQUIRY_FORGET = """
WITH gone AS MATERIALIZED (
    SELECT i.id FROM inquiries i WHERE i.state IN ('answered', 'failed', 'expired') AND i.deadline < %s
    ORDER BY i.deadline LIMIT %s FOR UPDATE SKIP LOCKED)
DELETE FROM inquiries WHERE id = ANY(ARRAY(SELECT id FROM gone))"""


class PostgresInquiries:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, inquiry: r.Inquiry, *, seconds: float) -> r.Inquiry:
        now = self._session.value("SELECT clock_timestamp()")
        added = replace(inquiry, created_at=now, deadline=now + timedelta(seconds=seconds))
        self._session.insert(INQUIRY, [added])
        return added

    def get(self, id: UUID) -> r.Inquiry | None:
        return self._session.one_of(INQUIRY, _INQUIRY_GET, [id])

    def lock(self, id: UUID) -> r.Inquiry | None:
        return self._session.one_of(INQUIRY, _INQUIRY_LOCK, [id])

    def save(self, inquiry: r.Inquiry, *, issued: bool = False) -> None:
        answer = None if inquiry.answer is None else dumps(inquiry.answer)
        told = [inquiry.state, answer, inquiry.message, inquiry.fence, inquiry.deadline]
        self._session.run(_INQUIRY_SAVE, [*told, issued, inquiry.issued_at, inquiry.id])

    def due(self) -> list[r.Inquiry]:
        return self._session.all_of(INQUIRY, _INQUIRY_DUE)

    def forget(self, before: datetime, limit: int) -> int:
        return self._session.run(_INQUIRY_FORGET, [before, limit])
