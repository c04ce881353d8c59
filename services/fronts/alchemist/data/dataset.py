"""The dataset as it is shown: all rows, and what they are in short."""

from __future__ import annotations

import statistics
from typing import Any

from services.fronts.alchemist.experiments import rows
from services.fronts.alchemist.sessions.keeping import find
from services.fronts.alchemist.sessions.session import Session
from services.ports import Store, Transaction

Json = dict[str, Any]


def table(store: Store, session_id: str) -> list[Json]:
    """Raises Refusal (404)."""
    with store.begin() as tx:
        session = find(tx, session_id)
        return rows.table(session, rows.of(tx, session))


def summary(store: Store, session_id: str) -> Json:
    """Raises Refusal (404)."""
    with store.begin() as tx:
        return of(tx, find(tx, session_id))


def of(tx: Transaction, session: Session) -> Json:
    """Figures of the first target."""
    found = rows.of(tx, session)
    if not found:
        return {
            "n_experiments": 0,
            "has_data": False,
            "has_noise": None,
            "target_stats": None,
            "feature_names": None,
        }
    target = session.targets[0]
    values = [each.outputs[target] for each in found if target in each.outputs]
    stats = {
        "min": min(values, default=None),
        "max": max(values, default=None),
        "mean": statistics.fmean(values) if values else None,
        "std": statistics.stdev(values) if len(values) > 1 else None,
    }
    return {
        "n_experiments": len(found),
        "has_data": True,
        "has_noise": any(each.noise for each in found),
        "target_stats": stats,
        "feature_names": [each.name for each in session.variables],
    }
