"""A problem and a strategy that do not go together are told apart by field."""

from __future__ import annotations

from typing import Any

import pytest

from labqueue.problem import Problem
from labqueue.strategy import ACQUISITIONS, Strategy
from models.domain.agreement import check

PARAMETERS = [
    {"name": "temperature", "kind": "continuous", "low": 20, "high": 120},
    {"name": "solvent", "kind": "categorical", "categories": ["water", "ethanol"]},
    {"name": "stirrer", "kind": "fixed", "value": 300},
    {"name": "humidity", "kind": "context", "low": 0, "high": 100},
]
OUTPUTS = [{"name": "yield"}, {"name": "cost"}, {"name": "look", "classes": ["clear", "hazy"]}]
ONE = [{"output": "yield"}]
FRONT = [{"output": "yield"}, {"output": "cost", "goal": "minimize"}]
KNOW = [{"output": "yield", "goal": "learn"}]
LABELS = [{"output": "look", "goal": "learn"}]


def problem(objectives: list[dict[str, Any]]) -> Problem:
    return Problem.from_json({"parameters": PARAMETERS, "outputs": OUTPUTS, "objectives": objectives})


@pytest.mark.parametrize(
    ("objectives", "strategy"),
    [
        (ONE, {}),
        (ONE, {"cost": "temperature * stirrer", "stop": {"cost": 9, "target": 80, "gain": 0.1}}),
        (ONE, {"acquisition": "log_ei", "stop": {"plateau": {"output": "yield", "metric": "r2"}}}),
        (ONE, {"cost": "temperature - 20"}),  # 0 at its end
        (
            ONE,
            {"cost": "temperature ^ 2 - 10 * temperature"},
        ),  # which is nowhere below 0, though its parts are
        (ONE, {"acquisition": "uncertainty"}),
        (FRONT, {"acquisition": "log_nehvi", "stop": {"target": {"yield": 80, "cost": 3}, "gain": 1}}),
        (FRONT, {"acquisition": "random", "stop": {"no_improvement": 5}}),
        (KNOW, {"acquisition": "uncertainty", "stop": {"plateau": {}}}),
        (LABELS, {"acquisition": "entropy", "surrogate": "ensemble", "stop": {"plateau": {"metric": "nll"}}}),
        ([], {"method": "design"}),
        ([], {"method": "learner", "learner": "mine", "fallback": "design"}),
        (ONE, {"method": "learner", "learner": "mine", "fallback": "design", "stop": {"gain": 1}}),
    ],
)
def test_what_goes_together(objectives: list[dict[str, Any]], strategy: dict[str, Any]) -> None:
    assert check(problem(objectives), Strategy.from_json(strategy)) == []


