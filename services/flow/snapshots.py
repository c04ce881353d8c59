"""What a suggestion is a pure function of: taken, stored, and computed again from what is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from labqueue.errors import ConflictError, LabqueueError, NotFoundError
from labqueue.problem import Problem
from labqueue.states import Outcome
from labqueue.strategy import SEQUENTIAL
from models.domain import records as r
from models.domain.as_run import as_run
from services.ports import Chosen, Learner, Snapshot, Store, Transaction

from .planning import failed, just_measured
from .pools import in_vain
from .shared import problem_at, problem_of, strategy_of

#: Where so many rows are computed best: cpu, cuda.
Device = Callable[[int], str]


def take_snapshot(
    tx: Transaction,
    campaign: r.Campaign,
    count: int,
    device: Device,
    giving_way: Sequence[r.Experiment] = (),
) -> tuple[Snapshot, r.Model | None]:
    """Data up to the campaign's revision, the newest model, and every pending point but those giving way. A point
    is in the data or pending, also between its result and that result's number."""
    skipped = {each.id for each in giving_way}
    flying = {each.id: each for each in tx.experiments.unfinished(campaign.id) if each.id not in skipped}
    rows = tx.results.training(campaign.id, campaign.data_revision)
    flying |= {each.id: each for each in just_measured(tx, campaign, rows)}
    strategy = strategy_of(campaign)
    model = tx.models.latest(campaign.id, strategy.learner)
    if model is not None and model.problem_version != campaign.problem_version:
        model = None
    snapshot = Snapshot(
        problem=problem_of(campaign),
        strategy=strategy,
        seed=campaign.seed,
        number=campaign.next_suggestion,
        rows=in_order(problem_of(campaign), rows),
        pending=(
            *(each.planned for _, each in sorted(flying.items()) if each.planned is not None),
            *in_vain(tx, campaign, problem_of(campaign)),
        ),
        drawn=tx.experiments.drawn(campaign.id),
        model=model.state if model else None,
        count=count,
        device=device(len(rows)),
        # What must repeat point for point is not cut by a clock.
        deadline_seconds=None if strategy.mode == SEQUENTIAL else strategy.deadline,
        staged=tuple(each.planned for each in giving_way),
        failed=tuple(failed(tx, campaign)),
    )
    return snapshot, model


def in_order(problem: Problem, rows: Sequence[r.TrainingRow]) -> tuple[r.TrainingRow, ...]:
    """Rows as this version of the problem knows them: its own parameters, in its own order."""
    return tuple(
        replace(row, planned=problem.ordered(row.planned), parameters=as_run(problem, row.parameters))
        for row in rows
    )


def snapshot_json(campaign: r.Campaign, snapshot: Snapshot) -> dict[str, Any]:
    """What is stored of it; rows and model are found again by the suggestion's revision and model version."""
    return {
        "problem_version": campaign.problem_version,
        "strategy_version": campaign.strategy_version,
        "strategy": snapshot.strategy.to_json(),
        "seed": snapshot.seed,
        "pending": [dict(each) for each in snapshot.pending],
        "staged": [dict(each) for each in snapshot.staged],
        "failed": [dict(each) for each in snapshot.failed],
        "drawn": snapshot.drawn,
        "count": snapshot.count,
        "device": snapshot.device,
        "rows": len([row for row in snapshot.rows if row.outcome is Outcome.MEASURED]),
    }


def snapshot_of(tx: Transaction, found: r.Suggestion) -> Snapshot:
    """The snapshot of a stored suggestion, without its deadline: effort is counted in iterations.

    Raises LabqueueError where the model's state is not what it was.
    """
    stored = found.snapshot
    campaign = tx.campaigns.by_id(found.campaign_id)
    assert campaign is not None, "a suggestion's campaign is never deleted"
    model = tx.models.get(campaign.id, found.model_version) if found.model_version else None
    if model is not None and hashlib.sha256(model.state).hexdigest() != model.sha256:
        raise LabqueueError(f"The state of model {model.version} does not match its SHA-256.")
    problem = problem_at(tx, campaign, stored["problem_version"])
    return Snapshot(
        problem=problem,
        strategy=strategy_of(replace(campaign, strategy=stored["strategy"])),
        seed=stored["seed"],
        number=found.number,
        rows=in_order(problem, tx.results.training(campaign.id, found.data_revision)),
        pending=tuple(stored["pending"]),
        drawn=stored["drawn"],
        model=model.state if model else None,
        count=stored["count"],
        device=stored["device"],
        staged=tuple(stored["staged"]),
        failed=tuple(stored["failed"]),
    )


def replay(store: Store, learner: Learner, suggestion_id: int) -> tuple[Any, Any]:
    """What was stored, and what the same snapshot gives now (both as JSON)."""
    with store.begin() as tx:
        found = tx.suggestions.get(suggestion_id)
        if found is None:
            raise NotFoundError(f"There is no suggestion {suggestion_id}.")
        if found.versions.get("learner"):
            whose = found.versions["learner"]
            raise ConflictError(f"The learner {whose} chose these; only it can compute them again.")
        snapshot = snapshot_of(tx, found)
    return found.candidates, [chosen_json(each) for each in learner.suggest(snapshot).candidates]


def chosen_json(chosen: Chosen) -> dict[str, Any]:
    found: dict[str, Any] = {
        "parameters": dict(chosen.parameters),
        "reason": chosen.reason,
        "origin": chosen.origin,
        "expected": expected_json(chosen.expected),
    }
    return found if chosen.staged is None else {**found, "staged": chosen.staged}


def expected_json(expected: Mapping[str, tuple[float, float]]) -> dict[str, dict[str, float]]:
    return {name: {"mean": mean, "sd": sd} for name, (mean, sd) in expected.items()}
