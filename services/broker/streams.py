"""How what we publish looks in Redis: keys and entries.

    labqueue:QUEUE:batches   stream, one per queue: entries `kind` (batch, withdrawn) and `body` (JSON)
    labqueue:queues          set: the names of the queues that have a stream
    labqueue:events          stream: `number` (events are numbered up to it) or `queue` (it has a stream now)
    labqueue:epoch           our half of the epoch; gone when the server lost its data
    labqueue:celery:...      what Celery keeps

A queue's name may hold any printable text. In its key everything but letters, digits and `_.-~` is
percent-encoded (UTF-8), so that names cannot collide with our other keys or with an ACL's pattern.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

EPOCH = "labqueue:epoch"
EVENTS = "labqueue:events"
QUEUES = "labqueue:queues"
CELERY = "labqueue:celery:"
_PREFIX, _SUFFIX = "labqueue:", ":batches"

#: Entries kept per queue, about; a subscriber that was away for longer starts with what can be claimed now.
STREAM_ENTRIES = 1000
STREAM_SECONDS = 24 * 3600
EVENT_ENTRIES = 100

FIRST = "0-0"


@dataclass(frozen=True)
class Entry:
    """One entry of a queue's stream. `batch`: experiments were staged; `withdrawn`: they can be claimed no longer."""

    kind: str
    body: Mapping[str, Any]

    @property
    def epoch(self) -> str:
        return str(self.body.get("epoch", ""))

    @property
    def count(self) -> int:
        """How many experiments it speaks of."""
        return len(self.body.get("experiments", ()))


def stream(queue: str) -> str:
    """The key of `queue`'s stream."""
    return f"{_PREFIX}{quote(queue, safe='')}{_SUFFIX}"


def queue_of(key: str) -> str:
    """The queue whose stream `key` is."""
    return unquote(key[len(_PREFIX) : -len(_SUFFIX)])


def write(kind: str, body: Mapping[str, Any], epoch: str) -> dict[str, str]:
    """The fields of an entry."""
    text = json.dumps({**body, "epoch": epoch}, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return {"kind": kind, "body": text}


def read(fields: Mapping[str, str]) -> Entry | None:
    """None for what somebody else wrote there: Redis is not trusted."""
    try:
        body = json.loads(fields["body"])
    except (KeyError, ValueError):
        return None
    return Entry(fields.get("kind", ""), body) if isinstance(body, dict) else None


def position(id: str) -> tuple[int, int]:
    """A stream id as something that can be compared."""
    head, _, tail = id.partition("-")
    return int(head), int(tail or 0)
