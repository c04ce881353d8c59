"""What JSON has no number for is found before a body is sent, and named."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import FieldError, InvalidError


def finite(body: dict[str, Any]) -> dict[str, Any]:
    """The body as it is. Raises InvalidError that names each field with NaN or an infinity."""
    if wrong := list(_endless(body, "")):
        raise InvalidError(errors=wrong)
    return body


def _endless(value: Any, place: str) -> Iterator[FieldError]:
    if isinstance(value, float):
        if not math.isfinite(value):
            yield FieldError(place, "is not a finite number.", repr(float(value)))
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _endless(each, f"{place}.{name}" if place else str(name))
    elif isinstance(value, (list, tuple)):
        for number, each in enumerate(value):
            yield from _endless(each, f"{place}[{number}]")
