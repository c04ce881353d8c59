"""Reads request bodies: bounded while they stream, strict JSON, and every fault named at once."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from labqueue.errors import FieldError, InvalidError, TooLargeError
from labqueue.lines import TwiceError, again, once
from services.api.faults import field_errors

Model = TypeVar("Model", bound=BaseModel)

#: What JSON may spell but neither UTF-8 nor Postgres can keep: NUL and half of a surrogate pair.
_UNKEEPABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_SPOOLED = 1 << 20
_MOST, _SHOWN = 100, 100  # faults that are named; letters of a key
_LONGEST_INTEGER = 300  # digits; beyond, it is no finite number any more


class BadJsonError(InvalidError):
    """The body is no JSON that can be read."""

    status = 400


class _NotFinite(ValueError):
    """NaN, an infinity, or a number too large to be one."""


class _Pairs(list[tuple[str, Any]]):
    """An object as it was written: each key with its value, the same one again included."""


async def read_raw(request: Request, limit: int) -> bytes:
    """The whole body. Raises TooLargeError as soon as more than `limit` bytes are announced or have come."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def spool(request: Request, limit: int, keep: Callable[[bytes], Awaitable[object]]) -> None:
    """Hands the body on in parts of about a megabyte, never whole in memory. Raises TooLargeError as `read_raw`."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = kept = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if size - kept >= _SPOOLED:
            await keep(b"".join(parts))
            parts, kept = [], size
    await keep(b"".join(parts))


def parse(raw: bytes) -> Any:
    """JSON as its standard has it. Raises BadJsonError for anything else, NaN and infinity included, and InvalidError
    where an object has a key twice or a text cannot be kept."""
    if not raw.strip():
        return {}
    try:
        value = _STRICT.decode(raw.decode("utf-8-sig"))
    except _NotFinite as error:
        raise BadJsonError(
            "JSON has no NaN and no infinity. Leave the value out, or name the output as outstanding.",
            errors=[
                FieldError(place, "is not a finite number.", text) for place, text in _not_finite(raw)[:_MOST]
            ],
        ) from error
    except TwiceError as error:
        message = "is given more than once in one object: keep one of them."
        places = _twice(raw) or [_inside("", error.key)]  # what follows may be no JSON
        raise InvalidError(errors=[FieldError(place or "body", message) for place in places]) from error
    except RecursionError as error:
        raise BadJsonError("The body is nested too deeply.") from error
    except ValueError as error:
        raise BadJsonError(f"The body is no JSON that can be read: {error}.") from error
    if _UNKEEPABLE.search(raw):
        wrong = [place for place, text in _texts(value, "") if not _keepable(text)]
        if wrong:
            message = "holds a NUL or half of a surrogate pair, which cannot be kept."
            raise InvalidError(errors=[FieldError(place, message) for place in wrong[:_MOST]])
    return value


def check(kind: type[Model], value: Any, place: str = "") -> Model:
    """`value` as `kind`. Raises InvalidError that names every wrong field, with `place` before its name."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise InvalidError(errors=field_errors(kind, error.errors(include_url=False), place)) from None


def _refuse(text: str) -> Any:
    raise _NotFinite(text)


def _real(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _NotFinite(text)
    return value


def _whole(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:
        raise _NotFinite(text[:20] + "...")
    return int(text)


_STRICT = json.JSONDecoder(
    object_pairs_hook=once, parse_constant=_refuse, parse_float=_real, parse_int=_whole
)


def _not_finite(raw: bytes) -> list[tuple[str, str]]:
    """Where in the body the numbers are that JSON does not have."""
    try:
        value = json.loads(raw.decode("utf-8-sig"), parse_int=float)
    except (ValueError, RecursionError):
        return []
    return [
        (place, str(each))
        for place, each in _leaves(value, "")
        if isinstance(each, float) and not math.isfinite(each)
    ]


def _twice(raw: bytes) -> list[str]:
    """Where in the body the first keys are that their objects have more than once."""
    try:
        value = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_Pairs, parse_int=float)
    except (ValueError, RecursionError):
        return []
    found: list[str] = []
    waiting = [("", value)]
    while waiting and len(found) < _MOST:
        outer, value = waiting.pop()
        if isinstance(value, _Pairs):
            found += [_inside(outer, key) for key in again(value)]
            waiting += [(_inside(outer, key), each) for key, each in reversed(value)]
        elif isinstance(value, list):
            waiting += [(f"{outer}[{number}]", value[number]) for number in reversed(range(len(value)))]
    return list(dict.fromkeys(found))[:_MOST]


def _inside(outer: str, key: str) -> str:
    """The place of a key in what stands at `outer`; that itself where the key cannot be shown."""
    if not _keepable(key):
        return outer or "body"
    return f"{outer}.{key[:_SHOWN]}" if outer else key[:_SHOWN]


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(each, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _leaves(each, f"{place}[{number}]")
    else:
        yield place, value


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every text with its place; keys too."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield place or "body", key
            yield from _texts(each, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _texts(each, f"{place}[{number}]")
    elif isinstance(value, str):
        yield place, value


def _keepable(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(
        f"The body is over the limit of {limit:,} bytes. Send it in parts, or as an artifact."
    )
