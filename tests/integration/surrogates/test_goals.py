"""Goals over samples are the problem's own arithmetic, and where a front is measured against."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from labqueue.problem import Problem
from models.surrogates.goals import Goals

OUTPUTS = ("purity", "cost", "ph")


def problem(objectives: list[dict[str, Any]], **more: Any) -> Problem:
    return Problem.from_json(
        {
            "parameters": [{"name": "x", "kind": "continuous", "low": 0, "high": 1}],
            "outputs": [{"name": name} for name in OUTPUTS],
            "objectives": objectives,
            **more,
        }
    )


EVERY_GOAL = [
    {"output": "purity", "weight": 2.0},
    {"output": "cost", "goal": "minimize", "weight": 0.5},
    {"output": "ph", "goal": "target", "target": 1.5, "weight": 3.0},
]
WINDOW = [{"output": "purity"}, {"output": "ph", "goal": "window", "low": -1.0, "high": 1.0}]
WISHES = [
    {"output": "purity", "worst": -3.0, "best": 3.0, "weight": 2.0},
    {"output": "cost", "goal": "minimize", "worst": 3.0, "best": -2.0},
    {"output": "ph", "goal": "window", "low": -1.0, "high": 1.0, "tolerance": 2.5},
]


def samples(count: int = 200) -> torch.Tensor:
    return torch.as_tensor(3 * np.random.default_rng(1).standard_normal((count, len(OUTPUTS))))


@pytest.mark.parametrize(
    ("objectives", "combine"),
    [(EVERY_GOAL, "weighted"), (WINDOW, "weighted"), (WISHES, "desirability"), (EVERY_GOAL, "pareto")],
)
def test_values_and_scores_are_those_of_the_problem(objectives: list[dict[str, Any]], combine: str) -> None:
    wanted = problem(
        [
            {key: value for key, value in each.items() if combine != "pareto" or key != "weight"}
            for each in objectives
        ],
        combine=combine,
    )
    goals, lab = Goals(wanted, OUTPUTS), samples()
    rows = [dict(zip(OUTPUTS, map(float, row), strict=True)) for row in lab]
    assert goals.values(lab).numpy() == pytest.approx(np.array([wanted.values(row) for row in rows]))
    assert goals.scored is (combine != "pareto")
    if goals.scored:
        assert goals.score(lab).numpy() == pytest.approx(np.array([wanted.score(row) for row in rows]))


def test_outputs_may_come_in_any_order() -> None:
    lab = samples(5)
    goals = Goals(problem(EVERY_GOAL), OUTPUTS)
    turned = Goals(problem(EVERY_GOAL), OUTPUTS[::-1])
    assert torch.equal(turned.score(lab.flip(-1)), goals.score(lab))


def test_a_useless_point_still_shows_the_way_to_a_search() -> None:
    goals = Goals(problem(WISHES, combine="desirability"), OUTPUTS)
    lab = torch.tensor(
        [[-5.0, 0.0, 0.0], [-4.0, 0.0, 0.0], [2.0, 0.0, 0.0]], dtype=torch.double, requires_grad=True
    )
    assert goals.score(lab)[:2].tolist() == [0.0, 0.0]
    climbed = goals.climbed(lab)
    assert climbed[0] < climbed[1] < 0 < climbed[2]
    assert climbed[2] == goals.score(lab)[2], "what is of some use counts as it is"
    (slope,) = torch.autograd.grad(climbed.sum(), lab)
    assert (slope[:, 0] > 0).all() and slope.isfinite().all()


def test_slack_is_what_is_left_to_an_outcome_constraint() -> None:
    limits = [
        {"output": "purity", "operator": ">=", "bound": 1.0},
        {"output": "cost", "operator": "<=", "bound": 2.0},
    ]
    wanted = problem(WINDOW, outcome_constraints=limits)
    goals, lab = Goals(wanted, OUTPUTS), samples()
    rows = [dict(zip(OUTPUTS, map(float, row), strict=True)) for row in lab]
    slack = torch.stack([goals.slack(lab, each) for each in wanted.outcome_constraints])
    assert ((slack >= 0).all(dim=0)).tolist() == [wanted.admissible(row) for row in rows]


FRONT = [{"output": "purity"}, {"output": "cost", "goal": "minimize"}]


def reference(values: list[list[float]], admissible: list[bool], **more: float) -> list[float]:
    first = {"reference": more["purity"]} if "purity" in more else {}
    wanted = problem([{**FRONT[0], **first}, FRONT[1]])
    found = Goals(wanted, OUTPUTS).reference(torch.tensor(values).double(), torch.tensor(admissible))
    return [pytest.approx(each) for each in found.tolist()]


def test_the_reference_lies_a_little_beyond_the_front() -> None:
    values = [[0.0, 10.0], [10.0, 0.0], [2.0, 2.0], [-50.0, -50.0]]
    assert reference(values, [True] * 4) == [-1.0, -1.0], "a tenth of the front's range beyond its worst"
    assert reference(values, [True] * 4, purity=5.0) == [5.0, -1.0], "a given one stands"


def test_there_is_a_reference_before_anything_is_admissible_and_with_one_point() -> None:
    values = [[0.0, 10.0], [10.0, 0.0], [1.0, 1.0]]
    assert reference(values, [False] * 3) == [-1.0, -1.0], "all that was measured stands for the front"
    alone = reference([[3.0, 7.0]], [True])
    assert alone[0] == 2.7 and alone[1] == 6.3
    assert reference(values, [False, False, True]) == [0.0, 0.0], (
        "one point: the range of all that was measured"
    )
