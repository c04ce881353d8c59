"""A session as its programs and the page look at it, whole and in short."""

from __future__ import annotations

from typing import Any

from services.fronts.alchemist.data import dataset
from services.fronts.alchemist.experiments.rows import count
from services.fronts.alchemist.learning import modelling
from services.fronts.alchemist.learning.wishes import BACKEND
from services.fronts.alchemist.sessions import lifetime
from services.fronts.alchemist.sessions.keeping import find, text_of
from services.fronts.alchemist.space import describing
from services.ports import Store


def whole(store: Store, session_id: str) -> dict[str, Any]:
    """Raises Refusal (404)."""
    with store.begin() as tx:
        session, now = find(tx, session_id), text_of(tx.now())
        data, model = dataset.of(tx, session), modelling.summary(tx, session)
    about = lifetime.metadata(session)
    named = ("name", "description", "tags", "author", "last_modified")
    return {
        "session_id": session.id,
        "created_at": session.created_at,
        "last_accessed": now,
        "expires_at": None,
        "metadata": {name: about[name] for name in named},
        "target_columns": list(session.targets),
        "search_space": describing.space(session),
        "data": {**data, "has_noise": bool(data["has_noise"]), "error": None},
        "model": model,
    }


def short(store: Store, session_id: str) -> dict[str, Any]:
    """What a program that waits looks at. Raises Refusal (404)."""
    with store.begin() as tx:
        session = find(tx, session_id)
        campaign = tx.campaigns.get(session_id)
        trained = campaign is not None and tx.models.latest(campaign.id, state=False) is not None
        measured = count(tx, session_id)
    goal = session.last.get("goal")
    return {
        "session_id": session.id,
        "n_variables": len(session.variables),
        "n_experiments": measured,
        "model_trained": trained,
        "model_backend": session.model.get("backend", BACKEND) if trained else None,
        "last_suggestion": session.last.get("suggestion"),
        "last_acquisition_value": session.last.get("value"),
        "last_goal": goal[0] if isinstance(goal, list) and goal else goal or None,
    }
