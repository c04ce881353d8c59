"""What edges keep beside the flow, in Postgres."""

from __future__ import annotations

from collections.abc import Sequence

from models.domain import records as r
from models.tables import operations as tables

from .rows import Shape
from .session import Session

DOCUMENT = Shape(r.Document, tables.documents, given=["id"], now=["created_at", "changed_at"])

_ALL = f"SELECT {DOCUMENT.select('d')} FROM documents d"
_ONE = "WHERE kind = %s AND parent = %s AND name = %s"
_GET = f"{_ALL} {_ONE}"
_LOCK = f"{_GET} FOR NO KEY UPDATE"
_ADD = f"{DOCUMENT.insert_one} ON CONFLICT (kind, parent, name) DO NOTHING"
_FIELDS = ["kind", "parent", "name", "body"]
_PUT = (
    f"INSERT INTO documents (kind, parent, name, body) SELECT j.kind, j.parent, j.name, j.body "
    f"FROM {DOCUMENT.recordset(_FIELDS)} ON CONFLICT (kind, parent, name) "
    "DO UPDATE SET body = excluded.body, changed_at = clock_timestamp()"
)


class PostgresDocuments:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, kind: str, parent: str, name: str) -> r.Document | None:
        return self._session.one_of(DOCUMENT, _GET, [kind, parent, name])

    def lock(self, kind: str, parent: str, name: str) -> r.Document | None:
        return self._session.one_of(DOCUMENT, _LOCK, [kind, parent, name])

    def put(self, documents: Sequence[r.Document]) -> None:
        if documents:
            self._session.run(_PUT, [DOCUMENT.document(documents, _FIELDS)])

    def add(self, document: r.Document) -> bool:
        return self._session.run(_ADD, DOCUMENT.values(document, DOCUMENT.inserted)) == 1

    def remove(self, kind: str, parent: str, name: str) -> bool:
        return self._session.run(f"DELETE FROM documents {_ONE}", [kind, parent, name]) == 1

    def clear(self, kind: str, parent: str) -> int:
        return self._session.run("DELETE FROM documents WHERE kind = %s AND parent = %s", [kind, parent])

    def all(self, kind: str, parent: str | None = None) -> list[r.Document]:
        if parent is None:
            return self._session.all_of(DOCUMENT, f"{_ALL} WHERE d.kind = %s ORDER BY d.id", [kind])
        sql = f"{_ALL} WHERE d.kind = %s AND d.parent = %s ORDER BY d.id"
        return self._session.all_of(DOCUMENT, sql, [kind, parent])
