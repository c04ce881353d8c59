"""A session and its campaign, held for a change by somebody who may make it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from models.domain import records as r
from services.flow.shared import campaign_of
from services.fronts.alchemist.visit import Visitor
from services.ports import Ids, Store, Transaction

from .campaign import ensure
from .keeping import find, hold
from .locking import require
from .session import Session


@dataclass(frozen=True)
class Act:
    """Who changes which session. `token`: of the session's lock, where it was shown."""

    store: Store
    ids: Ids
    session_id: str
    visitor: Visitor
    token: str | None = None

    @property
    def actor(self) -> str:
        return self.visitor.actor


@dataclass(frozen=True)
class Opened:
    tx: Transaction
    session: Session
    campaign: r.Campaign


@contextmanager
def opened(act: Act) -> Iterator[Opened]:
    """One transaction that holds the session and its campaign, which is made where there is none yet.

    Raises Refusal (404; 400 without variables; 409 while another caller holds the session's lock).
    """
    ensure(act.store, act.ids, act.session_id, act.actor)
    with act.store.begin() as tx:
        session = hold(tx, act.session_id)
        require(tx, act.session_id, act.visitor, act.token)
        yield Opened(tx, session, campaign_of(tx, act.session_id, lock=True))


def reading(tx: Transaction, session_id: str) -> tuple[Session, r.Campaign | None]:
    """To look at only. Raises Refusal (404)."""
    return find(tx, session_id), tx.campaigns.get(session_id)
