"""Provenance: for each measured row what was suggested, what was run, and what is between them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.fronts.alchemist.refusals import Refusal
from services.fronts.alchemist.sessions.keeping import find, text_of
from services.fronts.alchemist.sessions.session import Session
from services.ports import Store

from . import items, rows

Json = dict[str, Any]


def listed(store: Store, session_id: str) -> list[Json]:
    """Of every row, in order. Raises Refusal (404)."""
    with store.begin() as tx:
        session = find(tx, session_id)
        return [of_row(session, each) for each in rows.of(tx, session)]


def one(store: Store, session_id: str, id: str) -> Json:
    """Raises Refusal (404)."""
    found = next((each for each in listed(store, session_id) if each["id"] == id), None)
    if found is None:
        raise Refusal(f"Unknown provenance id: {id[:100]}", status=404)
    return found


def of_row(session: Session, row: rows.Row) -> Json:
    inputs = {name: value for name, value in row.inputs.items() if session.variable(name) is not None}
    return {
        **_said(row.id, row.iteration, row.reason, row.suggested, inputs),
        "output": items.of_targets(session, row.outputs),
        "noise": items.of_targets(session, row.noise),
        "timestamp": row.at,
    }


def record(
    id: str,
    iteration: int | None,
    reason: str | None,
    suggested: Mapping[str, Any] | None,
    actual: Mapping[str, Any],
    output: Any,
    noise: Any,
    at: datetime,
) -> Json:
    """Of a result that comes now."""
    said = _said(id, iteration, reason, suggested, actual)
    return {**said, "output": output, "noise": noise, "timestamp": text_of(at)}


def _said(
    id: str,
    iteration: int | None,
    reason: str | None,
    suggested: Mapping[str, Any] | None,
    actual: Mapping[str, Any],
) -> Json:
    return {
        "id": id,
        "iteration": iteration,
        "strategy": reason or rows.MANUAL,
        "acq_params": {},
        "suggested": None if suggested is None else dict(suggested),
        "actual": dict(actual),
        "delta": {name: _between((suggested or {}).get(name), value) for name, value in actual.items()},
    }


def _between(suggested: Any, actual: Any) -> Any:
    if suggested is None:
        return "no-suggestion"
    if _number(suggested) and _number(actual):
        return actual - suggested
    return "unchanged" if suggested == actual else f"{suggested}\u2192{actual}"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
