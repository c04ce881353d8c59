"""suggest: the queue is filled ahead, and unclaimed candidates give way to better ones of a fresher model.

A suggestion is a pure function of its stored snapshot: `snapshots.replay` computes it again. What is in flight is
pending; candidates that may be replaced are handed in beside it, to be kept, moved or given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from labqueue.strategy import DESIGN, SEQUENTIAL, Design
from models.domain import records as r
from services.ports import Chosen, Ids, Learner, Snapshot, Store, Suggested, Transaction

from . import stop
from .asking import asked, found_by
from .holding import LEASE, KeepAlive, no_keeping, renewal
from .judging import FAULTS, judge, said, said_before
from .placing import Draft
from .planning import DEATHS, NOTHING, Want, giving_way, patience, wanted
from .pools import check_rows, in_vain, still_free
from .refreshing import Fresh, refresh
from .shared import fingerprint, strategy_of
from .snapshots import Device, chosen_json, expected_json, snapshot_json, take_snapshot
from .teach import end_late


@dataclass(frozen=True)
class Plan:
    """A suggestion under way.

    giving_way  the staged candidates of the snapshot, in its order
    note        why another than the strategy's own method chooses, to be read before each reason
    error       what its own method failed with, where a design stands in for it
    """

    campaign: r.Campaign
    job: r.Job
    want: Want
    snapshot: Snapshot
    model: r.Model | None
    giving_way: tuple[r.Experiment, ...]
    began: datetime
    note: str = ""
    error: str = ""


def suggest(
    store: Store,
    ids: Ids,
    learner: Learner,
    campaign_id: int,
    holder: str,
    keep_alive: KeepAlive = no_keeping,
) -> tuple[int, ...]:
    """Ids of the experiments that were staged; empty where there was nothing to do or somebody else is at it."""
    with store.begin() as tx:
        plan = take(tx, campaign_id, holder, learner.device)
        if plan is None:
            return ()
    with keep_alive(renewal(store, plan.job)):
        suggested = _ask(store, learner, plan.snapshot)
        if isinstance(suggested, str):
            failed = suggested
            stand_in = standing_in(plan, failed)
            suggested = failed if stand_in is None else _ask(store, learner, stand_in.snapshot)
            if stand_in is None or isinstance(suggested, str):
                give_up(store, plan, failed)
                return ()
            plan = stand_in
    return keep(store, ids, plan, suggested)


def _ask(store: Store, learner: Learner, snapshot: Snapshot) -> Suggested | str:
    """An answer that can be used, or why there is none."""
    try:
        suggested = learner.suggest(snapshot)
        wrong = judge(snapshot, suggested)
    except FAULTS as error:
        return said(error)
    if snapshot.problem.pool is not None and not wrong:
        with store.begin() as tx:
            wrong = check_rows(tx, snapshot.problem, suggested.candidates)
    return "; ".join(str(each) for each in wrong)[:2000] or suggested


def take(tx: Transaction, campaign_id: int, holder: str, device: Device) -> Plan | None:
    """The compare-and-set that makes lost and doubled commands harmless, and the snapshot."""
    campaign = tx.campaigns.by_id(campaign_id)
    if campaign is None:
        return None
    end_late(tx, campaign)
    job = found_by(tx.jobs.lock(campaign_id, "suggest"), "")
    if job.deadline is not None and job.deadline > tx.now():
        return None
    who = asked(tx, campaign)
    if who.learner:
        return None
    campaign, want = who.campaign, wanted(tx, who.campaign, who.most)
    if want == NOTHING:
        return None
    again = job.revision == campaign.data_revision
    deaths = job.deaths + (1 if job.holder != "" else 0) if again else 0
    if deaths >= DEATHS:
        # This snapshot ends its workers: nothing more until something new is known.
        if job.holder != "":
            reason = f"suggesting at revision {campaign.data_revision} ended its worker {deaths} times"
            tx.jobs.save(replace(_released(job, reason), deaths=deaths))
            tx.events.add([_failed(campaign_id, reason)])
        return None
    job = replace(job, holder=holder, fence=job.fence + 1, revision=campaign.data_revision, deaths=deaths)
    job = tx.jobs.save(job, lease_seconds=LEASE)
    waiting = giving_way(tx, campaign) if want.renew else []
    snapshot, model = take_snapshot(tx, campaign, want.fill, device, waiting)
    snapshot = replace(snapshot, deadline_seconds=patience(tx, campaign))
    return Plan(campaign, job, want, snapshot, model, tuple(waiting), tx.now(), who.note)


def standing_in(plan: Plan, error: str) -> Plan | None:
    """A design fills the queue where the model failed, so that no instrument waits for its repair; None where the
    queue is full, nothing else chose, or another try comes first: a campaign that repeats point for point must not
    depend on what happened to fail once."""
    strategy = plan.snapshot.strategy
    once = not (plan.job.error and plan.job.done == plan.job.revision)
    if strategy.method == DESIGN or plan.want.fill == 0 or (strategy.mode == SEQUENTIAL and once):
        return None
    snapshot = replace(
        plan.snapshot,
        strategy=replace(strategy, method=DESIGN, learner="", design=Design()),
        pending=(*plan.snapshot.pending, *plan.snapshot.staged),
        staged=(),
        model=None,
    )
    note = f"in place of the model, which failed ({error[:300]})"
    return replace(plan, snapshot=snapshot, model=None, giving_way=(), note=note, error=error)


def keep(store: Store, ids: Ids, plan: Plan, suggested: Suggested) -> tuple[int, ...]:
    """Ids of the experiments that were staged; none where the work went to another holder, or where the campaign
    ended or changed meanwhile."""
    with store.begin() as tx:
        campaign = tx.campaigns.lock(plan.campaign.name)
        job = tx.jobs.lock(plan.campaign.id, "suggest")
        if campaign is None or job.fence != plan.job.fence:
            return ()
        tx.jobs.save(_released(job, plan.error))
        if plan.error and not said_before(job, plan.error):
            tx.events.add([_failed(campaign.id, plan.error)])
        if campaign.state != "active" or not _same_task(plan.campaign, campaign):
            return ()
        seconds = (tx.now() - plan.began).total_seconds()
        flying = len(plan.snapshot.pending) - len(in_vain(tx, campaign, plan.snapshot.problem))
        suggestion = tx.suggestions.add(_suggestion(plan, suggested, seconds, flying))
        campaign = replace(campaign, next_suggestion=campaign.next_suggestion + 1)
        if stop.ends(tx, campaign, suggestion):
            return ()
        fresh = Fresh(
            plan.giving_way,
            still_free(tx, campaign, plan.snapshot.problem, _noted(plan, suggested.candidates)),
            plan.want.fill,
            plan.campaign.model_version,
            plan.campaign.accepted,
        )
        _, placed = refresh(
            tx,
            campaign,
            fresh,
            lambda chosen: _draft(chosen, suggestion, plan),
            batch=ids.uuid(),
            propose=strategy_of(campaign).approve,
        )
    return tuple(each.id for each in placed)


def _same_task(then: r.Campaign, now: r.Campaign) -> bool:
    return (then.problem_version, then.strategy_version) == (now.problem_version, now.strategy_version)


def _noted(plan: Plan, candidates: Sequence[Chosen]) -> Sequence[Chosen]:
    """Who chose in place of another says so of each, new or kept."""
    if not plan.note:
        return candidates
    return [replace(each, reason=f"{plan.note}: {each.reason}") for each in candidates]


def _draft(chosen: Chosen, suggestion: r.Suggestion, plan: Plan) -> Draft:
    # A design that stands in is no part of the initial one: a newer model may replace it.
    origin = "suggester" if plan.error else chosen.origin
    return Draft(
        plan.snapshot.problem.normal(chosen.parameters),
        origin,
        reason=chosen.reason,
        expected=expected_json(chosen.expected),
        suggestion_id=suggestion.id,
        model_version=0 if origin == "design" else plan.campaign.model_version,
        known=plan.campaign.accepted,
    )


def _suggestion(plan: Plan, suggested: Suggested, seconds: float, flying: int) -> r.Suggestion:
    snapshot = plan.snapshot
    stored = snapshot_json(plan.campaign, snapshot)
    return r.Suggestion(
        id=0,
        campaign_id=plan.campaign.id,
        number=snapshot.number,
        snapshot=stored,
        snapshot_hash=fingerprint(
            [stored, plan.campaign.data_revision, plan.model.sha256 if plan.model else ""]
        ),
        candidates=[chosen_json(each) for each in suggested.candidates],
        effort=dict(suggested.effort),
        device=suggested.device,
        versions=dict(suggested.versions),
        data_revision=plan.campaign.data_revision,
        model_version=plan.model.version if plan.model else 0,
        seconds=seconds,
        asked=len(snapshot.staged) + snapshot.count,
        brought=len(suggested.candidates),
        in_flight=max(0, flying),
        gain=suggested.gain,
        instead=plan.note,
    )


def give_up(store: Store, plan: Plan, reason: str) -> None:
    """The reason is kept and shown; the janitor asks again after a while."""
    with store.begin() as tx:
        job = tx.jobs.lock(plan.campaign.id, "suggest")
        if job.fence == plan.job.fence:
            tx.jobs.save(replace(_released(job, reason[:2000]), issued_at=tx.now()))
            if not said_before(job, reason[:2000]):
                tx.events.add([_failed(plan.campaign.id, reason)])


def _released(job: r.Job, error: str) -> r.Job:
    return replace(job, holder="", deadline=None, issued_at=None, deaths=0, error=error, done=job.revision)


def _failed(campaign_id: int, reason: str) -> r.Event:
    return r.Event("suggestion.failed", "suggester", campaign_id=campaign_id, data={"reason": reason[:2000]})
