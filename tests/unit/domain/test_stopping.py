"""Stop rules: when a campaign is done, and what it says then. Each is tried on both sides of its boundary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labqueue.problem import Objective, OutcomeConstraint, Output, Problem
from labqueue.strategy import Plateau, StopRules
from models.domain.stopping import Progress, room, verdict

ONE = Problem(outputs=(Output("y"),), objectives=(Objective("y"),))
#: Much of the first, little of the second.
FRONT = Problem(
    outputs=(Output("y"), Output("cost")),
    objectives=(Objective("y"), Objective("cost", "minimize")),
    combine="pareto",
)
SCORES = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=20)


def measured(*values: float | None) -> list[Mapping[str, float] | None]:
    return [None if value is None else {"y": value} for value in values]


def said(rules: StopRules, problem: Problem = ONE, completed: int = 5, **more: Any) -> str | None:
    return verdict(rules, problem, Progress(completed, **more))


def test_without_rules_it_goes_on_for_ever() -> None:
    assert said(StopRules(), completed=10**6, hours=1e6, measured=measured(*[1.0] * 100), gain=0.0) is None


@pytest.mark.parametrize(
    ("rules", "completed", "values", "reason"),
    [
        (StopRules(budget=3), 2, [], None),
        (StopRules(budget=3), 3, [], "budget of 3 experiments spent"),
        (StopRules(target=0.9), 5, [0.5, 0.89], None),
        (StopRules(target=0.9), 5, [0.5, 0.9, 0.1], "target 0.9 reached: best score 0.9"),
        (StopRules(target=0.9), 5, [], None),
        (StopRules(no_improvement=2), 5, [None, None, None], None),
        (StopRules(no_improvement=2), 5, [1.0, 0.5], None),
        (StopRules(no_improvement=2), 5, [1.0, 0.5, None], "no improvement in the last 2 experiments"),
        (StopRules(no_improvement=2), 5, [1.0, 1.0, 1.0], "no improvement in the last 2 experiments"),
        (StopRules(no_improvement=2), 5, [1.0, 0.5, 1.1], None),
    ],
)
def test_one_score(rules: StopRules, completed: int, values: list[float | None], reason: str | None) -> None:
    assert said(rules, completed=completed, measured=measured(*values)) == reason


def test_any_says_all_that_hold_and_all_waits_for_every_one() -> None:
    rules = {"budget": 3, "target": 0.9}
    both = "target 0.9 reached: best score 0.95; budget of 3 experiments spent"
    assert said(StopRules(**rules), completed=3, measured=measured(0.95)) == both
    assert said(StopRules(**rules), completed=3, measured=measured(0.5)) == "budget of 3 experiments spent"
    assert said(StopRules(**rules, when="all"), completed=3, measured=measured(0.5)) is None
    assert said(StopRules(**rules, when="all"), completed=2, measured=measured(0.95)) is None
    assert said(StopRules(**rules, when="all"), completed=3, measured=measured(0.95)) == both
    assert said(StopRules(when="all")) is None


def test_an_inadmissible_one_reaches_no_target_and_is_no_improvement() -> None:
    pure = Problem(
        outputs=(Output("y"), Output("purity")),
        objectives=(Objective("y"),),
        outcome_constraints=(OutcomeConstraint("purity", ">=", 95.0),),
    )
    dirty, clean = {"y": 0.95, "purity": 94.0}, {"y": 0.92, "purity": 95.0}
    assert said(StopRules(target=0.9), pure, measured=[dirty]) is None
    assert said(StopRules(target=0.9), pure, measured=[dirty, clean]) == "target 0.9 reached: best score 0.92"
    assert said(StopRules(no_improvement=1), pure, measured=[clean, dirty]) is not None
    assert said(StopRules(no_improvement=1), pure, measured=[dirty, clean]) is None


def test_one_whose_objective_is_outstanding_says_nothing() -> None:
    rules = StopRules(no_improvement=1, target=0.5)
    assert said(rules, measured=[{"y": 0.1}, {"purity": 99.0}]) is None


def test_a_minimized_output_reaches_its_target_from_above() -> None:
    cheap = Problem(outputs=(Output("cost"),), objectives=(Objective("cost", "minimize"),))
    assert said(StopRules(target=-5.0), cheap, measured=[{"cost": 5.1}]) is None
    assert said(StopRules(target=-5.0), cheap, measured=[{"cost": 5.0}]) is not None


@pytest.mark.parametrize(
    ("measured", "reached"),
    [
        ([{"y": 0.9, "cost": 4.0}], True),
        ([{"y": 0.95, "cost": 3.0}], True),
        ([{"y": 0.89, "cost": 1.0}], False),
        ([{"y": 0.99, "cost": 4.1}], False),
        ([{"y": 0.95, "cost": 9.0}, {"y": 0.1, "cost": 1.0}], False),
        ([{"y": 0.95}, None], False),
        ([], False),
    ],
)
def test_one_experiment_reaches_every_target_of_a_front(
    measured: Sequence[Mapping[str, float] | None], reached: bool
) -> None:
    found = said(StopRules(target={"cost": 4.0, "y": 0.9}), FRONT, measured=measured)
    assert (found is not None) == reached
    if reached:
        assert found is not None and found.startswith("target y 0.9, cost 4 reached: one experiment has y ")


def test_a_target_may_name_one_of_the_objectives() -> None:
    assert said(StopRules(target={"cost": 4.0}), FRONT, measured=[{"y": 0.0, "cost": 4.0}]) is not None
    assert said(StopRules(target={"cost": 4.0}), FRONT, measured=[{"y": 1.0, "cost": 4.5}]) is None


def test_a_target_of_a_window_or_a_target_goal_is_as_near_as_asked_for() -> None:
    near = Problem(
        outputs=(Output("size"), Output("y")),
        objectives=(Objective("size", "target", target=100.0), Objective("y")),
        combine="pareto",
    )
    rules = StopRules(target={"size": 103.0})
    assert said(rules, near, measured=[{"size": 97.0, "y": 0.0}]) is not None
    assert said(rules, near, measured=[{"size": 96.9, "y": 0.0}]) is None


def test_a_front_that_changed_gives_more_time() -> None:
    best, cheap, worse, same = (
        {"y": 0.9, "cost": 5.0},
        {"y": 0.1, "cost": 1.0},
        {"y": 0.8, "cost": 6.0},
        {"y": 0.9, "cost": 5.0},
    )
    rules = StopRules(no_improvement=2)
    assert said(rules, FRONT, measured=[best, worse, cheap]) is None
    assert said(rules, FRONT, measured=[best, cheap, worse]) is None
    reason = "no change of the front in the last 2 experiments"
    assert said(rules, FRONT, measured=[best, cheap, worse, same]) == reason
    assert said(rules, FRONT, measured=[best, cheap, worse, None]) == reason
    dominating = {"y": 0.95, "cost": 0.5}
    assert said(rules, FRONT, measured=[best, cheap, worse, worse, dominating]) is None


@pytest.mark.parametrize(
    ("base", "values", "reason"),
    [
        (4, [1.0, 0.5, 0.5, None], None),
        (4, [1.0, 0.5, 0.5, None, 0.9], None),
        (4, [1.0, 0.5, 0.5, None, 0.9, None], "no improvement in the last 2 experiments"),
        (4, [1.0, 0.5, 0.5, None, 0.9, 1.1, 0.5], None),
        (4, [1.0, 0.5, 0.5, None, 0.9, 1.1, 0.5, 0.5], "no improvement in the last 2 experiments"),
        (9, [1.0, 0.5, 0.5, None], None),
    ],
)
def test_the_initial_design_is_the_base_that_is_to_be_improved(
    base: int, values: list[float | None], reason: str | None
) -> None:
    assert said(StopRules(no_improvement=2), measured=measured(*values), base=base) == reason


def test_hours_and_costs_are_over_when_they_are_reached() -> None:
    assert said(StopRules(hours=2.0), hours=1.999) is None
    assert said(StopRules(hours=2.0), hours=2.0) == "2 of 2 hours are over"
    assert said(StopRules(cost=100.0), cost=99.9) is None
    assert said(StopRules(cost=100.0), cost=100.5) == "cost of 100.5 reached, and 100 may be spent"
    assert said(StopRules(cost=100.0), cost=None) is None


def test_a_gain_that_is_too_small_ends_it_but_not_in_the_initial_design() -> None:
    rules = StopRules(gain=0.01)
    assert said(rules, gain=None) is None, "no model said anything yet"
    assert said(rules, gain=0.01) is None
    assert said(rules, gain=0.0099, designing=True) is None
    reason = "the best candidate is expected to improve the score by 0.0099, less than 0.01"
    assert said(rules, gain=0.0099) == reason


def test_with_a_cost_the_gain_is_one_per_unit_of_cost() -> None:
    rules = StopRules(gain=0.5)
    assert said(rules, gain=1.0, price=2.0) is None
    assert said(rules, gain=0.9, price=2.0) == (
        "the best candidate is expected to improve the score by 0.9, less than the 1 that its cost of 2 asks for"
    )


@pytest.mark.parametrize(
    ("metric", "tolerance", "values", "holds"),
    [
        ("rmse", 0.1, [1.0, 0.95, 0.92], True),
        ("rmse", 0.1, [1.0, 0.95, 0.9], False),
        ("rmse", 0.1, [9.0, 1.0, 0.95, 0.92], True),
        ("rmse", 0.1, [1.0, 0.95], False),
        ("rmse", 0.0, [1.0, 1.0, 1.0], True),
        ("rmse", 0.0, [1.0, 1.0, 0.999], False),
        ("rmse", 0.1, [0.0, 0.0, 0.0], True),
        ("nll", 0.1, [-1.0, -1.05, -1.09], True),
        ("nll", 0.1, [-1.0, -1.2, -1.0], False),
        ("r2", 0.1, [0.5, 0.52, 0.54], True),
        ("r2", 0.1, [0.5, 0.56, 0.4], False),
        ("accuracy", 0.02, [0.9, 0.91, 0.915], True),
        ("rmse", 0.1, [1.0, float("nan"), 1.0], False),
    ],
)
def test_a_plateau_compares_with_so_many_versions_ago(
    metric: str, tolerance: float, values: list[float], holds: bool
) -> None:
    rules = StopRules(plateau=Plateau(metric, versions=2, tolerance=tolerance))
    found = said(rules, metrics=values)
    assert (found is not None) == holds
    assert said(rules, metrics=values, designing=True) is None


def test_a_plateau_says_its_figures() -> None:
    rules = StopRules(plateau=Plateau("rmse", versions=2, tolerance=0.1))
    assert said(rules, metrics=[1.0, 0.95, 0.97]) == (
        "the model got no better: rmse 1 became 0.95 at best in the last 2 versions"
    )


@given(st.integers(1, 10), SCORES)
def test_a_better_score_always_gives_more_time(most: int, scores: list[float | None]) -> None:
    best = max([score for score in scores if score is not None], default=0.0)
    assert said(StopRules(no_improvement=most), measured=measured(*scores, best + 1.0)) is None


@given(st.integers(1, 100), st.integers(0, 200))
def test_there_is_room_until_the_budget_is_spent(budget: int, spent: int) -> None:
    left = room(StopRules(budget=budget), spent)
    assert left is not None and left == max(0, budget - spent)
    assert room(StopRules(), spent) is None
    assert room(StopRules(budget=budget, when="all"), spent) == left, "it is the only rule"
    assert room(StopRules(budget=budget, target=0.5, when="all"), spent) is None, "others must hold, too"
