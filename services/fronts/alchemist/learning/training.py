"""Waiting for what a worker answers: a training that has seen every row, and any other question."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from labqueue.errors import LabqueueError, NotFoundError
from models.domain import records as r
from services.flow.awaiting import await_training
from services.fronts.alchemist.refusals import Refusal
from services.fronts.alchemist.sessions.keeping import find
from services.fronts.alchemist.sessions.locking import token_of
from services.fronts.alchemist.sessions.session import Session
from services.fronts.alchemist.visit import Visit
from services.ports import Store

from . import wishes

OPEN = ("open", "running")
SECONDS = 60.0
#: Fewer rows are not trained on when rows are added, nor is that an error.
FEWEST = 5


@dataclass(frozen=True)
class Trained:
    """`metrics` as ALchemist shows those of an automatic training; `model`: what the training said. `error`: why there
    is no new model."""

    trained: bool
    metrics: Mapping[str, Any] | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None

    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"model_trained": self.trained, "training_metrics": self.metrics}
        return {**shown, "training_error": self.error} if self.error else shown


NOT_ASKED = Trained(False)


async def train(visit: Visit, session_id: str, seconds: float = SECONDS) -> Trained:
    """Asks for a model that has seen every row, and waits for it. The body must have been read."""
    try:
        asked = await visit.act(
            await_training, visit.store, visit.context.ids, session_id, visit.actor, max(seconds, SECONDS) * 2
        )
    except LabqueueError as error:
        return Trained(False, error=error.message)
    done = await answered(visit, asked, seconds)
    if done.state in OPEN:
        return Trained(False, error=f"The training still goes on after {seconds:.0f} s. The model follows.")
    if done.state != "answered":
        return Trained(False, error=done.message)
    session = await visit.run(_session, visit.store, session_id)
    return Trained(True, metrics_of(session, done.answer["metrics"]), done.answer)


@dataclass(frozen=True)
class Retraining:
    """Is a training to follow on what is added? With another backend or kernel than the session's, where they are
    named."""

    wished: bool = False
    backend: str | None = None
    kernel: str | None = None


async def after_adding(visit: Visit, session_id: str, wish: Retraining, rows: int) -> dict[str, Any]:
    """What an answer says of the training that was to follow."""
    if not wish.wished or rows < FEWEST:
        return NOT_ASKED.shown()
    if wish.backend or wish.kernel:
        who = (visit.visitor, token_of(visit))
        try:
            await visit.act(wishes.override, visit.store, session_id, wish.backend, wish.kernel, *who)
        except Refusal as refusal:  # what was added stays added
            return Trained(False, error=str(refusal)).shown()
    return (await train(visit, session_id)).shown()


async def answered(visit: Visit, inquiry: r.Inquiry, seconds: float = SECONDS) -> r.Inquiry:
    """The inquiry as soon as it is answered, or as it is after so many seconds or when the client has gone."""
    until = time.monotonic() + seconds
    if inquiry.state not in OPEN:
        return inquiry
    with visit.hub.topics.watch(("inquiry", str(inquiry.id))) as watch:
        async with visit.client() as gone:
            inquiry = await visit.run(_inquiry, visit.store, inquiry.id)
            while inquiry.state in OPEN and await watch.wait(until - time.monotonic(), gone):
                inquiry = await visit.run(_inquiry, visit.store, inquiry.id)
    return inquiry


def metrics_of(session: Session, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Of the first target: rmse, r2, and the backend as it was asked for."""
    of_output = metrics.get("outputs", {}).get(session.targets[0], {})
    return {
        "rmse": of_output.get("rmse"),
        "r2": of_output.get("r2"),
        "backend": session.model.get("backend", wishes.BACKEND),
    }


def _session(store: Store, session_id: str) -> Session:
    with store.begin() as tx:
        return find(tx, session_id)


def _inquiry(store: Store, id: UUID) -> r.Inquiry:
    with store.begin() as tx:
        found = tx.inquiries.get(id)
    if found is None:
        raise NotFoundError(f"There is no inquiry {id}.")
    return found
