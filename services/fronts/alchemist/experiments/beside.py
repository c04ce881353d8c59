"""What a staged item says beside its point: its place in a split-plot design, and observed values that came early."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.domain import records as r
from services.fronts.alchemist.sessions.session import OBSERVED, Session
from services.ports import Transaction

#: Of a split-plot design: said with an item and shown with its row, never varied.
PLOT = ("WholePlot", "Subplot", "RunOrder")
_KIND = "alchemist.beside"

Json = dict[str, Any]


def split(session: Session, inputs: Mapping[str, Any]) -> tuple[Json, Json]:
    """What is to be chosen (with whatever is not known here), and what stands beside it."""
    observed = {each.name for each in session.variables if each.role == OBSERVED}
    later = {*observed, *(name for name in PLOT if session.variable(name) is None)}
    chosen = {name: value for name, value in inputs.items() if name not in later}
    return chosen, {name: value for name, value in inputs.items() if name in later}


def plot_of(beside: Mapping[str, Any]) -> Json | None:
    return {name: beside[name] for name in PLOT if name in beside} or None


def observed_of(beside: Mapping[str, Any]) -> Json:
    return {name: value for name, value in beside.items() if name not in PLOT}


def keep(tx: Transaction, session_id: str, said: Mapping[int, Json]) -> None:
    """By experiment."""
    tx.documents.put([r.Document(_KIND, session_id, str(id), body) for id, body in said.items() if body])


def of(tx: Transaction, session_id: str, experiment_id: int) -> Json:
    found = tx.documents.get(_KIND, session_id, str(experiment_id))
    return dict(found.body) if found else {}


def every(tx: Transaction, session_id: str) -> dict[int, Json]:
    """By experiment, those that say something."""
    return {int(each.name): dict(each.body) for each in tx.documents.all(_KIND, session_id)}
