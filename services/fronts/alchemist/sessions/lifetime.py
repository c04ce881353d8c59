"""Sessions are made, listed and described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from models.domain import records as r
from services.fronts.alchemist.visit import Visitor
from services.ports import Ids, Store

from . import locking
from .keeping import SESSION, find, hold, save, text_of
from .session import Session

UNTITLED = "Untitled Session"


def create(
    store: Store,
    ids: Ids,
    name: str | None,
    description: str | None,
    tags: Sequence[str],
    author: str | None,
) -> Session:
    """Its campaign and its queue follow when they are first needed."""
    with store.begin() as tx:
        now = text_of(tx.now())
        made = Session(str(ids.uuid()), now, name, description, tuple(tags), author, last_modified=now)
        tx.documents.add(r.Document(SESSION, "", made.id, made.to_json()))
    return made


def listing(store: Store) -> dict[str, Any]:
    """Every session, the oldest first."""
    with store.begin() as tx:
        found = [Session.from_json(each.body) for each in tx.documents.all(SESSION)]
    sessions = [{**metadata(each), "n_variables": len(each.variables)} for each in found]
    return {"sessions": sessions, "count": len(sessions)}


def metadata(session: Session) -> dict[str, Any]:
    return {
        "session_id": session.id,
        "name": UNTITLED if session.name is None else session.name,
        "created_at": session.created_at,
        "last_modified": session.last_modified or session.created_at,
        "description": session.description or "",
        "tags": list(session.tags),
        "author": session.author or "",
    }


def describe(
    store: Store, session_id: str, changes: Mapping[str, Any], visitor: Visitor, token: str | None
) -> Session:
    """What is None in `changes` stays as it is. Raises Refusal (404, 409)."""
    given = {name: value for name, value in changes.items() if value is not None}
    if "tags" in given:
        given["tags"] = tuple(given["tags"])
    with store.begin() as tx:
        session = hold(tx, session_id)
        locking.require(tx, session_id, visitor, token)
        return save(tx, replace(session, **given))


def saved(store: Store, session_id: str) -> None:
    """Every change is kept before it is answered: nothing is left to do. Raises Refusal (404)."""
    with store.begin() as tx:
        find(tx, session_id)
