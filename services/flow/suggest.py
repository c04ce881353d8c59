"""suggest: the queue is filled ahead, and unclaimed candidates give way to those of a fresher model.

A suggestion is a pure function of its stored snapshot: `replay` computes it again. What is in flight is pending;
candidates that may be replaced are not, since the new ones take their places.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from labqueue.errors import LabqueueError, NotFoundError
from labqueue.states import Outcome, State
from models.domain import records as r
from models.domain.lifecycle import move
from models.domain.nearness import drop_nearest
from services.ports import Chosen, Ids, Learner, Snapshot, Store, Suggested, Transaction

from .holding import LEASE, KeepAlive, no_keeping, renewal
from .placing import Draft, place, withdraw
from .planning import DEATHS, NOTHING, Want, just_measured, outdated, wanted
from .shared import changed, fingerprint, problem_of, strategy_of


@dataclass(frozen=True)
class _Plan:
    campaign: r.Campaign
    job: r.Job
    want: Want
    snapshot: Snapshot
    model: r.Model | None
    giving_way: tuple[r.Experiment, ...]
    began: datetime


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
        plan = _take(tx, campaign_id, holder, learner.device())
        if plan is None:
            return ()
    try:
        with keep_alive(renewal(store, plan.job)):
            suggested = learner.suggest(plan.snapshot)
        _check_points(plan.snapshot, suggested)
    except (LabqueueError, ArithmeticError, ValueError, RuntimeError, MemoryError) as error:
        _give_up(store, plan, f"{type(error).__name__}: {error}")
        return ()
    return _stage(store, ids, plan, suggested)


def replay(store: Store, learner: Learner, suggestion_id: int) -> tuple[Any, Any]:
    """What was stored, and what the same snapshot gives now (both as JSON)."""
    with store.begin() as tx:
        found = tx.suggestions.get(suggestion_id)
        if found is None:
            raise NotFoundError(f"There is no suggestion {suggestion_id}.")
        campaign = tx.campaigns.by_id(found.campaign_id)
        assert campaign is not None, "a suggestion's campaign is never deleted"
        model = tx.models.get(campaign.id, found.model_version) if found.model_version else None
        stored = found.snapshot
        snapshot = _snapshot(
            replace(
                campaign,
                problem=tx.campaigns.version(campaign.id, "problem", stored["problem_version"]),
                strategy=stored["strategy"],
                seed=stored["seed"],
                next_suggestion=found.number,
            ),
            tx.results.training(campaign.id, found.data_revision),
            stored["pending"],
            stored["drawn"],
            model,
            stored["count"],
            stored["device"],
        )
    if model is not None and hashlib.sha256(model.state).hexdigest() != model.sha256:
        raise LabqueueError(f"The state of model {model.version} does not match its SHA-256.")
    return found.candidates, [chosen_json(each) for each in learner.suggest(snapshot).candidates]


def chosen_json(chosen: Chosen) -> dict[str, Any]:
    return {
        "parameters": dict(chosen.parameters),
        "reason": chosen.reason,
        "origin": chosen.origin,
        "expected": expected_json(chosen),
    }


def expected_json(chosen: Chosen) -> dict[str, dict[str, float]]:
    return {name: {"mean": mean, "sd": sd} for name, (mean, sd) in chosen.expected.items()}


def take_snapshot(
    tx: Transaction, campaign: r.Campaign, count: int, device: str, giving_way: Sequence[r.Experiment] = ()
) -> tuple[Snapshot, r.Model | None]:
    """Data up to the campaign's revision, the newest model, and every pending point but those giving way. A point
    is in the data or pending, also between its result and that result's number."""
    skipped = {each.id for each in giving_way}
    flying = {each.id: each for each in tx.experiments.unfinished(campaign.id) if each.id not in skipped}
    rows = tx.results.training(campaign.id, campaign.data_revision)
    flying |= {each.id: each for each in just_measured(tx, campaign, rows)}
    pending = [each.planned for _, each in sorted(flying.items()) if each.planned is not None]
    model = tx.models.latest(campaign.id)
    if model is not None and model.problem_version != campaign.problem_version:
        model = None
    drawn = tx.experiments.drawn(campaign.id)
    return _snapshot(campaign, rows, pending, drawn, model, count, device), model


def _snapshot(
    campaign: r.Campaign,
    rows: Sequence[r.TrainingRow],
    pending: Sequence[Mapping[str, Any]],
    drawn: int,
    model: r.Model | None,
    count: int,
    device: str,
) -> Snapshot:
    return Snapshot(
        problem=problem_of(campaign),
        strategy=strategy_of(campaign),
        seed=campaign.seed,
        number=campaign.next_suggestion,
        rows=tuple(rows),
        pending=tuple(pending),
        drawn=drawn,
        model=model.state if model else None,
        count=count,
        device=device,
    )


