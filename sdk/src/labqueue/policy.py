"""What a queue's policy may be: the one rule behind a campaign's file and the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .parse import Reader
from .states import LostLease

#: Seconds: the shortest and the longest lease.
LEASE_SECONDS = (1.0, 90 * 86400.0)
ATTEMPTS = (1, 1000)
FIELDS = ("lease_seconds", "on_lost", "max_attempts", "people")


def read_policy(reader: Reader, value: Any, place: str) -> dict[str, Any]:
    """The fields that are given, checked; what is wrong is noted with `place` before the field."""
    body: Mapping[str, Any] = reader.object(value, place)
    reader.only(body, FIELDS, place)
    if "lease_seconds" in body:
        before, (low, high) = len(reader.errors), LEASE_SECONDS
        seconds = reader.number(body, "lease_seconds", place)
        if len(reader.errors) == before and not low <= seconds <= high:
            rule = f"{low:g} to {high:.0f} seconds"
            reader.wrong(f"{place}.lease_seconds", f"must be {rule}.", seconds, rule)
    if "on_lost" in body:
        reader.choice(body, "on_lost", place, [each.value for each in LostLease])
    if "max_attempts" in body:
        reader.whole(body, "max_attempts", place, low=ATTEMPTS[0], high=ATTEMPTS[1])
    if "people" in body:
        reader.flag(body, "people", place, False)
    return dict(body)
