"""One psycopg connection, driven through libpq's own blocking calls.

Our statements are constant texts: each is prepared once per connection and then costs one call, where a cursor
converts, looks up, polls and describes anew (measured: half of a life's processor time). The interpreter lock is
free while Postgres works. Parameters travel as text whose type the statement tells, results through psycopg's
loaders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

Parameters = Sequence[Any] | Mapping[str, Any]
Row = tuple[Any, ...]

_DONE = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)
_PLACE = re.compile(r"%s|%\((\w+)\)s")
_QUOTED = str.maketrans({"\\": r"\\", '"': r"\""})
#: SQL text -> the same with numbered places, and the names of its parameters where they have some.
_NUMBERED: dict[str, tuple[bytes, list[str]]] = {}


class Driver:
    """`prepared` false: each statement is parsed anew, which any pooler can serve."""

    def __init__(self, connection: psycopg.Connection[Any], *, prepared: bool) -> None:
        self._libpq = connection.pgconn
        self._loaders = Transformer(connection)
        self._prepared: dict[str, bytes] | None = {} if prepared else None

    @property
    def status(self) -> TransactionStatus:
        return TransactionStatus(self._libpq.transaction_status)

    def simple(self, sql: bytes) -> PGresult:
        """Statements without parameters, in one round trip. The last one's result."""
        return self._checked(self._libpq.exec_(sql))

    def execute(self, sql: str, parameters: Parameters = ()) -> PGresult:
        """Raises psycopg's errors."""
        text, names = _NUMBERED.get(sql) or _number(sql)
        given = [parameters[name] for name in names] if isinstance(parameters, Mapping) else parameters
        values = [None if value is None else _bytes(value) for value in given]
        if self._prepared is None:
            return self._checked(self._libpq.exec_params(text, values))
        name = self._prepared.get(sql)
        if name is None:
            name = b"s%d" % len(self._prepared)
            self._checked(self._libpq.prepare(name, text))
            self._prepared[sql] = name
        # The stub leaves out None, which libpq takes as NULL.
        return self._checked(self._libpq.exec_prepared(name, values))  # type: ignore[arg-type]

    def _checked(self, result: PGresult) -> PGresult:
        if result.status in _DONE:
            return result
        if self._libpq.status != ConnStatus.OK:
            raise psycopg.OperationalError(self._libpq.get_error_message())
        raise error_from_result(result)

    def rows(self, result: PGresult) -> list[Row]:
        self._loaders.set_pgresult(result)
        return self._loaders.load_rows(0, result.ntuples, tuple)


def _number(sql: str) -> tuple[bytes, list[str]]:
    """`%s` and `%(name)s` as $1, $2, ...; a percent sign has no other use in our SQL."""
    names: list[str] = []
    count = 0

    def place(found: re.Match[str]) -> str:
        nonlocal count
        name = found[1]
        if name is None:
            count += 1
            return f"${count}"
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    numbered = _NUMBERED[sql] = (_PLACE.sub(place, sql).encode(), names)
    return numbered


def _bytes(value: Any) -> bytes:
    try:
        return _text(value).encode()
    except UnicodeEncodeError:
        raise psycopg.DataError("text cannot contain lone surrogates") from None


def _text(value: Any) -> str:
    """A value as Postgres reads it. A NUL would end the text unseen: it is refused."""
    kind = type(value)
    if kind is str:
        if "\0" in value:
            raise psycopg.DataError("text cannot contain NUL (0x00)")
        return str(value)
    if kind is int or kind is UUID:
        return str(value)
    if kind is float:
        return repr(value)
    if kind is bool:
        return "t" if value else "f"
    if kind is datetime:
        return str(value.isoformat())
    if kind is bytes:
        return "\\x" + str(value.hex())
    if kind is list:
        return (
            "{"
            + ",".join("NULL" if each is None else f'"{_text(each).translate(_QUOTED)}"' for each in value)
            + "}"
        )
    if isinstance(value, Enum):
        return _text(value.value)
    if isinstance(value, float):  # a subclass, such as numpy's
        return repr(float(value))
    if isinstance(value, str):
        return _text(str.__str__(value))
    raise TypeError(f"{kind.__name__} is no type of a column.")
