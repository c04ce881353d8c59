"""How a frozen record becomes a row and back: the SQL text is made once, from the record and its table."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ARRAY, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

from .driver import Row

T = TypeVar("T")

#: Ids are bigint: no row has one beyond.
ID_LIMIT = 2**63
#: What JSON may spell and Postgres cannot hold: NUL and lone surrogates. They become U+FFFD.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


class Shape(Generic[T]):
    """A record's columns in the order of its fields, and the SQL that reads and writes them.

    `enums`: fields that are one. `given`: columns that the database fills in (identities) and no insert names.
    `now`: columns that become the database's time where the record has none. `joined`: fields that live in another
    table, and its alias in every SELECT.
    """

    def __init__(
        self,
        record: type[T],
        table: Table,
        *,
        enums: Mapping[str, type[Enum]] | None = None,
        given: Collection[str] = (),
        now: Collection[str] = (),
        joined: Mapping[str, str] | None = None,
    ) -> None:
        self.record = record
        self.table = table.name
        self.fields = [field.name for field in dataclasses.fields(record)]  # type: ignore[arg-type]
        self._joined = dict(joined or {})
        own = {name: table.c[name].type for name in self.fields if name not in self._joined}
        self.types = {name: kind.compile(_DIALECT) for name, kind in own.items()}
        self._json = {name for name, kind in own.items() if isinstance(kind, JSONB)}
        self._lists = {name for name, kind in own.items() if isinstance(kind, ARRAY)}
        self._enums = dict(enums or {})
        self._encoders = {name: dumps for name in self._json} | dict.fromkeys(self._lists, list)
        self._now = set(now)
        self.inserted = [name for name in own if name not in given]
        self._decoders = [
            (place, decode) for place, name in enumerate(self.fields) for decode in self._decoder(name)
        ]
        self.insert_one = (
            f"INSERT INTO {self.table} ({columns(self.inserted)}) VALUES ("
            + ", ".join(self._value(name, f"%s::{self.types[name]}") for name in self.inserted)
            + ")"
        )
        self.insert_many = (
            f"INSERT INTO {self.table} ({columns(self.inserted)}) SELECT "
            + ", ".join(self._value(name, f'j."{name}"') for name in self.inserted)
            + f" FROM {self.recordset(self.inserted)}"
        )

    def select(self, alias: str) -> str:
        """The columns in the order that `load` reads."""
        return ", ".join(f'{self._joined.get(name, alias)}."{name}"' for name in self.fields)

    def recordset(self, fields: Sequence[str]) -> str:
        """One JSON parameter as rows `j` of these columns: the same SQL text for any number of rows."""
        typed = ", ".join(f'"{name}" {self.types[name]}' for name in fields)
        return f"jsonb_to_recordset(%s::jsonb) AS j({typed})"

    def update_one(self, keys: Sequence[str], fields: Sequence[str]) -> str:
        sets = ", ".join(f'"{name}" = %s::{self.types[name]}' for name in fields)
        where = " AND ".join(f'"{key}" = %s' for key in keys)
        return f"UPDATE {self.table} SET {sets} WHERE {where}"

    def update_many(self, key: str, fields: Sequence[str]) -> str:
        sets = ", ".join(f'"{name}" = j."{name}"' for name in fields)
        source = self.recordset([key, *fields])
        return f'UPDATE {self.table} t SET {sets} FROM {source} WHERE t."{key}" = j."{key}"'

    def load(self, row: Row) -> T:
        values = list(row)
        for place, decode in self._decoders:
            values[place] = decode(values[place])
        return self.record(*values)

    def load_all(self, rows: Sequence[Row]) -> list[T]:
        return [self.load(row) for row in rows]

    def values(self, record: T, fields: Sequence[str]) -> list[Any]:
        """As parameters of a statement for one row."""
        found = [_storable(getattr(record, name)) for name in fields]
        for place, name in enumerate(fields):
            encode = self._encoders.get(name)
            if encode is not None and found[place] is not None:
                found[place] = encode(found[place])
        return found

    def document(self, records: Sequence[T], fields: Sequence[str]) -> str:
        """As the one parameter of a statement for many rows."""
        return dumps([{name: getattr(record, name) for name in fields} for record in records])

    def _value(self, name: str, text: str) -> str:
        return f"coalesce({text}, clock_timestamp())" if name in self._now else text

    def _decoder(self, name: str) -> list[Callable[[Any], Any]]:
        if name in self._lists:
            return [tuple]
        if name in self._enums:
            return [{None: None, **{each.value: each for each in self._enums[name]}}.__getitem__]
        return []


def columns(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def ids(numbers: Sequence[int]) -> list[int]:
    """Those that a row could have."""
    return [number for number in numbers if 0 < number < ID_LIMIT]


def dumps(value: Any) -> str:
    """JSON that Postgres takes."""
    text = json.dumps(value, default=_other, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if "\\u0000" not in text and _is_storable(text):
        return text
    return json.dumps(_clean(json.loads(text)), ensure_ascii=False, separators=(",", ":"))


def _storable(value: Any) -> Any:
    if type(value) is not str or _is_storable(value):
        return value
    return _UNSTORABLE.sub("\ufffd", value)


def _other(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no JSON.")


def _is_storable(text: str) -> bool:
    return "\0" not in text and (text.isascii() or _UNSTORABLE.search(text) is None)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(each) for key, each in value.items()}
    return value
