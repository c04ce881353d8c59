"""Outputs that come in later than others: what can be known is used meanwhile."""

from __future__ import annotations

import math
from typing import Any

import pytest
from surrogate_problems import HILL, snapshot

from labqueue.problem import Problem
from labqueue.strategy import Strategy
from models.surrogates import design, learner
from models.surrogates.encoding import Encoding
from models.surrogates.values import LearningError, Observation, Point, Snapshot

POINTS = design.points(Encoding(HILL), 11, 0, 12)


def problem(objectives: list[dict[str, Any]], **more: Any) -> Problem:
    return Problem.from_json(
        {
            "parameters": [each.to_json() for each in HILL.parameters],
            "outputs": [{"name": "h"}, {"name": "g"}],
            "objectives": objectives,
            **more,
        }
    )


LIMITED = problem([{"output": "h"}], outcome_constraints=[{"output": "g", "operator": "<=", "bound": 0.5}])
LEARNT = problem([{"output": "h", "goal": "learn"}, {"output": "g", "goal": "learn"}])
FRONT = problem([{"output": "h"}, {"output": "g"}])


def rows(late: int) -> tuple[Observation, ...]:
    """Of `late` of them the output `g` is in."""
    found = []
    for place, point in enumerate(POINTS):
        y = math.sin(float(point["x"]) / 3) + float(point["y"]) / 5
        found.append(Observation(point, {"h": y, **({"g": 1 - y} if place < late else {})}))
    return tuple(found)


@pytest.mark.parametrize("kind", ["auto", "multi_output"])
@pytest.mark.parametrize("wanted", [LIMITED, LEARNT], ids=["limited", "learnt"])
@pytest.mark.parametrize("late", [0, 1])
def test_an_output_of_which_nothing_is_known_does_not_stop_the_model(
    wanted: Problem, late: int, kind: str
) -> None:
    strategy = Strategy(surrogate=kind)
    fitted = learner.fit(wanted, strategy, rows(late))
    assert set(fitted.metrics["outputs"]) == {"h"}
    asked = snapshot(wanted, rows(late), strategy=strategy, model=fitted.state, count=2)
    found = learner.suggest(asked)
    assert len(found.candidates) == 2
    for each in found.candidates:
        assert "h" in each.expected and "g" not in each.expected
        assert "No model" not in each.reason
        assert ("Too little is known yet to keep g <= 0.5." in each.reason) == (wanted is LIMITED)
    assert (
        learner.suggest(snapshot(wanted, rows(late), strategy=strategy, count=2)).candidates
        == found.candidates
    )


@pytest.mark.parametrize("kind", ["auto", "multi_output"])
def test_a_model_from_before_the_late_output_serves_until_the_next(kind: str) -> None:
    strategy = Strategy(surrogate=kind)
    early = learner.fit(LIMITED, strategy, rows(1)).state
    old = learner.suggest(snapshot(LIMITED, rows(12), strategy=strategy, model=early)).candidates[0]
    assert set(old.expected) == {"h", "score"} and "No model" not in old.reason
    (known,) = learner.predict(LIMITED, rows(12), early, [POINTS[0]])
    assert set(known) == {"h", "score"}
    later = learner.fit(LIMITED, strategy, rows(12), early).state
    new = learner.suggest(snapshot(LIMITED, rows(12), strategy=strategy, model=later)).candidates[0]
    assert "g" in new.expected and "Chance to keep g" in new.reason
    assert "Too little" not in new.reason


def test_what_is_to_be_best_has_to_be_known() -> None:
    with pytest.raises(LearningError, match="fewer than 2 results with g are in"):
        learner.fit(FRONT, Strategy(), rows(1))


def test_a_model_of_results_that_were_taken_back_is_not_asked() -> None:
    state = learner.fit(LIMITED, Strategy(), rows(12)).state
    (found,) = learner.suggest(snapshot(LIMITED, rows(1), model=state, count=1)).candidates
    assert "fewer than 2 results with g are in" in found.reason


def test_outputs_that_never_come_together_can_be_learnt() -> None:
    apart = [
        Observation(each.parameters, {name: each.outputs[name] for name in ("hg"[place % 2],)})
        for place, each in enumerate(rows(12))
    ]
    found = learner.suggest(snapshot(LEARNT, tuple(apart), count=2)).candidates
    assert all(set(each.expected) == {"h", "g"} and "Known least" in each.reason for each in found)


def test_an_objective_that_was_set_late_is_looked_for_everywhere() -> None:
    """The first results with both lie together: a front around them alone would grow in tiny steps (all costs > 2.9)."""

    def outputs(point: Point) -> dict[str, float]:
        x, z = float(point["x"]), float(point["z"])
        return {"h": -((x - 0.8) ** 2) - (z - 0.6) ** 2, "g": 3 * x + z}

    square = [{"name": name, "kind": "continuous", "low": 0, "high": 1} for name in "xz"]
    goals = [{"output": "h"}, {"output": "g", "goal": "minimize"}]
    whole = problem(goals, parameters=square)
    early = [
        *design.points(Encoding(whole), 5, 0, 6),
        *({"x": 0.8 + 0.004 * k, "z": 0.6} for k in range(-7, 7)),
    ]
    rows = [Observation(point, {"h": outputs(point)["h"]}) for point in early]
    rows += [Observation(point, outputs(point)) for point in ({"x": 0.8, "z": 0.59}, {"x": 0.81, "z": 0.59})]
    costs = []
    for number in range(10):
        asked = Snapshot(whole, Strategy(), 5, number, rows=tuple(rows), designed=6, count=1)
        (found,) = learner.suggest(asked).candidates
        rows.append(Observation(found.parameters, outputs(found.parameters)))
        costs.append(rows[-1].outputs["g"])
    assert min(costs) < 1.5
