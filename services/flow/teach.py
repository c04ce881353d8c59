"""teach: a learner of the user's own, in a process elsewhere, is given work, keeps it while it works, and gives it back.

Its work is leased like our workers': the same jobs, the same fence. What it answers is judged in `taught`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from labqueue.errors import ConflictError, InvalidError, LeaseLostError
from labqueue.states import State
from labqueue.strategy import LEARNER, SEQUENTIAL
from models.domain import records as r
from models.domain.replacing import replace
from services.ports import Store, Transaction

from .asking import Asked, asked, found_by, heard, lesson_due, missed
from .awaiting import tell_waiting
from .holding import LEASE
from .judging import said_before
from .planning import NOTHING, Want, giving_way, replaceable, wanted
from .shared import campaign_of, problem_of, storable, strategy_of
from .snapshots import take_snapshot

KINDS = ("train", "suggest")
REASON_LIMIT = 2000


@dataclass(frozen=True)
class Visit:
    """A process that comes for work.

    holder   this process; one holds the learner's seat at a time, and others of that name stand by
    learner  the name it goes by; "": the one that the campaign's strategy names
    trains   has it a state to be trained?
    sat      did this very question, asked again while it waits, hold the seat before? Then a process without it has
             left meanwhile, and its question is not to bring it back
    """

    campaign: str
    holder: str
    learner: str = ""
    trains: bool = True
    versions: Mapping[str, str] = field(default_factory=dict)
    sat: bool = False


@dataclass(frozen=True)
class Work:
    """What a learner is asked. `job.work`: the particulars; `problem`: the definition; `model`: its newest state's
    record, without the state; `ends_at`: when a suggestion must have been answered."""

    job: r.Job
    problem: r.Json
    model: r.Model | None
    ends_at: datetime | None

    @property
    def lease(self) -> str:
        return f"{self.job.kind}.{self.job.fence}"


@dataclass(frozen=True)
class Idle:
    """Why there is no work, in a sentence. `sits`: the process has the learner's seat and may wait for some."""

    why: str
    sits: bool = True


def ask(store: Store, visit: Visit) -> Work | Idle:
    """Work that is due, or why there is none. Asked again by the same process it is the same work.

    Raises ConflictError where the campaign's learner has another name.
    """
    with store.begin() as tx:
        why = _sit(tx, visit)
        if why:
            return Idle(why, sits=False)
    with store.begin() as tx:
        campaign = campaign_of(tx, visit.campaign)
        who, seat = asked(tx, campaign), tx.seats.get(campaign.id)
        if not who.learner:
            return Idle(_why_not_asked(who))
        if campaign.state != "active":
            return Idle(f"The campaign is {campaign.state}.")
        if seat is None or seat.holder != visit.holder:
            return Idle("Another process of this learner came first.", sits=False)
        return _held(tx, campaign, who, visit) or _due(tx, who, seat) or Idle("Nothing is due.")


def renew(store: Store, campaign_name: str, lease: str) -> datetime:
    """The new deadline. Raises LeaseLostError where the work went to somebody else, or a suggestion takes longer than
    the strategy allows."""
    with store.begin() as tx:
        campaign, job = leased(tx, campaign_name, lease)
        if job.holder == "":
            raise LeaseLostError("This work has been given back.")
        if _late(tx, campaign, job):
            limit = strategy_of(campaign).deadline
            raise LeaseLostError(
                f"A suggestion may take {limit:g} s, the strategy's deadline: this one took longer."
            )
        seconds = _lease(tx, campaign, job)
        tx.jobs.renew(job, seconds)
        seat = tx.seats.lock(campaign.id)
        if seat.holder == job.holder:
            tx.seats.save(seat, seen=True)
        return tx.now() + timedelta(seconds=seconds)


def fail(store: Store, campaign_name: str, lease: str, reason: str) -> None:
    """The learner could not do it: the reason is kept and shown, and it is asked again, or our workers stand in.
    Raises LeaseLostError."""
    with store.begin() as tx:
        campaign, job = leased(tx, campaign_name, lease)
        if job.holder != "":
            drop(tx, campaign, job, reason)


def give_back(store: Store, campaign_name: str, lease: str) -> None:
    """Work that was not begun, or that the learner stops in the middle of; it says nothing about the learner."""
    with store.begin() as tx:
        _, job = leased(tx, campaign_name, lease)
        if job.holder != "":
            free(tx, job)


def leave(store: Store, campaign_name: str, holder: str) -> None:
    """The process ends of its own accord: what it held is free, and one that stands by may take its seat."""
    with store.begin() as tx:
        campaign = campaign_of(tx, campaign_name)
        for kind in KINDS:
            job = tx.jobs.lock(campaign.id, kind)
            if job.holder == holder and job.learner:
                free(tx, job)
        seat = tx.seats.lock(campaign.id)
        if seat.holder == holder:
            tx.seats.save(replace(seat, holder=""))
            tx.events.add([_event("learner.left", campaign, seat.name)])


