"""Numbers and texts that people and instruments send: what they are, and how an answer shows them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from labqueue.errors import FieldError
from labqueue.parse import SIZE_LIMIT

SHOWN_LIMIT = 100


def number(value: Any) -> float | None:
    """The value as a finite number, or None where it is none (a truth value is none)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number beyond every float
        return None


def too_large(field: str, value: Any) -> FieldError:
    """Of a number that was sent: it may be right, but cannot be reckoned with."""
    return FieldError(
        field, f"is farther than {SIZE_LIMIT:g} from 0.", shown(value), hint="Take a larger unit."
    )


def shown(value: Any) -> Any:
    """A value that an answer can carry: what is no short plain value as short text."""
    plain = value is None or isinstance(value, (bool, str)) or number(value) is not None
    return value if plain and len(str(value)) <= SHOWN_LIMIT else _short(value)


def _short(value: Any) -> str:
    if isinstance(value, int):  # beyond every float, and perhaps too long for Python to print
        return "a whole number too large to reckon with"
    return (value if isinstance(value, str) else repr(value))[:SHOWN_LIMIT]


def listed(names: Iterable[str], most: int = 20) -> str:
    """Names that somebody sent, in a sentence: long ones cut, and not more of them than can be read."""
    found = list(names)
    parts = [each if len(each) <= SHOWN_LIMIT else each[: SHOWN_LIMIT - 1] + "…" for each in found[:most]]
    return ", ".join(parts) + (f" and {len(found) - most} more" if len(found) > most else "")


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """A hint that names the nearest known name, or nothing."""
    near = get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else ""


def did_you_mean_one_of(name: Any, known: Iterable[str]) -> str:
    """The same beside a message that lists what is known: nothing where that is a single name."""
    names = list(known)
    return did_you_mean(name, names) if len(names) > 1 else ""


def measure(value: float, unit: str) -> str:
    return f"{value:g} {unit}" if unit else f"{value:g}"
