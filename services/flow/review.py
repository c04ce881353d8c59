"""review: what people decide: approve or reject, run a held one again or give it up, replay, adjust."""

from __future__ import annotations

from dataclasses import replace

from labqueue.errors import ConflictError, FieldError, InvalidError, NotFoundError
from labqueue.states import State
from models.domain import leasing
from models.domain import records as r
from models.domain.lifecycle import WAITING, move
from services.ports import Store, Transaction

from .instruments import unblock
from .placing import come_back
from .shared import campaign_of, changed, experiment_of
from .stage import PRIORITY_LIMIT


def approve(store: Store, experiment_id: int, actor: str) -> r.Experiment:
    """A proposed experiment enters the queue; it keeps its place whatever a later model says."""
    with store.begin() as tx:
        experiment = experiment_of(tx, experiment_id)
        if experiment.state is State.STAGED and experiment.approved_by:
            return experiment
        _expect(experiment, State.PROPOSED, "approved")
        campaign = tx.campaigns.by_id(experiment.campaign_id)
        experiment = replace(
            experiment,
            state=move(experiment.state, State.STAGED),
            approved_by=actor,
            ready=campaign is not None and campaign.state == "active",
            staged_at=tx.now(),
        )
        _put(tx, experiment, "approved", actor, "")
    return experiment


def reject(store: Store, experiment_id: int, reason: str, actor: str) -> r.Experiment:
    with store.begin() as tx:
        experiment = experiment_of(tx, experiment_id)
        _expect(experiment, State.PROPOSED, "rejected")
        experiment = replace(leasing.cancel(experiment), finished_at=tx.now())
        _put(tx, experiment, "rejected", actor, reason)
    return experiment


def replay(store: Store, experiment_id: int, reason: str, actor: str) -> r.Experiment:
    """What was given up may try again, with its attempts counted anew; a person wants it, so no model replaces it."""
    with store.begin() as tx:
        campaign = _open_campaign(tx, experiment_id)
        experiment = experiment_of(tx, experiment_id)
        _expect(experiment, State.FAILED, "replayed")
        experiment = replace(
            leasing.back(experiment),
            counted=0,
            cancel_wished=False,
            approved_by=actor,
            ready=campaign.state == "active",
        )
        _put(tx, experiment, "replayed", actor, reason)
    return experiment


def run_again(store: Store, experiment_id: int, reason: str, actor: str) -> r.Experiment:
    """A held experiment goes back to its old place, which no model takes from it; the silent attempt, if any, is
    over."""
    with store.begin() as tx:
        campaign = _open_campaign(tx, experiment_id)
        experiment = experiment_of(tx, experiment_id)
        _expect(experiment, State.HELD, "run again")
        _end_silent(tx, experiment, reason, counts=True)
        experiment = replace(
            leasing.back(experiment),
            counted=experiment.counted + 1,
            cancel_wished=False,
            approved_by=actor,
            ready=campaign.state == "active",
        )
        _put(tx, experiment, "requeued", actor, reason)
    return experiment


def give_up(store: Store, experiment_id: int, reason: str, actor: str) -> r.Experiment:
    """A held experiment ends as failed; it can be replayed."""
    with store.begin() as tx:
        experiment = experiment_of(tx, experiment_id)
        _expect(experiment, State.HELD, "given up")
        _end_silent(tx, experiment, reason, counts=True)
        experiment = replace(
            experiment,
            state=move(experiment.state, State.FAILED),
            attempt=None,
            held_reason=f"given up: {reason}",
            finished_at=tx.now(),
        )
        _put(tx, experiment, "failed", actor, reason)
    return experiment


def adjust(
    store: Store, experiment_id: int, priority: int | None, pinned: bool | None, actor: str
) -> r.Experiment:
    """Priority among the staged; pinned ones give way to no model."""
    if priority is not None and abs(priority) > PRIORITY_LIMIT:
        rule = f"-{PRIORITY_LIMIT} to {PRIORITY_LIMIT}"
        raise InvalidError(errors=[FieldError("priority", f"is outside {rule}.", priority, rule)])
    with store.begin() as tx:
        experiment = experiment_of(tx, experiment_id)
        if experiment.state not in WAITING:
            raise ConflictError(
                f"Experiment {experiment.code} is {experiment.state}: its place matters no longer."
            )
        experiment = replace(
            experiment,
            priority=experiment.priority if priority is None else priority,
            pinned=experiment.pinned if pinned is None else pinned,
        )
        _put(tx, experiment, "adjusted", actor, "")
    return experiment


def _open_campaign(tx: Transaction, experiment_id: int) -> r.Campaign:
    """The experiment's campaign, locked before it as whoever pauses or finishes does."""
    found = tx.experiments.get([experiment_id])
    if not found:
        raise NotFoundError(f"There is no experiment {experiment_id}.")
    campaign = campaign_of(tx, found[0].campaign, lock=True)
    if campaign.state == "finished":
        raise ConflictError(
            f"Campaign {campaign.name!r} is finished: {campaign.reason}. Resume it first, or give this one up."
        )
    return campaign


def _expect(experiment: r.Experiment, state: State, verb: str) -> None:
    if experiment.state is not state:
        raise ConflictError(
            f"Experiment {experiment.code} is {experiment.state}; only one that is {state} can be {verb}."
        )


def _end_silent(tx: Transaction, experiment: r.Experiment, reason: str, *, counts: bool) -> None:
    for attempt in tx.attempts.lock([experiment.attempt]) if experiment.attempt else []:
        if attempt.live:
            tx.attempts.save([leasing.end(attempt, "decided", reason, counts=counts)])
            unblock(attempt.instrument, experiment.id)(tx)


def _put(tx: Transaction, experiment: r.Experiment, kind: str, actor: str, reason: str) -> None:
    tx.experiments.save([experiment])
    tx.events.add([changed(kind, experiment, actor, reason=reason)])
    if experiment.state is State.STAGED:
        come_back(tx, [experiment])