def leased(tx: Transaction, campaign_name: str, lease: str) -> tuple[r.Campaign, r.Job]:
    """The job behind a lease, locked; without a holder where this very lease was answered or given back before.
    Raises LeaseLostError where somebody else has had it since."""
    kind, _, fence = lease.partition(".")
    if kind not in KINDS or not fence.isdecimal() or len(fence) > 9:
        raise InvalidError(f"{lease[:50]!r} is no lease of a learner's work.")
    campaign = campaign_of(tx, campaign_name)
    job = tx.jobs.lock(campaign.id, kind)
    if job.fence != int(fence) or not job.learner:
        raise LeaseLostError("This work went to somebody else meanwhile; its answer is not needed.")
    return campaign, job


def end_late(tx: Transaction, campaign: r.Campaign) -> None:
    """A suggestion that was not answered within the strategy's deadline is the learner's failure; our workers may
    answer in its place, and what it still answers is refused."""
    if _late(tx, campaign, tx.jobs.get(campaign.id, "suggest")):
        job = tx.jobs.lock(campaign.id, "suggest")
        if _late(tx, campaign, job):
            reason = f"did not answer within its deadline of {strategy_of(campaign).deadline:g} s"
            drop(tx, campaign, replace(job, fence=job.fence + 1), reason, said=False)


def drop(tx: Transaction, campaign: r.Campaign, job: r.Job, reason: str, *, said: bool = True) -> None:
    """The work is nobody's, and why stands in the history. `said`: by the learner's process, which is thus heard of."""
    reason = str(storable(reason))[:REASON_LIMIT]
    tx.jobs.save(replace(job, holder="", deadline=None, issued_at=None, error=reason, done=job.revision))
    if not said_before(job, reason):
        kind = "model.failed" if job.kind == "train" else "suggestion.failed"
        tx.events.add([_event(kind, campaign, job.learner, reason=reason, data_revision=job.revision)])
    if job.kind == "suggest":
        blame(tx, campaign, job.learner, reason, said=said)
    else:
        tell_waiting(tx, campaign.id, job, None, reason)


def blame(tx: Transaction, campaign: r.Campaign, learner: str, reason: str, *, said: bool = True) -> None:
    """A suggestion of this learner came to nothing. `said`: as in `drop`."""
    seat = tx.seats.lock(campaign.id)
    if seat.name == learner:
        failed = replace(seat, failures=seat.failures + 1, error=reason)
        if said:  # it failed no later than it was heard of
            tx.seats.save(replace(failed, failed_at=tx.now()), seen=True)
        else:
            tx.seats.save(failed, failed=True)


def _sit(tx: Transaction, visit: Visit) -> str:
    """Takes or keeps the learner's seat; else why not."""
    campaign = campaign_of(tx, visit.campaign)
    strategy = strategy_of(campaign)
    if strategy.method != LEARNER:
        return f"The campaign's strategy is {strategy.method}: no learner is asked."
    if visit.learner not in ("", strategy.learner):
        raise ConflictError(
            f"This campaign's learner is called {strategy.learner!r}, not {visit.learner!r}. Take that name, or "
            "change the campaign's strategy."
        )
    end_late(tx, campaign)
    dead = tx.jobs.get(campaign.id, "suggest")
    seat = tx.seats.lock(campaign.id)
    if heard(seat, strategy, tx) and seat.holder != visit.holder:
        return "Another process of this learner works; this one stands by."
    if visit.sat and seat.holder != visit.holder:
        return "This process has left."
    if (seat.name, seat.holder) != (strategy.learner, visit.holder):
        known = seat if seat.name == strategy.learner else r.Seat(campaign.id, strategy.learner)
        fresh = replace(known, holder=visit.holder)
        if dead.learner == strategy.learner and dead.holder not in ("", visit.holder):
            error = "its process ended in the middle of a suggestion"
            seat = replace(fresh, failures=known.failures + 1, error=error, failed_at=tx.now())
        elif missed(known):  # so did this one's, and that was counted when the deadline passed
            seat = fresh
        else:
            seat = replace(fresh, failures=0, failed_at=None)
        tx.events.add([_event("learner.arrived", campaign, strategy.learner, holder=visit.holder)])
    versions = storable(dict(visit.versions))
    tx.seats.save(replace(seat, trains=visit.trains, versions=versions), seen=True)
    return ""


def _why_not_asked(who: Asked) -> str:
    if who.note:
        return f"Our workers choose {who.note}."
    return f"The initial design comes first: {who.most} of its points are not staged yet."


def _held(tx: Transaction, campaign: r.Campaign, who: Asked, visit: Visit) -> Work | None:
    """What this very process was given and has not answered: the reply was lost."""
    for kind in KINDS:
        job = tx.jobs.get(campaign.id, kind)
        if job.learner == who.learner and job.holder == visit.holder:
            job = tx.jobs.lock(campaign.id, kind)
            if job.holder == visit.holder and tx.jobs.renew(job, _lease(tx, campaign, job)):
                return _work(tx, campaign, tx.jobs.get(campaign.id, kind))
    return None


