"""A body as the JSON that is sent; what JSON cannot carry is found before, and named."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import FieldError, InvalidError


def encoded(body: Any) -> bytes:
    """Raises InvalidError that names each field with NaN, an infinity or a value of a type that JSON has not."""
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError):
        if wrong := list(_unsendable(body, "")):
            raise InvalidError(errors=wrong) from None
        raise


def _unsendable(value: Any, place: str) -> Iterator[FieldError]:
    if isinstance(value, float):
        if not math.isfinite(value):
            yield FieldError(place, "is not a finite number.", repr(float(value)))
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _unsendable(each, f"{place}.{name}" if place else str(name))
    elif isinstance(value, (list, tuple)):
        for number, each in enumerate(value):
            yield from _unsendable(each, f"{place}[{number}]")
    elif not isinstance(value, (str, int, type(None))):
        name = type(value).__name__
        yield FieldError(place, f"is of type {name}, which JSON has not.", repr(value)[:80])
