"""Reads definitions that people wrote: collects every fault instead of stopping at the first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from .errors import FieldError

_MISSING: Any = object()

#: Letters of a name, a category, a label.
LINE_LIMIT = 200
#: Numbers are reckoned with far from where a float ends: their squares and products must fit too.
SIZE_LIMIT = 1e100


class Reader:
    """Typed access to a JSON object; what is wrong is appended to `errors` and a harmless value returned."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def wrong(self, field: str, message: str, value: Any = None, allowed: Any = None, hint: str = "") -> None:
        if isinstance(value, float) and not math.isfinite(value):
            value = repr(value)
        self.errors.append(FieldError(field, message, value, allowed, hint))

    def only(
        self,
        body: Mapping[str, Any],
        known: Sequence[str],
        place: str,
        deeper: Mapping[str, str] | None = None,
    ) -> None:
        """`deeper`: keys that belong further inside, with the path to each, for hints alone."""
        paths = {**(deeper or {}), **{key: key for key in known}}
        for key in body:
            if key not in known:
                near = get_close_matches(str(key), paths, n=1, cutoff=0.5)
                hint = f"Did you mean {paths[near[0]]}?" if near else ""
                self.wrong(_join(place, key), "is not known here.", body[key], ", ".join(known), hint)

    def object(self, value: Any, place: str) -> Mapping[str, Any]:
        if isinstance(value, Mapping):
            return value
        self.wrong(place, "must be an object.", value)
        return {}

    def objects(
        self, body: Mapping[str, Any], key: str, place: str, limit: int
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        items = self._list(body, key, place, ())
        if len(items) > limit:
            self.wrong(_join(place, key), f"has more than {limit} entries.", len(items), limit)
        for number, item in enumerate(items[:limit]):
            where = f"{_join(place, key)}[{number}]"
            if isinstance(item, Mapping):
                yield where, item
            else:
                self.wrong(where, "must be an object.", item)

    def text(
        self, body: Mapping[str, Any], key: str, place: str, default: Any = _MISSING, limit: int = 10_000
    ) -> str:
        value = self._get(body, key, place, default)
        if value is _MISSING:
            return ""
        if not isinstance(value, str) or (default is _MISSING and not value.strip()):
            self.wrong(_join(place, key), "must be text.", value)
            return ""
        self.printable(value, _join(place, key), limit)
        return value

    def number(self, body: Mapping[str, Any], key: str, place: str, default: Any = _MISSING) -> float:
        value = self._get(body, key, place, default)
        if value is _MISSING:
            return 0.0
        if not _finite(value):
            self.wrong(_join(place, key), "must be a finite number.", value, hint=_unquoted(value))
            return 0.0
        return float(value) if self.sized(value, _join(place, key)) else 0.0

    def positive(
        self, body: Mapping[str, Any], key: str, place: str, default: Any = _MISSING, zero: bool = False
    ) -> float:
        """A number above 0, or 0 itself where `zero` is allowed; what is no number at all is one fault, not two."""
        faults = len(self.errors)
        value = self.number(body, key, place, default)
        if len(self.errors) == faults and (value < 0 or (value == 0 and not zero)):
            self.wrong(_join(place, key), "cannot be negative." if zero else "must be positive.", value)
        return value

    def sized(self, value: float, place: str) -> bool:
        """Whether a finite number can be reckoned with; noted where it is too large."""
        if abs(value) <= SIZE_LIMIT:
            return True
        self.wrong(place, f"must be within {SIZE_LIMIT:g} of 0; take a larger unit.", value)
        return False

    def whole(
        self,
        body: Mapping[str, Any],
        key: str,
        place: str,
        default: Any = _MISSING,
        low: int = 0,
        high: int | None = None,
    ) -> int:
        value = self._get(body, key, place, default)
        if value is _MISSING:
            return low
        if not _finite(value) or value != int(value) or value < low:
            self.wrong(_join(place, key), f"must be a whole number of at least {low}.", value)
            return low
        if high is not None and value > high:
            self.wrong(_join(place, key), f"must be at most {high:,}.", value, high)
            return low
        return int(value)

    def flag(self, body: Mapping[str, Any], key: str, place: str, default: bool) -> bool:
        value = body.get(key, default)
        if not isinstance(value, bool):
            self.wrong(_join(place, key), "must be true or false.", value, "true, false")
            return default
        return value

    def choice(
        self,
        body: Mapping[str, Any],
        key: str,
        place: str,
        allowed: Sequence[str],
        default: Any = _MISSING,
        why: str = "",
        meant: Mapping[str, str] | None = None,
    ) -> str:
        """`why`: what makes a value an allowed one, where the list alone does not tell; `meant`: other words that
        people bring along, with the allowed value to hint at."""
        value = self._get(body, key, place, default)
        if value is _MISSING:
            return ""
        if not isinstance(value, str) or value not in allowed:
            near = get_close_matches(str(value), allowed, n=1, cutoff=0.5)
            guess = (meant or {}).get(str(value)) or (near[0] if near else "")
            # A single allowed value stands in the message already.
            hint = f"Did you mean {guess}?" if guess and len(allowed) > 1 else ""
            rule = f"must be one of {', '.join(allowed)}" if allowed else "has nothing that it could name"
            self.wrong(
                _join(place, key), f"{rule}: {why}." if why else f"{rule}.", value, list(allowed), hint
            )
            return ""
        return value

    def texts(self, body: Mapping[str, Any], key: str, place: str) -> list[str]:
        items = self._list(body, key, place, _MISSING)
        good = [item for item in items if isinstance(item, str) and item.strip()]
        odd = [number for number, item in enumerate(items) if not isinstance(item, str) or not item.strip()]
        if odd:
            first = items[odd[0]]
            hint = unquoted_text(first)
            said = "empty" if isinstance(first, str) else "no text"
            text = f"must be a list of texts; entry {odd[0] + 1} ({repr(first)[:40]}) is {said}."
            self.wrong(_join(place, key), text, list(items)[:10], hint=hint)
        elif not items:
            self.wrong(_join(place, key), "must be a list of texts, not empty.", [])
        for item in good:
            self.printable(item, _join(place, key), LINE_LIMIT)
        return good

    def distinct(self, values: Sequence[Any], key: str, place: str) -> tuple[Any, ...]:
        if len(set(values)) != len(values):
            self.wrong(_join(place, key), "has the same entry twice.", list(values)[:10])
        return tuple(values)

    def printable(self, value: str, place: str, limit: int) -> None:
        """Notes a text that is too long or cannot be shown; what is as short as a name is on one line."""
        lines = value.splitlines() if limit > LINE_LIMIT else [value]
        if len(value) > limit or not all(line.isprintable() for line in lines):
            one = "" if limit > LINE_LIMIT else " on one line"
            self.wrong(place, f"must be printable text{one} of at most {limit} letters.", value[:50])

    def numbers(self, body: Mapping[str, Any], key: str, place: str) -> list[float]:
        items = self._list(body, key, place, _MISSING)
        good = [float(item) for item in items if _finite(item)]
        if len(good) != len(items) or not items:
            self.wrong(_join(place, key), "must be a list of finite numbers, not empty.")
        return [item for item in good if self.sized(item, _join(place, key))]

    def _list(self, body: Mapping[str, Any], key: str, place: str, default: Any) -> Sequence[Any]:
        value = self._get(body, key, place, default)
        if isinstance(value, (list, tuple)):
            return value
        if value is not _MISSING:
            self.wrong(_join(place, key), "must be a list.", value)
        return ()

    def _get(self, body: Mapping[str, Any], key: str, place: str, default: Any) -> Any:
        value = body.get(key, default)
        if value is _MISSING:
            self.wrong(_join(place, key), "is missing.")
        return value


def _finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False


def unquoted_text(value: Any) -> str:
    """What to do about a text that came as a number, a truth value or a date: YAML takes no for false."""
    if isinstance(value, (str, Mapping, list, tuple)) or value is None:
        return ""
    return "Write it in quotes (YAML takes a plain no, yes, on or off for a truth value, and digits for a number)."


def _unquoted(value: Any) -> str:
    """What to do about a number that came as text: YAML takes 1e-4 for text."""
    if isinstance(value, str) and len(value) < LINE_LIMIT:
        try:
            found = float(value)
        except ValueError:
            return ""
        if math.isfinite(found):
            return "It is text: write it without quotes (YAML takes 1e-4 for text; 1.0e-4 is a number)."
    return ""


def _join(place: str, key: str) -> str:
    return f"{place}.{key}" if place else str(key)