def _due(tx: Transaction, who: Asked, seat: r.Seat) -> Work | None:
    """Training first, so that the next candidates come from it; suggesting first where the queue is empty."""
    campaign = who.campaign
    train, suggest = (found_by(tx.jobs.get(campaign.id, kind), who.learner) for kind in KINDS)
    teach = seat.trains and lesson_due(tx, campaign, train)
    want, waiting = _wanted(tx, campaign, seat.trains, teach)
    empty = not tx.experiments.counts(campaign.id).get(State.STAGED)
    if teach and _open(tx, train) and not (empty and want != NOTHING and _open(tx, suggest)):
        return _take(tx, campaign, seat, "train", lambda: _lesson(tx, campaign))
    if want != NOTHING and _open(tx, suggest):
        return _take(tx, campaign, seat, "suggest", lambda: _question(tx, campaign, want, waiting))
    return None


def _wanted(
    tx: Transaction, campaign: r.Campaign, trains: bool, teach: bool
) -> tuple[Want, list[r.Experiment]]:
    """What the queue lacks, and the unclaimed candidates that were chosen before the newest state (without a state:
    the newest result) was known. One after the other, nothing is wanted before every result was learnt."""
    if teach and strategy_of(campaign).mode == SEQUENTIAL:
        return NOTHING, []
    want = wanted(tx, campaign)
    if trains or campaign.model_version:
        return want, giving_way(tx, campaign) if want.renew else []
    old = [each for each in replaceable(tx, campaign) if (each.known or 0) < campaign.accepted]
    old = [] if strategy_of(campaign).mode == SEQUENTIAL else old
    return Want(want.fill, len(old)), old


def _open(tx: Transaction, job: r.Job) -> bool:
    return job.deadline is None or job.deadline <= tx.now()


def _take(tx: Transaction, campaign: r.Campaign, seat: r.Seat, kind: str, particulars: Any) -> Work | None:
    """The compare-and-set: whoever was faster has it."""
    job = found_by(tx.jobs.lock(campaign.id, kind), seat.name)
    if not _open(tx, job):
        return None
    job = replace(
        job,
        holder=seat.holder,
        fence=job.fence + 1,
        revision=campaign.data_revision,
        deaths=0,
        learner=seat.name,
        work={
            "problem_version": campaign.problem_version,
            "strategy_version": campaign.strategy_version,
            "accepted": campaign.accepted,
            "model_version": campaign.model_version,
            **particulars(),
        },
        taken_at=tx.now(),
    )
    return _work(tx, campaign, tx.jobs.save(job, lease_seconds=_lease(tx, campaign, job)))


def _lesson(tx: Transaction, campaign: r.Campaign) -> dict[str, Any]:
    return {"rows": len(tx.results.training(campaign.id, campaign.data_revision))}


def _question(
    tx: Transaction, campaign: r.Campaign, want: Want, waiting: list[r.Experiment]
) -> dict[str, Any]:
    snapshot, _ = take_snapshot(tx, campaign, want.fill, lambda _: "", waiting)
    seed = hashlib.sha256(f"suggest:{snapshot.seed}:{snapshot.number}".encode()).digest()
    return {
        "rows": len(snapshot.rows),
        "number": snapshot.number,
        "seed": int.from_bytes(seed[:4], "big") >> 1,
        "drawn": snapshot.drawn,
        "pending": [dict(each) for each in (*snapshot.pending, *snapshot.failed)],
        "staged": [each.id for each in waiting],
        "fill": want.fill,
        "count": want.fill + len(waiting),
    }


def _work(tx: Transaction, campaign: r.Campaign, job: r.Job) -> Work:
    version, ends_at = job.work["model_version"], None
    # A state of another version of the problem is a start for training at most.
    model = tx.models.latest(campaign.id, job.learner, state=False) if version else None
    if model is not None and job.kind == "suggest" and model.problem_version != campaign.problem_version:
        model = None
    if job.kind == "suggest" and job.taken_at is not None:
        ends_at = job.taken_at + timedelta(seconds=strategy_of(campaign).deadline)
    problem = problem_of(campaign).to_json()
    return Work(job, problem, model, ends_at)


def _spent(tx: Transaction, job: r.Job) -> float:
    """Seconds since a learner took it."""
    return 0.0 if job.taken_at is None else (tx.now() - job.taken_at).total_seconds()


def _late(tx: Transaction, campaign: r.Campaign, job: r.Job) -> bool:
    """Is it a suggestion that a learner has had for longer than the strategy allows?"""
    held = job.kind == "suggest" and job.learner != "" and job.holder != ""
    return held and _spent(tx, job) > strategy_of(campaign).deadline


def _lease(tx: Transaction, campaign: r.Campaign, job: r.Job) -> float:
    """Seconds; that of a suggestion ends with the strategy's deadline."""
    if job.kind == "train":
        return LEASE
    return max(0.0, min(LEASE, strategy_of(campaign).deadline - _spent(tx, job)))


def free(tx: Transaction, job: r.Job) -> None:
    """With the next fence: should this holder go on after all, what it answers is refused."""
    tx.jobs.save(replace(job, holder="", fence=job.fence + 1, deadline=None, issued_at=None))


def _event(kind: str, campaign: r.Campaign, learner: str, **data: Any) -> r.Event:
    return r.Event(kind, f"learner:{learner}", campaign_id=campaign.id, data=data)
