"""Reads request bodies as the contract says: unknown fields are named, every fault at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labqueue.errors import InvalidError
from labqueue.parse import Reader

WAIT_LIMIT = 60.0
BATCH_LIMIT = 500


def read(body: Any, known: Sequence[str], place: str = "") -> tuple[Reader, Mapping[str, Any]]:
    reader = Reader()
    fields = reader.object(body, place or "body")
    reader.only(fields, known, place)
    return reader, fields


def check(reader: Reader, message: str) -> None:
    if reader.errors:
        raise InvalidError(message, errors=reader.errors)


def read_wait(reader: Reader, fields: Mapping[str, Any]) -> float:
    wait = reader.number(fields, "wait", "", 0.0)
    if not 0 <= wait <= WAIT_LIMIT:
        reader.wrong("wait", f"must be 0 to {WAIT_LIMIT:g} seconds.", wait)
    return wait


def read_items(body: Any) -> list[Any]:
    reader, fields = read(body, ["items"])
    items = fields.get("items")
    if not isinstance(items, list) or len(items) > BATCH_LIMIT:
        reader.wrong("items", f"must be a list of at most {BATCH_LIMIT}.", None)
    check(reader, "The batch cannot be used as it stands.")
    return list(items or [])
