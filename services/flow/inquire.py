"""inquire: a question that needs a model is a row with a deadline, answered by a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from labqueue.errors import ConflictError, FieldError, InvalidError, NotFoundError
from models.domain import records as r
from services.ports import Ids, Learner, Snapshot, Store, Transaction

from . import questions
from .awaiting import KIND as TRAIN
from .awaiting import event
from .judging import FAULTS, said
from .shared import campaign_of, problem_of, strategy_of
from .snapshots import chosen_json, expected_json, take_snapshot

KINDS = ("suggest", "predict", "validate")
SECONDS = 60.0


def ask(
    store: Store, ids: Ids, campaign_name: str, kind: str, request: Mapping[str, Any], actor: str
) -> r.Inquiry:
    """`suggest` {count, strategy?, problem?, context?, seed?}: what would be chosen now, staged by nobody. With fields
    of `strategy` and `problem` (objectives, constraints, ...) in place of the campaign's; under this `context`; with a
    `seed`, as that campaign would choose if nothing were known and nothing in flight. `predict` {points, actual?}: mean
    and spread there. `validate` {sizes?}: each measured row as a model foretells it that has not seen it, of all rows
    and of the first so many."""
    with store.begin() as tx:
        campaign = campaign_of(tx, campaign_name)
        problem = problem_of(campaign)
        if problem.opaque:
            raise ConflictError("This campaign's items are opaque: no model can be asked about them.")
        taught_by = strategy_of(campaign).learner
        if taught_by:
            raise ConflictError(f"The learner {taught_by} teaches this campaign: ask it, where it runs.")
        body: dict[str, Any]
        if kind not in KINDS:
            rule = " or ".join(KINDS)
            raise InvalidError(errors=[FieldError("kind", f"must be {rule}.", kind, rule)])
        if kind == "suggest":
            body = questions.suggestion(tx, problem, strategy_of(campaign), request)
        elif kind == "predict":
            body = questions.prediction(tx, problem, request)
        else:
            body = questions.validation(request)
        inquiry = tx.inquiries.add(r.Inquiry(ids.uuid(), campaign.id, kind, body, actor), seconds=SECONDS)
        tx.events.add([event(inquiry)])
    return inquiry


def answer(store: Store, learner: Learner, inquiry_id: UUID) -> r.Inquiry:
    """Answers it, once; a doubled command finds it running or answered and does nothing."""
    with store.begin() as tx:
        inquiry = tx.inquiries.lock(inquiry_id)
        if inquiry is None:
            raise NotFoundError(f"There is no inquiry {inquiry_id}.")
        if inquiry.state != "open" or inquiry.kind == TRAIN:
            return inquiry
        inquiry = replace(inquiry, state="running", fence=inquiry.fence + 1)
        tx.inquiries.save(inquiry)
        campaign = tx.campaigns.by_id(inquiry.campaign_id)
        assert campaign is not None, "an inquiry's campaign is never deleted"
        snapshot, model = take_snapshot(tx, campaign, inquiry.request.get("count", 1), learner.device)
        snapshot = questions.as_asked(snapshot, inquiry.request)
    try:
        found = _compute(learner, inquiry, snapshot)
        done = replace(
            inquiry, state="answered", answer={**found, "model_version": model.version if model else 0}
        )
    except FAULTS as error:
        done = replace(inquiry, state="failed", message=said(error))
    with store.begin() as tx:
        now = tx.inquiries.lock(inquiry_id)
        if now is None or now.state != "running" or now.fence != inquiry.fence:
            return now or done
        _put(tx, done)
    return done


def expire_inquiries(store: Store) -> list[r.Inquiry]:
    """Those that nobody answered in time."""
    with store.begin() as tx:
        now = tx.now()
        late = [each for each in tx.inquiries.due() if each.deadline is not None and each.deadline <= now]
        expired = []
        for each in late:
            held = tx.inquiries.lock(each.id)
            if held is not None and held.state in ("open", "running"):
                worker = "trainer" if held.kind == TRAIN else "suggester"
                why = f"No worker answered in time. Is a {worker} running?"
                expired.append(replace(held, state="expired", message=why))
                _put(tx, expired[-1])
    return expired


def _compute(learner: Learner, inquiry: r.Inquiry, snapshot: Snapshot) -> dict[str, Any]:
    if inquiry.kind == "suggest":
        suggested = learner.suggest(snapshot)
        return {"candidates": [chosen_json(each) for each in suggested.candidates]}
    if snapshot.model is None:
        raise ConflictError("There is no model yet: it needs a few results first.")
    if inquiry.kind == "validate":
        sizes = inquiry.request["sizes"]
        validated = learner.validate(
            snapshot.problem,
            snapshot.strategy,
            snapshot.rows,
            snapshot.model,
            sizes,
            snapshot.seed,
            snapshot.device,
        )
        return {"outputs": {name: [asdict(each) for each in found] for name, found in validated.items()}}
    predicted = learner.predict(
        snapshot.problem, snapshot.rows, snapshot.model, inquiry.request["points"], snapshot.device
    )
    return {"predictions": [expected_json(each) for each in predicted]}


def _put(tx: Transaction, inquiry: r.Inquiry) -> None:
    tx.inquiries.save(inquiry)
    tx.events.add([event(inquiry)])
