"""forget: what grows with requests or with time alone comes to an end. What was run and measured is kept for ever.

Each kind in a transaction of its own, a batch at a time, the oldest first, rows that others hold passed over: several
janitors share the work, and one that dies in the middle leaves nothing half done.

    inquiries    a model's answers; those who ask wait no longer than the deadline
    events       about inquiries, and no others
    claims       keys; one whose leases have ended protects nothing: asked again, its adapter may as well get new ones
    tokens       that ended
    instruments  that left; the next claim of that name makes it anew
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.ports import Store, Transaction

#: So many rows of a kind in one transaction; answers may be large.
BATCH, ANSWERS = 1000, 100


@dataclass(frozen=True)
class Keep:
    """How long after its end each is kept. `claims`: after they were made."""

    inquiries: timedelta = timedelta(days=1)
    claims: timedelta = timedelta(days=7)
    gone: timedelta = timedelta(days=90)


KEEP = Keep()


@dataclass(frozen=True)
class _Kind:
    """`verb`: the port's, of a time and a limit; it removes what was over before then, and says how many."""

    name: str
    keep: Callable[[Keep], timedelta]
    verb: Callable[[Transaction], Callable[[datetime, int], int]]
    most: int = BATCH


KINDS = (
    _Kind("inquiries", lambda keep: keep.inquiries, lambda tx: tx.inquiries.forget, ANSWERS),
    _Kind("events", lambda keep: keep.inquiries, lambda tx: tx.events.forget_inquiries),
    _Kind("claims", lambda keep: keep.claims, lambda tx: tx.claims.forget),
    _Kind("tokens", lambda keep: keep.gone, lambda tx: tx.tokens.forget),
    _Kind("instruments", lambda keep: keep.gone, lambda tx: tx.instruments.forget),
)


@dataclass(frozen=True)
class Forgotten:
    """How many rows went, by kind. `more`: a batch was full, so that others may be waiting."""

    rows: dict[str, int]
    more: bool


def forget(store: Store, keep: Keep, batch: int = BATCH) -> Forgotten:
    """One batch of each kind."""
    rows, more = {}, False
    for kind in KINDS:
        limit = min(batch, kind.most)
        with store.begin() as tx:
            rows[kind.name] = kind.verb(tx)(tx.now() - kind.keep(keep), limit)
        more = more or rows[kind.name] == limit
    return Forgotten(rows, more)
