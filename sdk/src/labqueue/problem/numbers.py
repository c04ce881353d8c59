"""Numbers and texts that people and instruments send: what they are, and how an answer shows them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

SHOWN_LIMIT = 100


def number(value: Any) -> float | None:
    """The value as a finite number, or None where it is none (a truth value is none)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number beyond every float
        return None


def shown(value: Any) -> Any:
    """A value that an answer can carry: what is no short plain value as short text."""
    plain = value is None or isinstance(value, (bool, str)) or number(value) is not None
    return value if plain and len(str(value)) <= SHOWN_LIMIT else _short(value)


def _short(value: Any) -> str:
    if isinstance(value, int):  # beyond every float, and perhaps too long for Python to print
        return "a whole number too large to reckon with"
    return (value if isinstance(value, str) else repr(value))[:SHOWN_LIMIT]


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """A hint that names the nearest known name, or nothing."""
    near = get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else ""


def measure(value: float, unit: str) -> str:
    return f"{value:g} {unit}" if unit else f"{value:g}"
