"""A session is removed: no route knows it any more, and what it measured stays with its campaign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.domain import records as r
from services.flow.steer import finish
from services.fronts.alchemist.sessions import locking
from services.fronts.alchemist.sessions.keeping import SESSION, hold
from services.fronts.alchemist.sessions.session import Session
from services.fronts.alchemist.visit import Visitor
from services.ports import Store, Transaction

from . import exporting

#: What a removed session was, for its recovery.
_REMOVED = f"{SESSION}.removed"


def remove(store: Store, session_id: str, visitor: Visitor, token: str | None) -> None:
    """Nothing of it is run any more. Raises Refusal (404, 409)."""
    with store.begin() as tx:
        session = hold(tx, session_id)
        locking.require(tx, session_id, visitor, token)
        campaign = tx.campaigns.lock(session_id)
        # The campaign's end takes back what waits: how it was is kept here.
        was = {"session": session.to_json(), "staged_experiments": exporting.staged(tx, session)}
        tx.documents.put([r.Document(_REMOVED, "", session.id, was)])
        if campaign is not None:
            finish(tx, campaign, "the ALchemist session was deleted", visitor.actor)
        tx.documents.remove(SESSION, "", session.id)


def removed(tx: Transaction, session_id: str) -> Mapping[str, Any] | None:
    """The file of a removed session; None where there is none."""
    found = tx.documents.get(_REMOVED, "", session_id)
    if found is None:
        return None
    whole = exporting.content(tx, Session.from_json(found.body["session"]))
    return {**whole, "staged_experiments": found.body["staged_experiments"]}
