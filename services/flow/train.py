"""train: one training per campaign at a time; what arrives meanwhile is one more run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from labqueue.states import Outcome
from models.domain import records as r
from services.ports import Fitted, Learner, Store, Transaction

from .asking import asked, found_by
from .awaiting import awaited, tell_waiting
from .holding import LEASE, KeepAlive, no_keeping, renewal
from .judging import FAULTS, said
from .planning import DEATHS, FEWEST_ROWS, training_due
from .shared import problem_of, storable, strategy_of
from .snapshots import in_order

STATE_LIMIT = 16 * 1024 * 1024


def train(
    store: Store, learner: Learner, campaign_id: int, holder: str, keep_alive: KeepAlive = no_keeping
) -> int | None:
    """The new model's version; None where there is nothing to learn, somebody else is at it, or the training
    failed (the reason is kept, and suggestions go on from the last good model)."""
    with store.begin() as tx:
        taken = take(tx, campaign_id, holder)
        if taken is None:
            return None
        campaign, job = taken
        rows = tx.results.training(campaign.id, campaign.data_revision)
        if sum(row.outcome is Outcome.MEASURED for row in rows) < FEWEST_ROWS:
            # Conditions that could not be run teach where not to look, once there is something to look for.
            _finish(tx, campaign, job, "")
            return None
        last = tx.models.latest(campaign.id)
        began = tx.now()

    try:
        with keep_alive(renewal(store, job)):
            warm = (
                last.state if last is not None and last.problem_version == campaign.problem_version else None
            )
            problem = problem_of(campaign)
            fitted = learner.fit(
                problem,
                strategy_of(campaign),
                in_order(problem, rows),
                warm,
                _seed(campaign, rows),
                learner.device(len(rows)),
            )
        if len(fitted.state) > STATE_LIMIT:
            raise ValueError(f"the model's state is larger than {STATE_LIMIT} bytes")
    except FAULTS as error:
        give_up(store, campaign, job, said(error))
        return None
    return keep(store, campaign, job, fitted, len(rows), began)


def take(tx: Transaction, campaign_id: int, holder: str) -> tuple[r.Campaign, r.Job] | None:
    """The compare-and-set that makes lost and doubled commands harmless."""
    job = found_by(tx.jobs.lock(campaign_id, "train"), "")
    campaign = tx.campaigns.by_id(campaign_id)
    if campaign is None:
        return None
    who = asked(tx, campaign)
    if who.learner or not training_due(who.campaign, job, awaited=awaited(tx, campaign.id)):
        return None
    campaign = who.campaign
    if job.deadline is not None and job.deadline > tx.now():
        return None
    died = job.holder != "" and job.revision == campaign.data_revision
    deaths = job.deaths + 1 if died else 0
    if deaths >= DEATHS:
        reason = f"training at revision {campaign.data_revision} ended its worker {deaths} times"
        _finish(tx, campaign, replace(job, deaths=deaths), reason)
        return None
    job = replace(
        job,
        holder=holder,
        fence=job.fence + 1,
        revision=campaign.data_revision,
        deaths=deaths,
        error=job.error,
    )
    return campaign, tx.jobs.save(job, lease_seconds=LEASE)


def keep(
    store: Store, campaign: r.Campaign, job: r.Job, fitted: Fitted, rows: int, began: datetime
) -> int | None:
    with store.begin() as tx:
        if tx.jobs.lock(campaign.id, "train").fence != job.fence:
            return None
        known = tx.campaigns.by_id(campaign.id)
        assert known is not None, "a campaign is never deleted"
        version = known.model_version + 1
        seconds = (tx.now() - began).total_seconds()
        model = r.Model(
            campaign_id=campaign.id,
            version=version,
            data_revision=job.revision,
            accepted=campaign.accepted,
            problem_version=campaign.problem_version,
            rows=rows,
            state=fitted.state,
            sha256=hashlib.sha256(fitted.state).hexdigest(),
            metrics=storable(fitted.metrics),
            device=fitted.device,
            versions=dict(fitted.versions),
            seconds=seconds,
            learner=job.learner,
        )
        tx.models.add(model)
        _finish(tx, campaign, job, "", model)
        data = {"version": version, "data_revision": job.revision, "rows": rows, "seconds": round(seconds, 3)}
        tx.events.add([r.Event("model.trained", "trainer", campaign_id=campaign.id, data=data)])
    return version


def give_up(store: Store, campaign: r.Campaign, job: r.Job, reason: str) -> None:
    with store.begin() as tx:
        if tx.jobs.lock(campaign.id, "train").fence == job.fence:
            _finish(tx, campaign, job, reason[:2000])


def _finish(
    tx: Transaction, campaign: r.Campaign, job: r.Job, error: str, model: r.Model | None = None
) -> None:
    """Done with this revision, one way or the other; the next result is a new reason to train."""
    done = replace(
        job, done=campaign.data_revision, holder="", deadline=None, issued_at=None, deaths=0, error=error
    )
    tx.jobs.save(done)
    tell_waiting(tx, campaign.id, job, model, error)
    if error:
        data = {"reason": error, "data_revision": campaign.data_revision}
        tx.events.add([r.Event("model.failed", "trainer", campaign_id=campaign.id, data=data)])


def _seed(campaign: r.Campaign, rows: Sequence[r.TrainingRow]) -> int:
    """Depends on nothing that a fault could change: event numbers count those, too."""
    digest = hashlib.sha256(f"train:{campaign.seed}:{len(rows)}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
