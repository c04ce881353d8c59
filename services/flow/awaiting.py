"""awaiting: a question that is answered when a training has seen what is known now, with its model's metrics.

No worker is asked: whoever ends the training answers, in the same transaction.
"""

from __future__ import annotations

from labqueue.errors import ConflictError, FieldError, InvalidError
from models.domain import records as r
from models.domain.replacing import replace
from services.ports import Ids, Store, Transaction

from .asking import asked, found_by, lesson_due
from .number import number
from .planning import FEWEST_ROWS, training_due
from .shared import campaign_of

KIND = "train"
SECONDS, SECONDS_LIMIT = 600.0, 86_400.0


def await_training(
    store: Store, ids: Ids, campaign_name: str, actor: str, seconds: float = SECONDS
) -> r.Inquiry:
    """Open until a training has seen every result up to now; answered at once where the newest model has.

    Raises ConflictError where no training is to come: there is no model, or the last training failed on this data.
    """
    if not 0 < seconds <= SECONDS_LIMIT:
        rule = f"above 0 and up to {SECONDS_LIMIT:g} seconds"
        raise InvalidError(errors=[FieldError("seconds", f"must be {rule}.", seconds, rule)])
    number(store, wait=True)  # what the asker has just recorded counts
    with store.begin() as tx:
        campaign = campaign_of(tx, campaign_name)
        who = asked(tx, campaign)
        # Behind this lock: a training that ends now answers what is asked before, and is seen by what is asked after.
        job = found_by(tx.jobs.lock(campaign.id, "train"), who.learner)
        running = (
            job.deadline is not None and job.deadline > tx.now() and job.revision == campaign.data_revision
        )
        inquiry = r.Inquiry(ids.uuid(), campaign.id, KIND, {"data_revision": campaign.data_revision}, actor)
        lesson = who.learner != "" and lesson_due(tx, who.campaign, job)
        waits = running or lesson or training_due(who.campaign, job, awaited=True)
        if not waits and (who.campaign.model_version == 0 or job.error):
            raise ConflictError(_why_never(who.campaign, job))
        inquiry = tx.inquiries.add(inquiry, seconds=seconds)
        tx.events.add([event(inquiry)])
        if not waits:
            inquiry = _end(tx, inquiry, tx.models.get(campaign.id, who.campaign.model_version), "")
    return inquiry


def awaited(tx: Transaction, campaign_id: int) -> bool:
    """Does somebody wait for a training of this campaign?"""
    return any(each.kind == KIND and each.campaign_id == campaign_id for each in tx.inquiries.due())


def tell_waiting(tx: Transaction, campaign_id: int, job: r.Job, model: r.Model | None, error: str) -> None:
    """Those who waited for a training that has seen what was known when they asked."""
    for each in tx.inquiries.due():
        if each.kind != KIND or each.campaign_id != campaign_id:
            continue
        if each.request["data_revision"] <= job.revision:
            held = tx.inquiries.lock(each.id)
            if held is not None and held.state == "open":
                _end(tx, held, model, error)


def event(inquiry: r.Inquiry) -> r.Event:
    data = {"inquiry": str(inquiry.id), "kind": inquiry.kind, "state": inquiry.state}
    return r.Event(f"inquiry.{inquiry.state}", inquiry.actor, campaign_id=inquiry.campaign_id, data=data)


def _end(tx: Transaction, inquiry: r.Inquiry, model: r.Model | None, error: str) -> r.Inquiry:
    if error or model is None:
        ended = replace(inquiry, state="failed", message=error or "There are too few results to train on.")
    else:
        answer = {
            "model_version": model.version,
            "data_revision": model.data_revision,
            "rows": model.rows,
            "metrics": model.metrics,
            "seconds": model.seconds,
        }
        ended = replace(inquiry, state="answered", answer=answer)
    tx.inquiries.save(ended)
    tx.events.add([event(ended)])
    return ended


def _why_never(campaign: r.Campaign, job: r.Job) -> str:
    if job.error:
        return f"The last training failed, and nothing is new since then: {job.error}"
    if campaign.accepted < FEWEST_ROWS:
        return f"A model needs {FEWEST_ROWS} results; there are {campaign.accepted}."
    return f"Campaign {campaign.name!r} has no model: its strategy asks for none, or it is finished."
