"""How a session's model is asked for: kept with the session, and its kernel in the strategy of its campaign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.fronts.alchemist.sessions import kernels, locking
from services.fronts.alchemist.sessions.campaign import change_in
from services.fronts.alchemist.sessions.keeping import hold
from services.fronts.alchemist.sessions.session import Session
from services.fronts.alchemist.visit import Visitor
from services.ports import Store, Transaction

BACKEND, KERNEL = "sklearn", "RBF"


def keep(tx: Transaction, session: Session, wish: Mapping[str, Any], actor: str) -> None:
    """The session must be held. Raises Refusal (400)."""
    asked = kernels.checked(wish)
    if dict(session.model) != asked:
        change_in(
            tx, session.id, lambda each: replace(each, model=asked), "how the model is asked for", actor
        )


def override(
    store: Store,
    session_id: str,
    backend: str | None,
    kernel: str | None,
    visitor: Visitor,
    token: str | None,
) -> None:
    """Another backend begins afresh, another kernel without the parameters of the one before. Raises Refusal."""
    with store.begin() as tx:
        session = hold(tx, session_id)
        locking.require(tx, session_id, visitor, token)
        wish = {"backend": BACKEND, **session.model}
        if backend and backend.lower() != wish["backend"]:
            wish = {"backend": backend.lower()}
        if kernel and kernel.lower() != str(wish.get("kernel")).lower():
            wish = {**wish, "kernel": kernel, "kernel_params": None}
        keep(tx, session, wish, visitor.actor)
