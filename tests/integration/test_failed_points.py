"""Points that failed for good steer the learner as points do that were reported to be infeasible."""

from __future__ import annotations

from dataclasses import replace

from labqueue.problem import Problem
from labqueue.states import Outcome
from labqueue.strategy import Strategy
from models.domain import records as r
from services.ports import Snapshot
from workers.learner import TorchLearner

PROBLEM = Problem.from_json(
    {
        "parameters": [
            {"name": "x", "kind": "continuous", "low": 0, "high": 10},
            {"name": "h", "kind": "context", "low": 0, "high": 1},
        ],
        "outputs": [{"name": "y"}],
        "objectives": [{"output": "y"}],
    }
)
POINTS = [0.5, 1.5, 2.5, 3.5, 5.0, 6.0]
ROWS = tuple(
    r.TrainingRow(place, {"x": x}, {"x": x, "h": 0.5}, {"y": x}, {}, Outcome.MEASURED, place)
    for place, x in enumerate(POINTS, 1)
)


def test_failed_points_count_as_infeasible_and_not_as_the_last_context() -> None:
    learner = TorchLearner()
    model = learner.fit(PROBLEM, Strategy(), ROWS, None, 1, "cpu").state
    asked = Snapshot(PROBLEM, Strategy(), 1, 7, ROWS, (), 50, model, 1)
    (free,) = learner.suggest(asked).candidates
    assert free.parameters["x"] > 9, "more is better"
    failed = tuple({"x": x} for x in (10.0, 9.5, 9.0, 8.5))
    (steered,) = learner.suggest(replace(asked, failed=failed)).candidates
    assert steered.parameters["x"] < 9 and "Chance that it can be run" in steered.reason
    rows = (*ROWS, *(r.TrainingRow(9, each, each, {}, {}, Outcome.INFEASIBLE, 9) for each in failed))
    (same,) = learner.suggest(
        replace(asked, rows=tuple(sorted(rows, key=lambda row: -row.experiment_id)))
    ).candidates
    assert abs(same.parameters["x"] - steered.parameters["x"]) < 0.5
