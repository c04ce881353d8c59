"""How things look on a terminal: aligned tables, numbers, errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labqueue.errors import FieldError, LabqueueError

ALLOWED_LIMIT = 200
#: From here on the digits of a whole number tell nobody anything; 1e300 may come as one of 301 digits.
LONG = 10**16


def explain(error: LabqueueError) -> str:
    """What happened, then what is wrong with each field and what to do, a line each."""
    return "\n".join([error.message, *(f"  - {explain_field(each)}" for each in error.errors)])


def explain_field(error: FieldError) -> str:
    parts = [str(error)]
    if error.value is not None and str(error.value) != error.field:
        shown = _short(error.value)
        if not re.search(rf"(?<![\w.]){re.escape(shown.strip(chr(34)))}(?![\w.])", parts[0]):
            parts.append(f"(It is {shown}.)")
    allowed = error.allowed if isinstance(error.allowed, str) else _listed(error.allowed)
    if allowed and not error.hint and allowed not in parts[0]:
        parts.append(f"Allowed: {allowed[:ALLOWED_LIMIT]}.")
    return " ".join(parts)


def _listed(allowed: Any) -> str:
    if isinstance(allowed, (list, tuple)):
        return ", ".join(str(each) for each in allowed)
    return "" if allowed is None else str(allowed)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:79] + "…"


def cell(value: Any) -> str:
    """A value as a table shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and abs(value) >= LONG:
        return _scientific(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        shown = {name: cell(each) for name, each in value.items()}
        return ", ".join(f"{name} {text}" for name, text in shown.items() if text)
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(each) for each in value)
    return str(value).replace("\n", " ")


def _scientific(value: int) -> str:
    try:
        return f"{value:.6g}"
    except OverflowError:  # beyond every float
        return "above 1e308" if value > 0 else "below -1e308"


def moment(text: str | None) -> str | None:
    """A server's time as people read it: whole seconds, UTC."""
    if not text:
        return text
    date, _, time = text.partition("T")
    return f"{date} {time[:8]} UTC" if time else text


def many(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Aligned columns under a header; numbers to the right, columns without any content left out."""
    content = [list(row) for row in rows]
    filled = [n for n in range(len(header)) if any(cell(row[n]) for row in content)]
    texts = [[header[n] for n in filled], *([cell(row[n]) for n in filled] for row in content)]
    widths = [max(len(row[n]) for row in texts) for n in range(len(filled))]
    numeric = [all(_is_number(row[n]) for row in content) for n in filled]
    lines = []
    for row in texts:
        parts = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric)
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def dump(value: Any) -> str:
    """For machines."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def counts(of: Mapping[str, int] | None, none: str = "nothing yet") -> str:
    """How many in which state, the interesting ones first. `none`: said where there are none."""
    order = [
        "held",
        "leased",
        "staged",
        "proposed",
        "partial",
        "completed",
        "failed",
        "cancelled",
        "superseded",
        "expired",
    ]
    known = [name for name in order if (of or {}).get(name)]
    more = [name for name in (of or {}) if name not in order and (of or {})[name]]
    return ", ".join(f"{(of or {})[name]} {name}" for name in [*known, *more]) or none
