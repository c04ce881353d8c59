"""Where sessions lie: documents beside the flow, read and written in the flow's own transactions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from models.domain import records as r
from services.fronts.alchemist.refusals import unknown_session
from services.ports import Transaction

from .session import Session

#: Kinds of documents. A session's own has no parent; what belongs to it has the session as its parent.
SESSION, AUDIT, LOCK, READ, UNPAIRED, BACKUP = (
    f"alchemist.{word}" for word in ("session", "audit", "lock", "read", "unpaired", "backup")
)


def text_of(at: datetime) -> str:
    return at.isoformat()


def find(tx: Transaction, id: str) -> Session:
    """Raises Refusal (404)."""
    return _session(id, tx.documents.get(SESSION, "", id))


def hold(tx: Transaction, id: str) -> Session:
    """The same, held against other writers. Whoever changes a session or what hangs on it holds it first, and locks
    the campaign after it. Raises Refusal (404)."""
    return _session(id, tx.documents.lock(SESSION, "", id))


def save(tx: Transaction, session: Session) -> Session:
    session = replace(session, last_modified=text_of(tx.now()))
    tx.documents.put([r.Document(SESSION, "", session.id, session.to_json())])
    return session


def note(tx: Transaction, kind: str, session_id: str, name: str, body: Mapping[str, Any]) -> None:
    """A document that belongs to a session."""
    tx.documents.put([r.Document(kind, session_id, name, dict(body))])


def _session(id: str, found: r.Document | None) -> Session:
    if found is None:
        raise unknown_session(id)
    return Session.from_json(found.body)
