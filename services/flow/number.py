"""number: events get their numbers right after commit: gapless, in order of visibility."""

from __future__ import annotations

from models.domain import records as r
from services.ports import Store

#: Events numbered in one transaction.
LIMIT = 1000


def number(store: Store, *, wait: bool = False) -> list[r.Event]:
    """The events that were numbered now, in order; nothing where another process is at it, but with `wait`: then all
    that was committed before this call has its number after it."""
    numbered: list[r.Event] = []
    while True:
        with store.begin() as tx:
            batch = tx.events.number(LIMIT, wait=wait)
        numbered += batch
        if len(batch) < LIMIT:
            return numbered
