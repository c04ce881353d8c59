"""What each caller believes the pending list to be, so that outputs that come by position are never paired wrongly.

A belief is a count and a sum of hashes of experiments: a few numbers, however long the list is. Reading the list sets
the caller's belief, and staging adds to it. The belief under "" is that of whoever read or staged last; callers that
did neither have it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from models.domain import records as r
from services.fronts.alchemist.sessions.keeping import READ, text_of
from services.fronts.alchemist.visit import Visitor
from services.ports import Transaction

_BYTES = 7
_SPAN = 1 << (8 * _BYTES)
_ANYBODY = ""


@dataclass(frozen=True)
class Belief:
    """total  the sum of the hashes of what is listed
    at     when the caller last read the list, or first staged; empty: it did neither
    loose  the caller took something out of the list since then: what it stages now may be meant by another program
           of the same name and address, so it is not taken to know of it
    done   the list that it completed last, `request` and `answer`: the same request again gets the same answer"""

    count: int = 0
    total: int = 0
    at: str = ""
    loose: bool = False
    done: Mapping[str, Any] | None = None

    def is_of(self, ids: Iterable[int]) -> bool:
        listed = list(ids)
        return (self.count, self.total) == (len(listed), _sum(listed))

    def with_these(self, ids: Sequence[int]) -> Belief:
        return replace(self, count=self.count + len(ids), total=(self.total + _sum(ids)) % _SPAN)

    def without(self, ids: Sequence[int]) -> Belief:
        return replace(self, count=self.count - len(ids), total=(self.total - _sum(ids)) % _SPAN)


@dataclass(frozen=True)
class Known:
    """belief  of this caller; `borrowed` from whoever read or staged last, where it did neither itself
    done    what it completed last
    emptied did anybody complete the whole list, and nobody read it since or added to it?"""

    belief: Belief
    borrowed: bool
    done: Mapping[str, Any] | None
    emptied: bool


def of(tx: Transaction, session_id: str, visitor: Visitor) -> Known:
    own = _get(tx, session_id, visitor.key) or Belief()
    belief = own if own.at else _get(tx, session_id, _ANYBODY) or Belief()
    return Known(belief, not own.at, own.done, belief.done is not None)


def known(tx: Transaction, session_id: str) -> int:
    """How many are pending, as far as the last reader knew, with what was staged since then."""
    return (_get(tx, session_id, _ANYBODY) or Belief()).count


def has_read(tx: Transaction, session_id: str, visitor: Visitor, ids: Sequence[int]) -> None:
    """This is the pending list, and the caller is about to be told."""
    for key in (_ANYBODY, visitor.key):
        known = _get(tx, session_id, key) or Belief()
        if known.loose or not known.at or not known.is_of(ids):
            new = Belief(len(ids), _sum(ids), text_of(tx.now()), done=known.done)
            _put(tx, session_id, key, new)


def has_staged(tx: Transaction, session_id: str, visitor: Visitor, ids: Sequence[int]) -> None:
    """These were added, and the caller is about to be told so."""
    for key in (_ANYBODY, visitor.key):
        known = _lock(tx, session_id, key) or Belief()
        if not known.loose:
            at = known.at or text_of(tx.now())
            _put(tx, session_id, key, replace(known.with_these(ids), at=at))


def has_cleared(tx: Transaction, session_id: str, visitor: Visitor) -> None:
    """The caller emptied the list."""
    for key in (_ANYBODY, visitor.key):
        _put(tx, session_id, key, Belief(at=text_of(tx.now())))


def has_ended(tx: Transaction, session_id: str, visitor: Visitor, id: int, begun: datetime | None) -> None:
    """The caller completed, failed or deleted this one by its id. `begun`: when its live attempt was claimed; what had
    begun before the caller read was not in the list that it read."""
    known = _lock(tx, session_id, visitor.key)
    if known is not None and known.at and (begun is None or text_of(begun) > known.at):
        _put(tx, session_id, visitor.key, replace(known.without([id]), loose=True))


def has_completed(
    tx: Transaction, session_id: str, visitor: Visitor, ids: Sequence[int], request: str, answer: Any
) -> None:
    """The caller completed the whole list; for whoever believed in it, it is empty now."""
    done = {"request": request, "answer": answer}
    for key in (_ANYBODY, visitor.key):
        known = _lock(tx, session_id, key)
        if key == visitor.key or (known is not None and known.is_of(ids)):
            at = text_of(tx.now()) if known is not None and known.at else ""
            _put(tx, session_id, key, Belief(at=at, done=done))


def _sum(ids: Iterable[int]) -> int:
    return sum(_hash(each) for each in ids) % _SPAN


def _hash(id: int) -> int:
    return int.from_bytes(hashlib.blake2b(str(id).encode(), digest_size=_BYTES).digest(), "big")


def _get(tx: Transaction, session_id: str, key: str) -> Belief | None:
    return _read(tx.documents.get(READ, session_id, key))


def _lock(tx: Transaction, session_id: str, key: str) -> Belief | None:
    return _read(tx.documents.lock(READ, session_id, key))


def _read(found: r.Document | None) -> Belief | None:
    return None if found is None else Belief(**found.body)


def _put(tx: Transaction, session_id: str, key: str, belief: Belief) -> None:
    tx.documents.put([r.Document(READ, session_id, key, asdict(belief))])
