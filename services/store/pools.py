"""Pools and their rows in Postgres."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from models.domain import records as r
from models.domain.replacing import replace
from models.tables import pools as tables
from services.ports import PoolRow

from .rows import Shape, dumps
from .session import Session

POOL = Shape(r.Pool, tables.pools, given=["id"], now=["created_at"])

_FROM = f"SELECT {POOL.select('p')} FROM pools p"
_ADD = POOL.insert_one + " RETURNING id, created_at"
_NEXT = "SELECT coalesce(max(version), 0) + 1 FROM pools WHERE name = %s"
# One document a part: measured faster than arrays, which escape what is escaped already.
_ADD_ROWS = """
INSERT INTO pool_rows (pool_id, key, place, shown)
SELECT %s::bigint, j ->> 1, (j ->> 0)::integer, nullif(j -> 2, 'null') FROM jsonb_array_elements(%s::jsonb) j"""
_OF_FILE = f"{_FROM} WHERE p.sha256 = %s ORDER BY p.id LIMIT 1"
_ALL = f"SELECT DISTINCT ON (p.name) {POOL.select('p')} FROM pools p ORDER BY p.name, p.version DESC"
_ROWS = """
SELECT place, key, shown FROM pool_rows
WHERE pool_id = (SELECT min(id) FROM pools WHERE sha256 = %s) AND key = ANY(%s::text[])"""
_TAKEN = """
SELECT DISTINCT e.row FROM experiments e WHERE e.campaign_id = %s AND e.row = ANY(%s::text[])
AND e.state NOT IN ('cancelled', 'superseded', 'expired')"""
_SPENT = """
SELECT DISTINCT e.row FROM experiments e WHERE e.campaign_id = %s AND e.row IS NOT NULL
AND (e.state = 'failed' OR e.state = 'completed' AND e.outcome = 'suspect') ORDER BY e.row"""


class PostgresPools:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, pool: r.Pool, rows: Iterable[Sequence[PoolRow]]) -> r.Pool:
        known = self.of_file(pool.sha256)
        pool = replace(pool, version=int(self._session.value(_NEXT, [pool.name])))
        ((id, at),) = self._session.rows(_ADD, POOL.values(pool, POOL.inserted))
        for part in () if known is not None else rows:
            self._session.run(_ADD_ROWS, [id, dumps([(row.place, row.key, row.shown) for row in part])])
        return replace(pool, id=id, created_at=at)

    def newest(self, name: str) -> r.Pool | None:
        return next(reversed(self.versions(name)), None)

    def of_file(self, sha256: str) -> r.Pool | None:
        return self._session.one_of(POOL, _OF_FILE, [sha256])

    def versions(self, name: str) -> list[r.Pool]:
        if "\0" in name:
            return []
        return self._session.all_of(POOL, f"{_FROM} WHERE p.name = %s ORDER BY p.version", [name])

    def all(self) -> list[r.Pool]:
        return self._session.all_of(POOL, _ALL)

    def find(self, sha256: str, keys: Sequence[str]) -> dict[str, PoolRow]:
        asked = [key for key in keys if "\0" not in key]
        found = self._session.rows(_ROWS, [sha256, asked])
        return {
            key: PoolRow(place, key, None if shown is None else tuple(shown)) for place, key, shown in found
        }

    def taken(self, campaign_id: int, keys: Sequence[str]) -> set[str]:
        asked = [key for key in keys if "\0" not in key]
        return set(chain.from_iterable(self._session.rows(_TAKEN, [campaign_id, asked])))

    def spent(self, campaign_id: int) -> list[str]:
        return list(chain.from_iterable(self._session.rows(_SPENT, [campaign_id])))
