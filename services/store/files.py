"""Files of campaigns, and bytes of none, in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from models.domain import records as r
from models.tables import files as tables

from .rows import Shape
from .session import Session

FILE = Shape(r.File, tables.campaign_files, given=["revision"], now=["changed_at", "created_at"])

_ALL = f"SELECT {FILE.select('f')} FROM campaign_files f WHERE f.campaign_id = %s"
_REPLACED = ["before", "sha256", "size", "key", "actor"]
_SETS = ", ".join(f"{name} = excluded.{name}" for name in ["revision", *_REPLACED])
_PUT = (
    f"{FILE.insert_one} ON CONFLICT (campaign_id, name) DO UPDATE SET {_SETS}, changed_at = clock_timestamp() "
    f"RETURNING {FILE.select('campaign_files')}"
)
_LOOSEN = (
    "INSERT INTO loose_files (key) SELECT unnest(%s::text[]) "
    "ON CONFLICT (key) DO UPDATE SET since = clock_timestamp()"
)


class PostgresFiles:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, campaign_id: int, name: str) -> r.File | None:
        return self._session.one_of(FILE, f"{_ALL} AND f.name = %s", [campaign_id, name])

    def of_campaign(self, campaign_id: int) -> list[r.File]:
        return self._session.all_of(FILE, f'{_ALL} ORDER BY f.name COLLATE "C"', [campaign_id])

    def count(self, campaign_id: int) -> int:
        sql = "SELECT count(*) FROM campaign_files WHERE campaign_id = %s"
        return int(self._session.value(sql, [campaign_id]))

    def put(self, file: r.File) -> r.File:
        found = self._session.one_of(FILE, _PUT, FILE.values(file, FILE.inserted))
        assert found is not None
        return found

    def remove(self, campaign_id: int, name: str) -> None:
        self._session.run(
            "DELETE FROM campaign_files WHERE campaign_id = %s AND name = %s", [campaign_id, name]
        )

    def loosen(self, keys: Sequence[str]) -> None:
        self._session.run(_LOOSEN, [list(keys)])

    def hold(self, key: str) -> bool:
        return self._session.run("DELETE FROM loose_files WHERE key = %s", [key]) == 1

    def loose(self, before: datetime, limit: int) -> list[str]:
        sql = "SELECT key FROM loose_files WHERE since < %s ORDER BY since, key LIMIT %s"
        return [str(row[0]) for row in self._session.rows(sql, [before, limit])]

    def forget(self, keys: Sequence[str]) -> None:
        self._session.run("DELETE FROM loose_files WHERE key = ANY(%s)", [list(keys)])
