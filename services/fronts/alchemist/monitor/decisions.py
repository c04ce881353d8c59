"""What people decided, locked into the audit: the data, the model, the next experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.fronts.alchemist.experiments import rows
from services.fronts.alchemist.learning import modelling
from services.fronts.alchemist.refusals import Refusal
from services.fronts.alchemist.sessions import audit, locking
from services.fronts.alchemist.sessions.keeping import hold
from services.fronts.alchemist.sessions.session import Session
from services.fronts.alchemist.visit import Visitor
from services.ports import Store, Transaction

DATA, MODEL, ACQUISITION = "data", "model", "acquisition"


def lock(
    store: Store,
    session_id: str,
    kind: str,
    notes: str,
    given: tuple[str | None, Mapping[str, Any] | None, Sequence[Mapping[str, Any]] | None],
    visitor: Visitor,
    token: str | None,
) -> audit.Entry:
    """`given`: strategy, parameters and suggestions, which an acquisition needs. Raises Refusal (400)."""
    with store.begin() as tx:
        session = hold(tx, session_id)
        locking.require(tx, session_id, visitor, token)
        said = {DATA: _data, MODEL: _model, ACQUISITION: _acquisition}[kind](tx, session, given)
        return audit.record(tx, session_id, f"{kind}_locked", said, notes, visitor.actor)


def event(
    store: Store,
    session_id: str,
    entry_type: str,
    parameters: Mapping[str, Any],
    notes: str,
    visitor: Visitor,
    token: str | None,
) -> audit.Entry:
    """An entry of a program's own."""
    with store.begin() as tx:
        hold(tx, session_id)
        locking.require(tx, session_id, visitor, token)
        return audit.record(tx, session_id, entry_type, parameters, notes, visitor.actor)


def _data(tx: Transaction, session: Session, given: Any) -> dict[str, Any]:
    found = table(tx, session)
    return {"n_experiments": len(found), "data_hash": audit.digest(found)}


def _model(tx: Transaction, session: Session, given: Any) -> dict[str, Any]:
    model = modelling.summary(tx, session)
    if model is None:
        raise Refusal("No trained model available. Use train_model() first.")
    return {
        "backend": model["backend"],
        "kernel": model["hyperparameters"].get("kernel_type"),
        "hyperparameters": model["hyperparameters"],
        "cv_metrics": model["metrics"],
        "iteration": _iteration(tx, session),
    }


def _acquisition(tx: Transaction, session: Session, given: Any) -> dict[str, Any]:
    strategy, parameters, suggestions = given
    if not (strategy and parameters and suggestions):
        raise Refusal("Acquisition lock requires strategy, parameters, and suggestions")
    return {
        "strategy": strategy,
        "parameters": parameters,
        "suggestions": suggestions,
        "iteration": _iteration(tx, session),
    }


def table(tx: Transaction, session: Session) -> list[dict[str, Any]]:
    """The session's rows as ALchemist's tables have them."""
    return rows.table(session, rows.of(tx, session))


def _iteration(tx: Transaction, session: Session) -> int:
    """The next one."""
    return max((each.iteration for each in rows.of(tx, session)), default=-1) + 1
