"""Server-sent events, followed across broken connections."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .backoff import Backoff
from .errors import UnavailableError
from .transport import Transport


def follow(
    transport: Transport, path: str, after: int, filters: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The data of each event after this number; asks again from the last one seen when the stream breaks."""
    backoff = Backoff()
    while True:
        try:
            for number, data in parse(transport.lines(path, {**filters, "after": after})):
                after = after if number is None else number
                backoff.reset()
                yield data
        except UnavailableError:
            pass
        time.sleep(backoff.pause())


def parse(lines: Iterable[str]) -> Iterator[tuple[int | None, dict[str, Any]]]:
    """(number or None, data) of each whole event; comments and what is cut off at the end are left out."""
    number: int | None = None
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield number, json.loads("\n".join(data))
            number, data = None, []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "id":
            number = int(value) if value.isdigit() else None
