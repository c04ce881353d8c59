"""Tokens, artifacts, webhooks and signs of life in Postgres."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from models.domain import records as r
from models.tables import operations as tables

from .rows import Shape, dumps
from .session import Session

TOKEN = Shape(r.Token, tables.tokens, now=["created_at"])
ARTIFACT = Shape(r.Artifact, tables.artifacts, now=["created_at"])
WEBHOOK = Shape(r.Webhook, tables.webhooks, now=["created_at"])

_TOKEN = f"SELECT {TOKEN.select('t')} FROM tokens t"
_TOKEN_ANY = (
    "SELECT EXISTS (SELECT FROM tokens WHERE revoked_at IS NULL "
    "AND (expires_at IS NULL OR expires_at > clock_timestamp()))"
)
_TOKEN_FORGET = """
WITH gone AS MATERIALIZED (
    SELECT id FROM tokens WHERE least(expires_at, revoked_at) < %s LIMIT %s FOR UPDATE SKIP LOCKED)
DELETE FROM tokens WHERE id = ANY(ARRAY(SELECT id FROM gone))"""


class PostgresTokens:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, token: r.Token) -> None:
        self._session.insert(TOKEN, [token])

    def by_prefix(self, prefix: str) -> r.Token | None:
        if "\0" in prefix:
            return None
        return self._session.one_of(TOKEN, f"{_TOKEN} WHERE t.prefix = %s", [prefix])

    def all(self) -> list[r.Token]:
        return self._session.all_of(TOKEN, f"{_TOKEN} ORDER BY t.created_at, t.id")

    def revoke(self, id: UUID) -> bool:
        sql = "UPDATE tokens SET revoked_at = clock_timestamp() WHERE id = %s AND revoked_at IS NULL"
        return self._session.run(sql, [id]) == 1

    def any(self) -> bool:
        return bool(self._session.value(_TOKEN_ANY))

    def forget(self, before: datetime, limit: int) -> int:
        return self._session.run(_TOKEN_FORGET, [before, limit])


class PostgresArtifacts:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, sha256: str) -> r.Artifact | None:
        sql = f"SELECT {ARTIFACT.select('a')} FROM artifacts a WHERE a.sha256 = %s"
        return self._session.one_of(ARTIFACT, sql, [sha256])

    def add(self, artifact: r.Artifact) -> None:
        sql = f"{ARTIFACT.insert_one} ON CONFLICT (sha256) DO NOTHING"
        self._session.run(sql, ARTIFACT.values(artifact, ARTIFACT.inserted))


_WEBHOOK = f"SELECT {WEBHOOK.select('w')} FROM webhooks w"
_WEBHOOK_FIELDS = [name for name in WEBHOOK.fields if name not in ("id", "created_at")]
_WEBHOOK_SAVE = WEBHOOK.update_one(["id"], _WEBHOOK_FIELDS)


class PostgresWebhooks:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, webhook: r.Webhook) -> None:
        self._session.insert(WEBHOOK, [webhook])

    def all(self) -> list[r.Webhook]:
        return self._session.all_of(WEBHOOK, f"{_WEBHOOK} ORDER BY w.created_at, w.id")

    def lock(self, id: UUID) -> r.Webhook | None:
        return self._session.one_of(WEBHOOK, f"{_WEBHOOK} WHERE w.id = %s FOR NO KEY UPDATE", [id])

    def save(self, webhook: r.Webhook) -> None:
        self._session.run(_WEBHOOK_SAVE, [*WEBHOOK.values(webhook, _WEBHOOK_FIELDS), webhook.id])

    def remove(self, id: UUID) -> bool:
        return self._session.run("DELETE FROM webhooks WHERE id = %s", [id]) == 1


# The row is locked first, so that two stamps at once see one another; 0 where the clock was set back.
_STAMP = """
WITH before AS MATERIALIZED (SELECT id, stamped_at FROM liveness WHERE id = 1 FOR NO KEY UPDATE)
UPDATE liveness l SET stamped_at = clock_timestamp() FROM before WHERE l.id = before.id
RETURNING greatest(0, extract(epoch FROM l.stamped_at - before.stamped_at))::float8"""
_STAMP_FIRST = """
INSERT INTO liveness (id, stamped_at) VALUES (1, clock_timestamp()) ON CONFLICT DO NOTHING"""
_AGE = """
SELECT greatest(0, extract(epoch FROM clock_timestamp() - stamped_at))::float8 FROM liveness WHERE id = 1"""
_LEAD = """
INSERT INTO leases AS l (name, holder, deadline)
VALUES (%s, %s, clock_timestamp() + make_interval(secs => %s))
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, deadline = excluded.deadline
WHERE l.holder = excluded.holder OR l.deadline < clock_timestamp()"""
_BEAT = """
INSERT INTO workers (kind, holder, beat_at, info) VALUES (%s, %s, clock_timestamp(), %s::jsonb)
ON CONFLICT (kind, holder) DO UPDATE SET beat_at = excluded.beat_at, info = excluded.info"""
_LEAVE = "DELETE FROM workers WHERE kind = %s AND holder = %s"
_FORGET = "DELETE FROM workers WHERE beat_at < clock_timestamp() - interval '1 day'"
_WORKERS = """
SELECT kind, holder, greatest(0, extract(epoch FROM clock_timestamp() - beat_at))::float8, info FROM workers
WHERE beat_at >= clock_timestamp() - interval '1 day' ORDER BY kind, holder"""


class PostgresLiveness:
    def __init__(self, session: Session) -> None:
        self._session = session

    def stamp(self) -> float:
        gap = self._session.value(_STAMP)
        if gap is None:
            self._session.run(_STAMP_FIRST)
            return 0.0
        return float(gap)

    def age(self) -> float | None:
        age: float | None = self._session.value(_AGE)
        return age

    def lead(self, name: str, holder: str, seconds: float) -> bool:
        return self._session.run(_LEAD, [name, holder, float(seconds)]) == 1

    def beat(self, kind: str, holder: str, info: Mapping[str, Any]) -> None:
        self._session.run(_BEAT, [kind, holder, dumps(dict(info))])
        self._session.run(_FORGET)

    def leave(self, kind: str, holder: str) -> None:
        self._session.run(_LEAVE, [kind, holder])

    def workers(self) -> list[tuple[str, str, float, Mapping[str, Any]]]:
        return [(row[0], row[1], row[2], row[3]) for row in self._session.rows(_WORKERS)]
