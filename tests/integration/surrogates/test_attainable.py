"""What was measured outside of bounds and constraints teaches, and is not what suggestions have to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from labqueue.problem import Problem
from labqueue.strategy import Strategy
from models.surrogates import design, fitting, learner
from models.surrogates.acquisition.situation import Situation
from models.surrogates.attainable import attainable
from models.surrogates.encoding import Encoding
from models.surrogates.values import Observation, Point, Snapshot

X = {"name": "x", "kind": "continuous", "low": 0, "high": 10}
Y = {"name": "y", "kind": "continuous", "low": 0, "high": 10}
SOLVENT = {"name": "s", "kind": "categorical", "categories": ["a", "b", "c"], "unavailable": ["c"]}
HEAT = {"name": "t", "kind": "discrete", "values": [90, 105, 120]}
MOST = {"kind": "linear", "coefficients": {"x": 1, "y": 1}, "operator": "<=", "bound": 12}


def problem(
    *parameters: dict[str, Any], constraints: tuple[dict[str, Any], ...] = (), aims: int = 1
) -> Problem:
    names = ["height", "width"][:aims]
    return Problem.from_json(
        {
            "parameters": list(parameters),
            "constraints": list(constraints),
            "outputs": [{"name": each} for each in names],
            "objectives": [{"output": each} for each in names],
            **({"combine": "pareto"} if aims > 1 else {}),
        }
    )


@pytest.mark.parametrize(
    ("given", "point", "inside"),
    [
        (problem(X, Y), {"x": 10.0, "y": 0.0}, True),
        (problem(X, Y), {"x": 10.1, "y": 5.0}, False),
        (problem(X, Y), {"x": 11.0, "y": 5.0}, False),
        (problem(X, Y), {"x": 5.0, "y": -3.0}, False),
        (problem(X, SOLVENT), {"x": 5.0, "s": "b"}, True),
        (problem(X, SOLVENT), {"x": 5.0, "s": "c"}, False),
        (problem(X, HEAT), {"x": 5.0, "t": 97.0}, True),
        (problem(X, Y, constraints=(MOST,)), {"x": 6.0, "y": 5.9}, True),
        (problem(X, Y, constraints=(MOST,)), {"x": 6.0, "y": 6.2}, True),
        (problem(X, Y, constraints=(MOST,)), {"x": 9.0, "y": 9.0}, False),
    ],
)
def test_what_could_be_planned_is_attainable_with_amounts_that_are_rounded(
    given: Problem, point: Point, inside: bool
) -> None:
    middle = {"x": 5.0, "y": 5.0, "s": "a", "t": 105.0}
    others = {name: value for name, value in middle.items() if name in point}
    assert attainable(Encoding(given), [others, point]).tolist() == [True, inside]


def measured(given: Problem, *outside: Point) -> list[Observation]:
    points = [*design.points(Encoding(given), 3, 0, 12), *outside]
    return [Observation(each, {"height": hill(each), "width": -hill(each)}) for each in points]


def hill(point: Point) -> float:
    """Highest at (3, 3) inside, and far above that outside."""
    x, y = float(point["x"]), float(point["y"])
    return -((x - 3) ** 2) - (y - 3) ** 2 + (1000.0 if max(x, y) > 11 else 0.0)


@pytest.mark.parametrize("aims", [1, 2])
def test_a_best_value_outside_is_no_incumbent(aims: int) -> None:
    given, strategy = problem(X, Y, aims=aims), Strategy()
    rows = measured(given, {"x": 20.0, "y": 20.0})
    space = fitting.space_of(given, rows)
    state = fitting.fit(given, strategy, rows).state
    situation = Situation.of(fitting.restore(given, strategy, space, rows, state), rows, [], strategy, seed=1)
    baseline = situation.front_baseline if aims > 1 else situation.baseline
    assert float(baseline.max()) <= 1 and len(baseline)
    assert not bool(situation.admissible[-1]) and bool(situation.admissible[:-1].all())
    if aims == 1:
        assert situation.best == max(hill(row.parameters) for row in rows[:-1])


def test_where_everything_was_measured_outside_all_of_it_counts() -> None:
    given = problem(X, Y)
    points = [{"x": 20.0 + each, "y": 20.0} for each in range(4)]
    rows = [Observation(each, {"height": hill(each)}) for each in points]
    state = learner.fit(given, Strategy(), rows).state
    snapshot = Snapshot(given, Strategy(), 1, 0, tuple(rows), (), 99, state, 2)
    for each in learner.suggest(snapshot).candidates:
        assert given.check_point(each.parameters) == []


def two_hills(point: Point) -> float:
    """One of 40 inside, one of 400 outside."""
    x, y = float(point["x"]), float(point["y"])
    inside = 40 * np.exp(-((x - 3) ** 2 + (y - 7) ** 2) / 4)
    return float(inside + 400 * np.exp(-((x - 17) ** 2 + (y - 1) ** 2) / 16))


def test_suggestions_climb_the_hill_inside_whatever_was_found_outside() -> None:
    given = problem(X, Y)
    points = [*design.points(Encoding(given), 3, 0, 8), {"x": 17.0, "y": 1.0}, {"x": 14.0, "y": 2.0}]
    rows = [Observation(each, {"height": two_hills(each)}) for each in points]
    before = max(two_hills(each) for each in points[:8])
    for number in range(5):
        state = learner.fit(given, Strategy(), rows).state
        snapshot = Snapshot(given, Strategy(), 1, number, tuple(rows), (), 99, state, 3)
        chosen = [each.parameters for each in learner.suggest(snapshot).candidates]
        rows += [Observation(each, {"height": two_hills(each)}) for each in chosen]
    found = max(two_hills(row.parameters) for row in rows if float(row.parameters["x"]) <= 10)
    assert before < 36 < found
