"""What counts as the same experiment: the point that was planned, whatever an instrument says of it afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from surrogate_problems import FINITE, snapshot

from labqueue.problem import Problem
from labqueue.strategy import DESIGN as DESIGN_ALONE
from labqueue.strategy import Strategy
from models.surrogates import learner
from models.surrogates.encoding import Encoding
from models.surrogates.taken import Taken
from models.surrogates.values import Observation, Point

POINTS: list[Point] = [
    {"base": base, "ratio": ratio} for base in ("NaOH", "K2CO3") for ratio in (1.0, 2.0, 4.0)
]


def ran(planned: Point, number: int, **actual: Any) -> Observation:
    return Observation({**planned, **actual}, {"yield": float(number)}, planned=planned)


@pytest.mark.parametrize("strategy", [Strategy(), Strategy(method=DESIGN_ALONE)])
def test_what_was_planned_is_not_run_again_though_other_values_were_reported(strategy: Strategy) -> None:
    designed = 0 if strategy.method == DESIGN_ALONE else 10**6
    rows = tuple(ran(each, number, ratio=float(each["ratio"]) + 0.01) for number, each in enumerate(POINTS))
    asked = snapshot(FINITE, rows[1:], strategy=strategy, designed=designed, count=3)
    assert [each.parameters for each in learner.suggest(asked).candidates] == POINTS[:1]
    full = snapshot(FINITE, rows, strategy=strategy, designed=designed, count=3)
    assert learner.suggest(full).candidates == ()


@pytest.mark.parametrize("strategy", [Strategy(), Strategy(method=DESIGN_ALONE)])
def test_another_context_makes_no_other_experiment(strategy: Strategy) -> None:
    """Neither where the rows say what was planned, nor where they have but one point each."""
    humid = {"name": "humidity", "kind": "context", "low": 0, "high": 100}
    plain = FINITE.to_json()
    problem = Problem.from_json({**plain, "parameters": [*plain["parameters"], humid]})
    rows = tuple(ran(each, number, humidity=7.0 * number) for number, each in enumerate(POINTS))
    merged = tuple(Observation(each.parameters, each.outputs) for each in rows)
    designed = 0 if strategy.method == DESIGN_ALONE else 10**6
    for known in (rows, merged):
        asked = snapshot(problem, known[1:], strategy=strategy, designed=designed, count=3)
        assert [each.parameters for each in learner.suggest(asked).candidates] == POINTS[:1]


@pytest.mark.parametrize(
    ("number", "near", "far"),
    [
        ({"kind": "integer", "low": 0, "high": 1_000_000}, 500_900, 501_100),
        ({"kind": "continuous", "low": 0, "high": 1, "step": 1e-5}, 0.50002, 0.5012),
        ({"kind": "integer", "low": 0, "high": 1000}, None, 501),
        ({"kind": "discrete", "values": [0, 0.5, 0.5001, 1]}, None, 0.5001),
    ],
)
def test_values_in_order_are_told_apart_unless_they_are_very_many(
    number: dict[str, Any], near: float | None, far: float
) -> None:
    problem = Problem.from_json(
        {"parameters": [{"name": "n", **number}], "outputs": [{"name": "y"}], "objectives": [{"output": "y"}]}
    )
    encoding, middle = Encoding(problem), number.get("high", 1) / 2
    taken = Taken(encoding, [{"n": middle}])

    def has(value: float) -> bool:
        point = {"n": value}
        return taken.has(point, np.asarray(encoding.encode([point])[0]))

    assert has(middle) and not has(far)
    assert near is None or has(near)
