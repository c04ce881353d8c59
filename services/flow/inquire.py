"""inquire: a question that needs a model is a row with a deadline, answered by a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from labqueue.errors import ConflictError, FieldError, InvalidError, NotFoundError
from labqueue.problem import Problem
from labqueue.strategy import DESIGN, Strategy
from models.domain import records as r
from services.ports import Ids, Learner, Snapshot, Store, Transaction

from .awaiting import KIND as TRAIN
from .awaiting import event
from .define import SEED_LIMIT, check_together
from .judging import FAULTS, said
from .pools import Points
from .shared import campaign_of, problem_of, strategy_of
from .snapshots import chosen_json, take_snapshot

KINDS = ("suggest", "predict")
COUNT_LIMIT = 100
#: Points of a design alone: they cost next to nothing.
DESIGN_LIMIT = 10_000
POINT_LIMIT = 10_000
SECONDS = 60.0


def ask(
    store: Store, ids: Ids, campaign_name: str, kind: str, request: Mapping[str, Any], actor: str
) -> r.Inquiry:
    """`suggest` {count, strategy?, problem?, seed?}: what would be chosen now, staged by nobody. With fields of
    `strategy` and `problem` (objectives, constraints, ...) in place of the campaign's; with a `seed`, as that campaign
    would choose if nothing were known and nothing in flight. `predict` {points}: mean and spread there."""
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
            body = _suggestion(problem, strategy_of(campaign), request)
        else:
            body = _prediction(tx, problem, request.get("points"))
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
        snapshot = _as_asked(snapshot, inquiry.request)
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


def _suggestion(problem: Problem, strategy: Strategy, request: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of the question; what it changes is whole and was judged."""
    count, seed = request.get("count", 1), request.get("seed")
    changes: dict[str, Any] = {
        name: request.get(name) for name in ("strategy", "problem") if request.get(name) is not None
    }
    for name, given in changes.items():
        if not isinstance(given, Mapping):
            raise InvalidError(
                errors=[FieldError(name, "must be an object with the fields to change.", None)]
            )
    body: dict[str, Any] = {"count": count}
    if "strategy" in changes:
        strategy = Strategy.from_json({**strategy.to_json(), **changes["strategy"]})
        body["strategy"] = strategy.to_json()
    if "problem" in changes:
        problem = Problem.from_json({**problem.to_json(), **changes["problem"]})
        body["problem"] = problem.to_json()
    if changes:
        check_together(problem, strategy)
    limit = DESIGN_LIMIT if strategy.method == DESIGN else COUNT_LIMIT
    wrong = []
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= limit:
        rule = f"1 to {limit}"
        wrong.append(FieldError("count", f"must be {rule}.", count, rule))
    if seed is not None:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < SEED_LIMIT:
            rule = f"0 to {SEED_LIMIT - 1:,}"
            wrong.append(FieldError("seed", f"must be {rule}.", seed, rule))
        body["seed"] = seed
    if wrong:
        raise InvalidError(errors=wrong)
    return body


def _prediction(tx: Transaction, problem: Problem, points: Any) -> dict[str, Any]:
    if not isinstance(points, (list, tuple)):
        raise InvalidError(errors=[FieldError("points", "must be a list of points.", None)])
    known = Points(tx, problem, points)
    wrong = [
        replace(each, field=f"points[{row}].{each.field}")
        for row, point in enumerate(points)
        for each in known.check(point)
    ]
    if not 1 <= len(points) <= POINT_LIMIT:
        rule = f"1 to {POINT_LIMIT} points"
        wrong.append(FieldError("points", f"must be {rule}.", len(points), rule))
    if wrong:
        raise InvalidError("These points cannot be predicted as they stand.", errors=wrong)
    return {"points": [known.normal(point) for point in points]}


def _as_asked(snapshot: Snapshot, request: Mapping[str, Any]) -> Snapshot:
    if "strategy" in request:
        snapshot = replace(snapshot, strategy=Strategy.from_json(request["strategy"]))
    if "problem" in request:
        snapshot = replace(snapshot, problem=Problem.from_json(request["problem"]))
    if "seed" in request:
        snapshot = replace(
            snapshot, seed=request["seed"], number=1, rows=(), pending=(), staged=(), drawn=0, model=None
        )
    return snapshot


def _compute(learner: Learner, inquiry: r.Inquiry, snapshot: Snapshot) -> dict[str, Any]:
    if inquiry.kind == "suggest":
        suggested = learner.suggest(snapshot)
        return {"candidates": [chosen_json(each) for each in suggested.candidates]}
    if snapshot.model is None:
        raise ConflictError("There is no model yet: it needs a few results first.")
    found = learner.predict(
        snapshot.problem, snapshot.rows, snapshot.model, inquiry.request["points"], snapshot.device
    )
    return {
        "predictions": [
            {name: {"mean": mean, "sd": sd} for name, (mean, sd) in each.items()} for each in found
        ]
    }


def _put(tx: Transaction, inquiry: r.Inquiry) -> None:
    tx.inquiries.save(inquiry)
    tx.events.add([event(inquiry)])