def _take(tx: Transaction, campaign_id: int, holder: str, device: str) -> _Plan | None:
    """The compare-and-set that makes lost and doubled commands harmless, and the snapshot."""
    job = tx.jobs.lock(campaign_id, "suggest")
    campaign = tx.campaigns.by_id(campaign_id)
    if campaign is None or (job.deadline is not None and job.deadline > tx.now()):
        return None
    want = wanted(tx, campaign)
    if want == NOTHING:
        return None
    again = job.revision == campaign.data_revision
    deaths = job.deaths + (1 if job.holder != "" else 0) if again else 0
    if deaths >= DEATHS:
        # This snapshot ends its workers: nothing more until something new is known.
        if job.holder != "":
            reason = f"suggesting at revision {campaign.data_revision} ended its worker {deaths} times"
            tx.jobs.save(replace(_released(job, reason), deaths=deaths))
            data = {"reason": reason}
            tx.events.add([r.Event("suggestion.failed", "suggester", campaign_id=campaign.id, data=data)])
        return None
    job = replace(job, holder=holder, fence=job.fence + 1, revision=campaign.data_revision, deaths=deaths)
    job = tx.jobs.save(job, lease_seconds=LEASE)
    giving_way = outdated(tx, campaign)
    snapshot, model = take_snapshot(tx, campaign, want.fill + len(giving_way), device, giving_way)
    return _Plan(campaign, job, want, snapshot, model, tuple(giving_way), tx.now())


def _check_points(snapshot: Snapshot, suggested: Suggested) -> None:
    """No instrument is sent where the problem does not allow it, whatever a model says."""
    for each in suggested.candidates:
        wrong = snapshot.problem.check_point(each.parameters)
        if wrong:
            raise ValueError(f"a candidate is not allowed: {'; '.join(str(error) for error in wrong)}")


def _stage(store: Store, ids: Ids, plan: _Plan, suggested: Suggested) -> tuple[int, ...]:
    with store.begin() as tx:
        campaign = tx.campaigns.lock(plan.campaign.name)
        job = tx.jobs.lock(plan.campaign.id, "suggest")
        if campaign is None or job.fence != plan.job.fence:
            return ()
        tx.jobs.save(_released(job, ""))
        if campaign.state != "active" or campaign.problem_version != plan.campaign.problem_version:
            return ()
        seconds = (tx.now() - plan.began).total_seconds()
        suggestion = tx.suggestions.add(_suggestion(plan, suggested, seconds))
        gone = _supersede(tx, plan)
        chosen = _still_good(plan, suggested.candidates, gone)
        campaign = replace(campaign, next_suggestion=campaign.next_suggestion + 1)
        campaign, placed = place(
            tx,
            campaign,
            [_draft(each, suggestion, plan) for each in chosen],
            "suggester",
            batch=ids.uuid(),
            propose=strategy_of(campaign).approve,
        )
    return tuple(each.id for each in placed)


def _supersede(tx: Transaction, plan: _Plan) -> list[r.Experiment]:
    """Those that were to give way and still can: what was claimed, approved or pinned meanwhile stays."""
    if not plan.giving_way:
        return []
    meant = {each.id for each in plan.giving_way}
    free = [each for each in tx.experiments.lock_replaceable(plan.campaign.id) if each.id in meant]
    now = tx.now()
    gone = [replace(each, state=move(each.state, State.SUPERSEDED), finished_at=now) for each in free]
    tx.experiments.save(gone)
    version = plan.campaign.model_version
    tx.events.add([changed("superseded", each, "suggester", model_version=version) for each in gone])
    if gone:
        withdraw(tx, gone)
    return gone


def _still_good(plan: _Plan, candidates: Sequence[Chosen], gone: Sequence[r.Experiment]) -> list[Chosen]:
    """As many as there is room for. For each candidate that was claimed while we computed, the one nearest to it
    is dropped: the snapshot did not know that point as pending, so that one may repeat it."""
    left = {each.id for each in gone}
    stayed = [each.planned for each in plan.giving_way if each.id not in left]
    keep = drop_nearest(plan.snapshot.problem, [each.parameters for each in candidates], stayed)
    return [candidates[number] for number in keep][: plan.want.fill + len(gone)]


def _draft(chosen: Chosen, suggestion: r.Suggestion, plan: _Plan) -> Draft:
    return Draft(
        plan.snapshot.problem.normal(chosen.parameters),
        chosen.origin,
        reason=chosen.reason,
        expected=expected_json(chosen),
        suggestion_id=suggestion.id,
        model_version=plan.model.version if plan.model else 0,
        known=plan.campaign.accepted,
    )


def _suggestion(plan: _Plan, suggested: Suggested, seconds: float) -> r.Suggestion:
    snapshot = plan.snapshot
    stored = {
        "problem_version": plan.campaign.problem_version,
        "strategy": plan.campaign.strategy,
        "seed": snapshot.seed,
        "pending": [dict(each) for each in snapshot.pending],
        "drawn": snapshot.drawn,
        "count": snapshot.count,
        "device": snapshot.device,
        "rows": len([row for row in snapshot.rows if row.outcome is Outcome.MEASURED]),
    }
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
    )


def _released(job: r.Job, error: str) -> r.Job:
    return replace(job, holder="", deadline=None, issued_at=None, deaths=0, error=error, done=job.revision)


def _give_up(store: Store, plan: _Plan, reason: str) -> None:
    """The reason is kept and shown; the janitor asks again after a while."""
    with store.begin() as tx:
        job = tx.jobs.lock(plan.campaign.id, "suggest")
        if job.fence == plan.job.fence:
            tx.jobs.save(replace(_released(job, reason[:2000]), issued_at=tx.now()))
            data = {"reason": reason[:2000]}
            tx.events.add(
                [r.Event("suggestion.failed", "suggester", campaign_id=plan.campaign.id, data=data)]
            )
