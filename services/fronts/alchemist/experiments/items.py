"""Items of the work queue: a session's experiments that were staged, as ALchemist shows them.

An item's id is computed: the session's UUID with the experiment's number laid over it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from labqueue.states import State
from models.domain import records as r
from models.domain.lifecycle import WAITING
from services.fronts.alchemist.refusals import Refusal
from services.fronts.alchemist.sessions.keeping import text_of
from services.fronts.alchemist.sessions.session import Session
from services.ports import Transaction

from . import beside

PENDING, RUNNING, DONE, FAILED = "pending", "running", "done", "failed"
STATUSES = (PENDING, RUNNING, DONE, FAILED)
#: What nobody has begun.
_STATUS = {
    State.PROPOSED: PENDING,
    State.STAGED: PENDING,
    State.LEASED: RUNNING,
    State.HELD: RUNNING,
    State.PARTIAL: DONE,
    State.COMPLETED: DONE,
}
_LARGEST = 2**63

Json = dict[str, Any]


def item_id(session_id: str, experiment_id: int) -> str:
    return str(UUID(int=UUID(session_id).int ^ experiment_id))


def experiment_id(session_id: str, item: str) -> int | None:
    """The experiment that an item's id stands for; None where it is no such id."""
    try:
        number = UUID(item).int ^ UUID(session_id).int
    except ValueError:
        return None
    return number if 0 < number < _LARGEST else None


def unknown(item: str) -> Refusal:
    return Refusal(f"Unknown queue item: {item[:100]}", status=404)


def status(experiment: r.Experiment) -> str | None:
    """None for what is no item: run elsewhere, or taken back before anybody began it."""
    if experiment.state is State.PROPOSED:
        return PENDING
    if experiment.staged_at is None:
        return None
    ended = FAILED if experiment.attempts or experiment.state is State.FAILED else None
    return _STATUS.get(experiment.state, ended)


def pending(tx: Transaction, campaign: r.Campaign | None) -> list[r.Experiment]:
    """In the order in which they were staged."""
    return [] if campaign is None else tx.experiments.of_campaign(campaign.id, WAITING)


def inputs_of(experiment: r.Experiment) -> Json:
    return dict(experiment.planned or {})


def reason_of(experiment: r.Experiment) -> str | None:
    return experiment.reason or None


def shown(
    tx: Transaction,
    session: Session,
    campaign: r.Campaign,
    experiments: Sequence[r.Experiment],
    row: int | None = None,
) -> list[Json]:
    """Items as ALchemist shows them. `row`: the place of the one that is shown in the dataset, where it is known."""
    done = [each.id for each in experiments if status(each) == DONE]
    found = tx.results.findings(campaign.id, done if row is not None else None) if done else []
    places = {each.experiment_id: (place if row is None else row, each) for place, each in enumerate(found)}
    begun = [each.id for each in experiments if each.attempts]
    attempts = {each.experiment_id: each for each in tx.attempts.newest(begun)} if begun else {}
    if len(experiments) == 1:
        said = {experiments[0].id: beside.of(tx, session.id, experiments[0].id)}
    else:
        said = beside.every(tx, session.id)
    return [
        _shown(session, each, places.get(each.id), attempts.get(each.id), said.get(each.id, {}))
        for each in experiments
    ]


def _shown(
    session: Session,
    experiment: r.Experiment,
    placed: tuple[int, r.Finding] | None,
    attempt: r.Attempt | None,
    said: Mapping[str, Any],
) -> Json:
    """`said`: beside its point."""
    now = status(experiment)
    place, finding = placed or (None, None)
    started = attempt and (attempt.started_at or attempt.claimed_at) if now != PENDING else None
    completed = finding.at if finding else experiment.finished_at if now == FAILED else None
    return {
        "id": item_id(session.id, experiment.id),
        "inputs": session.ordered({**inputs_of(experiment), **beside.observed_of(said)}),
        "reason": reason_of(experiment) or (finding.comment or None if finding else None),
        "status": now,
        "output": of_targets(session, finding.outputs) if finding else None,
        "noise": of_targets(session, variances(finding)) if finding else None,
        "error": (experiment.held_reason or "cancelled") if now == FAILED else None,
        "dataset_ref": place,
        "staged_at": text_of(experiment.staged_at) if experiment.staged_at else None,
        "started_at": text_of(started) if started else None,
        "completed_at": text_of(completed) if completed else None,
        "plot": beside.plot_of(said),
    }


def variances(finding: r.Finding) -> dict[str, float]:
    """ALchemist's noise is a variance, ours a standard deviation."""
    return {name: variance(spread) for name, spread in finding.noise.items()}


def variance(spread: float) -> float:
    """Of a standard deviation; as it was given, where fifteen digits say it."""
    square = float(f"{spread * spread:.15g}")
    return square if math.sqrt(square) == spread else spread * spread


def of_targets(session: Session, values: Mapping[str, float]) -> Any:
    """One number where the session measures one target, else an object; None where there is nothing."""
    if len(session.targets) == 1:
        return values.get(session.targets[0])
    return {name: values[name] for name in session.targets if name in values} or None


def lock(tx: Transaction, session_id: str, experiments: Sequence[int]) -> dict[int, r.Experiment]:
    """Those of these experiments that are items of the session, locked, by number."""
    found = tx.experiments.lock(sorted(set(experiments)))
    return {each.id: each for each in found if each.campaign == session_id and status(each)}


def illegal(verb: str, item: str, experiment: r.Experiment) -> Refusal:
    return Refusal(f"Cannot {verb} item {item} in status {status(experiment)!r}", status=409)


def begun(tx: Transaction, experiment: r.Experiment) -> datetime | None:
    """When its live attempt was claimed."""
    attempts = tx.attempts.get([experiment.attempt]) if experiment.attempt else []
    return attempts[0].claimed_at if attempts else None
