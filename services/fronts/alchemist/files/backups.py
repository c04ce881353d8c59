"""Crash backups, as ALchemist's page makes them. Every change is kept at once here, so a backup is a mark: what is
restored from it is a new session with everything that the old one has by then, or had when it was deleted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from services.fronts.alchemist.experiments.rows import count
from services.fronts.alchemist.refusals import Refusal
from services.fronts.alchemist.sessions import lifetime
from services.fronts.alchemist.sessions.keeping import BACKUP, SESSION, find, note, text_of
from services.fronts.alchemist.sessions.session import Session
from services.ports import Ids, Store, Transaction

from . import exporting, importing
from .removing import removed


def make(store: Store, session_id: str) -> None:
    """Raises Refusal (404)."""
    with store.begin() as tx:
        session = find(tx, session_id)
        campaign = tx.campaigns.get(session_id)
        body = {
            "session_id": session_id,
            "session_name": lifetime.metadata(session)["name"],
            "backup_time": text_of(tx.now()),
            "n_variables": len(session.variables),
            "n_experiments": count(tx, session_id),
            "model_trained": campaign is not None and tx.models.latest(campaign.id, state=False) is not None,
            "file_path": f"recovery/{session_id}.json",
        }
        note(tx, BACKUP, session_id, "", body)


def clear(store: Store, session_id: str) -> bool:
    """Was there one?"""
    with store.begin() as tx:
        return tx.documents.remove(BACKUP, session_id, "")


def listing(store: Store) -> dict[str, Any]:
    """The newest first."""
    with store.begin() as tx:
        found = [dict(each.body) for each in tx.documents.all(BACKUP)]
    found.sort(key=lambda each: str(each["backup_time"]), reverse=True)
    return {"recoveries": found, "count": len(found)}


def restore(store: Store, ids: Ids, session_id: str, actor: str) -> Session:
    """A new session; the backup is the new one's from then on. Raises Refusal (404)."""
    with store.begin() as tx:
        mark, body = tx.documents.get(BACKUP, session_id, ""), _body(tx, session_id)
    if mark is None or body is None:
        raise Refusal(f"No recovery data found for session {session_id[:100]}", status=404)
    made = importing.load(store, ids, body, actor)
    with store.begin() as tx:
        if tx.documents.remove(BACKUP, session_id, ""):
            note(tx, BACKUP, made.id, "", {**mark.body, "session_id": made.id})
    return made


def clean(store: Store, hours: float) -> int:
    """Removes those that are older. How many."""
    with store.begin() as tx:
        until = tx.now() - timedelta(hours=hours)
        old = [each for each in tx.documents.all(BACKUP) if each.changed_at and each.changed_at < until]
        return sum(tx.documents.remove(BACKUP, each.parent, each.name) for each in old)


def _body(tx: Transaction, session_id: str) -> Mapping[str, Any] | None:
    """Its file, as it is or as it was when it was deleted."""
    found = tx.documents.get(SESSION, "", session_id)
    return removed(tx, session_id) if found is None else exporting.content(tx, Session.from_json(found.body))
