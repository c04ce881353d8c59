"""Labels and units of objectives, shown as they were given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.fronts.alchemist.refusals import VALUE, Refusal
from services.fronts.alchemist.visit import Visitor
from services.ports import Store

from . import audit, locking
from .keeping import find, hold, save

FIELDS = ("label", "unit")
MOST = 1000


def read(store: Store, session_id: str) -> dict[str, Any]:
    with store.begin() as tx:
        return {"metadata": dict(find(tx, session_id).objective_metadata)}


def write(
    store: Store,
    session_id: str,
    given: Mapping[str, Mapping[str, str | None]],
    visitor: Visitor,
    token: str | None,
) -> dict[str, Any]:
    """What is not named stays; the audit hears of what changed. Raises Refusal (404, 409)."""
    with store.begin() as tx:
        session = hold(tx, session_id)
        locking.require(tx, session_id, visitor, token)
        old = {name: dict(each) for name, each in session.objective_metadata.items()}
        new = {name: dict(each) for name, each in old.items()}
        for name, each in given.items():
            new.setdefault(name, {}).update({field: each[field] for field in FIELDS if field in each})
        if len(new) > MOST:
            raise Refusal(f"A session has labels for at most {MOST} objectives.", VALUE)
        if new != old:
            save(tx, replace(session, objective_metadata=new))
            changed = {"old": old, "new": new}
            audit.record(
                tx,
                session_id,
                "objective_label_changed",
                changed,
                "Objective label/unit updated",
                visitor.actor,
            )
    return {"metadata": new}