@pytest.mark.parametrize(
    ("objectives", "strategy", "field"),
    [
        ([], {}, "problem.objectives"),
        ([], {"method": "learner", "learner": "mine"}, "problem.objectives"),
        (FRONT, {"acquisition": "log_ei"}, "strategy.acquisition"),
        (ONE, {"acquisition": "log_nehvi"}, "strategy.acquisition"),
        (KNOW, {"acquisition": "log_nei"}, "strategy.acquisition"),
        (
            FRONT,
            {"acquisition": [{"acquisition": "random", "share": 0.2}, {"acquisition": "ucb", "share": 0.8}]},
            "strategy.acquisition[1].acquisition",
        ),
        (LABELS, {"surrogate": "gp"}, "strategy.surrogate"),
        (ONE, {"cost": "temprature"}, "strategy.cost"),
        (ONE, {"cost": "solvent"}, "strategy.cost"),
        (ONE, {"cost": "humidity"}, "strategy.cost"),
        (ONE, {"cost": "sqrt(temperature - 150)"}, "strategy.cost"),
        (ONE, {"cost": "log(temperature - 120)"}, "strategy.cost"),
        (ONE, {"cost": "-5"}, "strategy.cost"),
        (ONE, {"cost": "0 * temperature"}, "strategy.cost"),
        (ONE, {"cost": "temperature - 120"}, "strategy.cost"),
        (ONE, {"stop": {"cost": 5}}, "strategy.stop.cost"),
        (ONE, {"stop": {"target": {"yield": 80}}}, "strategy.stop.target"),
        (FRONT, {"stop": {"target": 80}}, "strategy.stop.target"),
        (FRONT, {"stop": {"target": {"look": 1}}}, "strategy.stop.target.look"),
        (FRONT, {"stop": {"target": {}}}, "strategy.stop.target"),
        (KNOW, {"stop": {"target": 80}}, "strategy.stop.target"),
        (KNOW, {"stop": {"no_improvement": 3}}, "strategy.stop.no_improvement"),
        (KNOW, {"stop": {"gain": 1}}, "strategy.stop.gain"),
        (ONE, {"method": "design", "stop": {"gain": 1}}, "strategy.stop.gain"),
        (KNOW, {"method": "learner", "learner": "mine", "stop": {"gain": 1}}, "strategy.stop.gain"),
        (ONE, {"method": "design", "stop": {"plateau": {}}}, "strategy.stop.plateau"),
        (ONE, {"stop": {"plateau": {"output": "cost"}}}, "strategy.stop.plateau.output"),
        (ONE, {"stop": {"plateau": {"metric": "accuracy"}}}, "strategy.stop.plateau.metric"),
        (LABELS, {"stop": {"plateau": {"metric": "rmse"}}}, "strategy.stop.plateau.metric"),
    ],
)
def test_what_does_not_is_named(objectives: list[Any], strategy: dict[str, Any], field: str) -> None:
    assert [each.field for each in check(problem(objectives), Strategy.from_json(strategy))] == [field]


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        ("temperature - 119", "is -99 where temperature is 20."),
        ("(temperature - 70) ^ 2 - 100", "is -"),
        ("100 - temperature", "is -20 where temperature is 120."),
        ("sqrt(temperature - 60)", "is no finite number where temperature is 20."),
        ("1 / (120 - temperature)", "is no finite number where temperature is 120."),
        ("2 + 0 * log(temperature - 20)", "is no finite number where temperature is 20."),
    ],
)
def test_a_cost_that_is_none_somewhere_is_refused_with_a_point(cost: str, said: str) -> None:
    (error,) = check(problem(ONE), Strategy.from_json({"cost": cost}))
    assert error.field == "strategy.cost" and error.message.startswith(said)


def test_where_the_constraints_allow_no_cost_below_zero_there_is_none() -> None:
    warm = {"kind": "linear", "coefficients": {"temperature": 1}, "operator": "<=", "bound": 90}
    body = {**problem(ONE).to_json(), "constraints": [warm]}
    assert check(Problem.from_json(body), Strategy.from_json({"cost": "100 - temperature"})) == []


@pytest.mark.parametrize(
    ("objectives", "refused"), [(ONE, "log_nehvi"), (FRONT, "log_ei"), (FRONT, "ucb"), (KNOW, "log_nei")]
)
def test_a_refused_acquisition_names_all_that_are_taken(objectives: list[Any], refused: str) -> None:
    (error,) = check(problem(objectives), Strategy.from_json({"acquisition": refused}))
    taken = [
        each
        for each in ACQUISITIONS
        if not check(problem(objectives), Strategy.from_json({"acquisition": each}))
    ]
    assert sorted(error.allowed.split(", ")) == sorted(taken) and len(taken) > 4


def test_opaque_items_are_suggested_by_the_caller() -> None:
    opaque = Problem.from_json({"opaque": True, "outputs": [{"name": "y"}]})
    assert [each.field for each in check(opaque, Strategy(method="design"))] == ["strategy.method"]
    assert check(opaque, Strategy(method="caller")) == []


def test_every_fault_is_named_at_once() -> None:
    strategy = Strategy.from_json({"acquisition": "ucb", "cost": "x", "stop": {"target": 1.0}})
    assert {each.field for each in check(problem(FRONT), strategy)} == {
        "strategy.acquisition",
        "strategy.cost",
        "strategy.stop.target",
    }
