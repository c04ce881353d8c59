"""steer: pause, resume, drain and finish: campaigns, queues and instruments."""

from __future__ import annotations

from dataclasses import replace

from labqueue.errors import ConflictError, FieldError, InvalidError, NotFoundError
from labqueue.problem import did_you_mean
from labqueue.states import State
from models.domain import breaker
from models.domain import records as r
from models.domain.lifecycle import WAITING
from services.ports import Store, Transaction

from .placing import announce, end_with, withdraw
from .shared import campaign_of, queue_of


def pause_campaign(store: Store, name: str, reason: str, actor: str) -> r.Campaign:
    """Staging and claims stop; what runs goes on and its results are taken."""
    return _turn(store, name, "paused", reason or _said_so(actor), actor)


def resume_campaign(store: Store, name: str, reason: str, actor: str) -> r.Campaign:
    """A finished campaign can be resumed too, with more to do; it says what it had finished for, which may hold
    still."""
    return _turn(store, name, "active", "", actor)


def finish_campaign(store: Store, name: str, reason: str, actor: str) -> r.Campaign:
    """What is staged is cancelled, runs end by themselves, results go on being taken."""
    with store.begin() as tx:
        campaign = campaign_of(tx, name, lock=True)
        return finish(tx, campaign, reason or _said_so(actor), actor)


def finish(tx: Transaction, campaign: r.Campaign, reason: str, actor: str) -> r.Campaign:
    """As `finish_campaign`, within the caller's transaction; the campaign must be locked."""
    if campaign.state == "finished":
        return campaign
    campaign = replace(campaign, state="finished", reason=reason, finished_at=tx.now())
    tx.campaigns.save(campaign)
    # What comes back in this very moment is not claimed either.
    tx.experiments.set_ready(campaign.id, False)
    waiting = tx.experiments.lock_of_campaign(campaign.id, WAITING)
    end_with(tx, campaign, waiting, actor)
    tx.events.add([r.Event("campaign.finished", actor, campaign_id=campaign.id, data={"reason": reason})])
    return campaign


def _turn(store: Store, name: str, state: str, reason: str, actor: str) -> r.Campaign:
    with store.begin() as tx:
        campaign = campaign_of(tx, name, lock=True)
        if campaign.state == state:
            return campaign
        if campaign.state == "finished" and state == "paused":
            raise ConflictError(
                f"Campaign {name!r} is finished: {campaign.reason}. There is nothing to pause."
            )
        before = campaign.state
        if before == "finished":
            # The queue's virtual time went on without it: it owes nothing. And what ended it holds still.
            completed = tx.experiments.counts(campaign.id).get(State.COMPLETED, 0)
            reason = f"resumed; it had finished: {campaign.reason}"
            campaign = replace(campaign, finish_tag=0.0, resumed_completed=completed)
        campaign = replace(campaign, state=state, reason=reason, finished_at=None)
        tx.campaigns.save(campaign)
        tx.experiments.set_ready(campaign.id, state == "active")
        kind = "paused" if state == "paused" else "resumed"
        data = {"reason": reason, "before": before}
        tx.events.add([r.Event(f"campaign.{kind}", actor, campaign_id=campaign.id, data=data)])
        staged = tx.experiments.of_campaign(campaign.id, (State.STAGED,))
        if staged and state == "active":
            announce(tx, campaign, staged)
        elif staged:
            withdraw(tx, staged)
    return campaign


def pause_queue(store: Store, name: str, reason: str, actor: str) -> r.Queue:
    """Claims answer with the reason; staging goes on."""
    return _turn_queue(store, name, "paused", reason or _said_so(actor), actor)


def resume_queue(store: Store, name: str, reason: str, actor: str) -> r.Queue:
    return _turn_queue(store, name, "active", "", actor)


def drain_queue(store: Store, name: str, reason: str, actor: str) -> r.Queue:
    """Nothing new is staged; what is staged is still claimed."""
    return _turn_queue(store, name, "draining", reason or _said_so(actor), actor)


def _said_so(actor: str) -> str:
    """A reason where none was given: each message that quotes it tells at least whom to ask."""
    return f"{actor.partition(':')[2] or actor} said so"


def _turn_queue(store: Store, name: str, state: str, reason: str, actor: str) -> r.Queue:
    kind = {"paused": "paused", "active": "resumed", "draining": "draining"}[state]
    with store.begin() as tx:
        queue = queue_of(tx, name, lock=True)
        if (queue.state, queue.reason) != (state, reason):
            queue = replace(queue, state=state, reason=reason)
            tx.queues.put(queue)
            tx.events.add([r.Event(f"queue.{kind}", actor, queue=name, data={"reason": reason})])
    return queue


def pause_instrument(store: Store, name: str, reason: str, actor: str) -> r.Instrument:
    with store.begin() as tx:
        instrument = replace(_instrument(tx, name), state="paused", reason=reason or _said_so(actor))
        return _put(tx, instrument, "instrument.paused", actor, instrument.reason)


def clear_instrument(store: Store, name: str, reason: str, actor: str) -> r.Instrument:
    """Somebody looked at it: it works again, its failures are forgotten, no held run blocks it."""
    with store.begin() as tx:
        return _put(tx, breaker.cleared(_instrument(tx, name)), "instrument.cleared", actor, reason)


def set_failure_limit(store: Store, name: str, limit: int, actor: str) -> r.Instrument:
    """Failed runs in a row that pause the instrument."""
    if not 1 <= limit <= 1000:
        raise InvalidError(errors=[FieldError("failure_limit", "must be 1 to 1000.", limit, "1 to 1000")])
    with store.begin() as tx:
        instrument = replace(_instrument(tx, name), failure_limit=limit)
        return _put(tx, instrument, "instrument.defined", actor, f"failure limit {limit}")


def _instrument(tx: Transaction, name: str) -> r.Instrument:
    if tx.instruments.get(name) is None:
        hint = did_you_mean(name, (each.name for each in tx.instruments.all()))
        raise NotFoundError(f"No instrument {name[:100]!r} has claimed anything yet. {hint}".strip())
    return tx.instruments.lock(name)


def _put(tx: Transaction, instrument: r.Instrument, kind: str, actor: str, reason: str) -> r.Instrument:
    tx.instruments.save(instrument)
    tx.events.add([r.Event(kind, actor, instrument=instrument.name, data={"reason": reason})])
    return instrument
