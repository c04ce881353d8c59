"""Asking workers: a question that needs a model, and the model that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from labqueue.errors import UnavailableError
from models.domain import records as r
from services.flow.inquire import ask
from services.fronts.alchemist.refusals import NO_MODEL, RUNTIME, Refusal
from services.fronts.alchemist.sessions.keeping import find
from services.fronts.alchemist.sessions.session import Session
from services.fronts.alchemist.visit import Visit
from services.ports import Store

from .training import OPEN, answered, train

#: Seconds that a question is waited for; it expires about then.
SECONDS = 60.0


async def answer(visit: Visit, session_id: str, kind: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker answers (`services.flow.inquire`). The body must have been read, and the session must have its
    campaign. Raises Refusal (400) where no worker answers in time, or where the model fails."""
    asked = await visit.act(ask, visit.store, visit.context.ids, session_id, kind, dict(request), visit.actor)
    if visit.context.commands is not None:
        with suppress(UnavailableError):  # the janitor sends it again
            await visit.run(visit.context.commands.send, "inquire", str(asked.id))
    done = await answered(visit, asked, SECONDS)
    if done.state in OPEN:
        raise Refusal(f"No worker answered within {SECONDS:.0f} s. Is one running?", RUNTIME)
    if done.state != "answered":
        raise Refusal(done.message, RUNTIME)
    found: dict[str, Any] = done.answer
    return found


async def model(visit: Visit, session_id: str, refusal: Refusal | None = None) -> r.Model:
    """The session's newest model (without its state), of the problem as it is: one that was trained before an edit is
    trained again. Raises Refusal: `refusal`, or that there is none (400)."""
    found, version = await visit.run(_newest, visit.store, session_id)
    if found is not None and found.problem_version != version:
        trained = await train(visit, session_id)
        found, version = await visit.run(_newest, visit.store, session_id)
        if found is not None and found.problem_version != version:
            raise Refusal(f"The model is of an earlier search space. {trained.error}", RUNTIME)
    if found is None:
        raise refusal or Refusal("No trained model available. Train a model first.", NO_MODEL)
    return found


def session_of(store: Store, session_id: str) -> Session:
    """Raises Refusal (404)."""
    with store.begin() as tx:
        return find(tx, session_id)


def _newest(store: Store, session_id: str) -> tuple[r.Model | None, int]:
    with store.begin() as tx:
        find(tx, session_id)
        campaign = tx.campaigns.get(session_id)
        if campaign is None:
            return None, 0
        return tx.models.latest(campaign.id, state=False), campaign.problem_version
