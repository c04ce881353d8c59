"""What goes back: compact JSON, pages of it, and CSV that a spreadsheet cannot mistake for formulas."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from starlette.responses import Response

JSON_TYPE = b"application/json"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_encode = json.JSONEncoder(separators=(",", ":"), default=_plain, allow_nan=False).encode


def dumps(value: Any) -> str:
    """Compact JSON; times as ISO 8601 in UTC, UUIDs as text. NaN is a defect and raises ValueError."""
    return _encode(value)


def time_text(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Json(Response):
    """An answer in compact JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return _encode(content).encode("ascii")


def page(items: Sequence[Any], cursor: str | int | None) -> Json:
    """`cursor` asks for the next page; None: this was the last."""
    return Json({"items": items, "next": None if cursor is None else str(cursor)})


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterable[bytes]:
    """RFC 4180, UTF-8. Text that a spreadsheet would run as a formula gets a quote before it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_cell(each) for each in header])
    for row in rows:
        writer.writerow([_cell(each) for each in row])
        if out.tell() > 32_768:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode()


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, datetime):
        return time_text(value)
    if not isinstance(value, str):
        value = str(value) if isinstance(value, UUID) else dumps(value)
    return "'" + value if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
