"""Who chooses a campaign's next experiments now: our workers, or a learner of the user's own in a process elsewhere.

A learner is asked while it is heard of and its answers can be used. Else our workers stand in with the strategy's
fallback, and say so; nothing waits for a program that may never come back. Decided anew each time from what is
stored, so janitor, workers and learner always agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from labqueue.states import State
from labqueue.strategy import DESIGN, LEARNER, Design, Strategy
from models.domain import records as r
from models.domain.replacing import replace
from services.ports import Transaction

from . import designing
from .shared import strategy_of

#: Seconds without a word after which a learner is taken for gone: more than the lease of its work.
SILENT = 20.0
#: Suggestions in a row that fail before our workers stand in, and the seconds until the learner is asked again.
FAILURES, REST = 3, 60.0


@dataclass(frozen=True)
class Asked:
    """Who chooses now.

    learner   the user's own learner; "": our workers
    campaign  as who is asked follows it: its strategy, and as its newest model the newest of who is asked
    most      no more new candidates than this; None: as many as are wanted
    note      why our workers stand in, to be read before each reason; "" where they are meant to choose
    """

    learner: str
    campaign: r.Campaign
    most: int | None = None
    note: str = ""


def asked(tx: Transaction, campaign: r.Campaign) -> Asked:
    strategy = strategy_of(campaign)
    if strategy.method != LEARNER:
        return Asked("", campaign, most=designing.alone(tx, campaign, strategy))
    seat = tx.seats.get(campaign.id)
    if seat is not None and seat.name != strategy.learner:
        seat = None
    left = 0 if seat is not None and seat.suggestions else designing.left(tx, campaign, strategy)
    if left > 0:
        return Asked("", _ours(tx, campaign, DESIGN), most=left)
    why = _away(tx, campaign, strategy, seat)
    if why:
        note = f"in place of the learner {strategy.learner}, {why}"
        endless = strategy.fallback == DESIGN
        return Asked("", _ours(tx, campaign, strategy.fallback, endless=endless), note=note)
    return Asked(
        strategy.learner, _known(campaign, tx.models.latest(campaign.id, strategy.learner, state=False))
    )


def found_by(job: r.Job, learner: str) -> r.Job:
    """The job as this learner ("": a worker of ours) finds it: what the other did, or died of, says nothing about
    what it can do."""
    if job.learner == learner:
        return job
    return replace(job, learner=learner, done=0, holder="", deaths=0, error="", work=None, taken_at=None)


def lesson_due(tx: Transaction, campaign: r.Campaign, job: r.Job) -> bool:
    """Is there something that the learner's newest state has not seen, and that it was not taught in vain? `campaign`
    and `job` as the learner finds them."""
    if campaign.accepted < 1:
        return False
    version = campaign.problem_version
    if job.done >= campaign.data_revision and (job.work or {}).get("problem_version") == version:
        return False
    model = tx.models.latest(campaign.id, job.learner, state=False)
    fresh = model is not None and model.problem_version == version
    return not fresh or campaign.data_revision > campaign.model_revision


def heard(seat: r.Seat | None, strategy: Strategy, tx: Transaction) -> bool:
    """Has the process that holds this seat said something lately?"""
    return (
        seat is not None
        and seat.name == strategy.learner
        and seat.holder != ""
        and seat.seen_at is not None
        and tx.now() - seat.seen_at <= timedelta(seconds=SILENT)
    )


def missed(seat: r.Seat) -> bool:
    """Did a deadline pass that its process has said nothing since? What it says itself, faults too, is heard."""
    return seat.failed_at is not None and seat.seen_at is not None and seat.failed_at > seat.seen_at


def _away(tx: Transaction, campaign: r.Campaign, strategy: Strategy, seat: r.Seat | None) -> str:
    """Why the learner is not asked; "" where it is."""
    now = tx.now()
    if seat is None or seat.seen_at is None:
        young = campaign.created_at is not None and now - campaign.created_at <= timedelta(seconds=SILENT)
        return "" if young else "which has not reported yet"
    if missed(seat):
        return f"which {seat.error}"
    silence = (now - seat.seen_at).total_seconds()
    if silence > SILENT:
        return f"silent for {silence:.0f} s"
    resting = seat.failed_at is not None and now - seat.failed_at <= timedelta(seconds=REST)
    if seat.failures >= FAILURES and resting:
        return f"which failed {seat.failures} times in a row (the last: {seat.error[:300]})"
    train = tx.jobs.get(campaign.id, "train")
    if train.learner and train.taken_at is not None and train.deadline is not None and train.deadline > now:
        busy = (now - train.taken_at).total_seconds()
        if busy > strategy.deadline and not tx.experiments.counts(campaign.id).get(State.STAGED):
            return f"which is still training after {busy:.0f} s"
    return ""


def _ours(tx: Transaction, campaign: r.Campaign, method: str, *, endless: bool = False) -> r.Campaign:
    """As if its strategy were of a method of ours. A design needs a first point; a learner may begin from nothing.
    `endless`: of a design with points of its own all may have been run, so that another kind goes on."""
    strategy = strategy_of(campaign)
    body = {**strategy.to_json(), "method": method, "learner": "", "initial": max(1, strategy.initial)}
    if endless:
        body["design"] = Design().to_json()
    return replace(_known(campaign, tx.models.latest(campaign.id, state=False)), strategy=body)


def _known(campaign: r.Campaign, model: r.Model | None) -> r.Campaign:
    if model is None:
        return replace(campaign, model_version=0, model_revision=0, model_accepted=0)
    return replace(
        campaign,
        model_version=model.version,
        model_revision=model.data_revision,
        model_accepted=model.accepted,
    )
