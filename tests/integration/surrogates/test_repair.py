"""The nearest point that keeps every constraint, and what is proven where there is none."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from any_problem import problems
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from surrogate_problems import CURVED, EVERY_KIND, category, number, problem

from labqueue.problem import Expression, Problem
from models.space.operations import margin_and_slope, margins
from models.space.program import solve
from models.space.repair import impossible, nearest_valid, quickly_valid
from models.space.table import Table

ANY = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)


def mixture(count: int, **more: Any) -> Problem:
    names = [f"p{place}" for place in range(count)]
    step = {"step": more.pop("step")} if "step" in more else {}
    rule = {"kind": "mixture", "parameters": names, **more}
    return problem(*(number(name, **step) for name in names), constraints=[rule])


def amounts(point: Any) -> list[float]:
    return [float(point[name]) for name in sorted(point)]


def test_a_valid_point_stays_as_it_is() -> None:
    assert nearest_valid(mixture(3), {"p0": 0.2, "p1": 0.3, "p2": 0.5}) == {"p0": 0.2, "p1": 0.3, "p2": 0.5}


def test_a_mixture_is_made_to_sum_by_the_least_change() -> None:
    found = nearest_valid(mixture(3), {"p0": 0.5, "p1": 0.5, "p2": 0.3})
    assert found is not None and amounts(found) == pytest.approx([0.4, 0.4, 0.2])
    assert all(len(repr(each)) <= 12 for each in amounts(found)), "readable"


def test_the_largest_parts_of_a_sparse_mixture_stay() -> None:
    found = nearest_valid(mixture(4, at_most=2), {"p0": 0.5, "p1": 0.1, "p2": 0.4, "p3": 0.2})
    assert found is not None and amounts(found) == pytest.approx([0.55, 0.0, 0.45, 0.0])


def test_what_is_less_than_the_least_becomes_nothing_or_the_least() -> None:
    found = nearest_valid(mixture(3, least=0.1), {"p0": 0.92, "p1": 0.04, "p2": 0.08})
    assert found is not None and amounts(found) == pytest.approx([0.9, 0.0, 0.1])


def test_steps_stay_steps() -> None:
    found = nearest_valid(mixture(4, step=0.05), {"p0": 0.33, "p1": 0.33, "p2": 0.33, "p3": 0.33})
    assert found is not None and sum(amounts(found)) == pytest.approx(1.0)
    assert max(amounts(found)) - min(amounts(found)) <= 0.1 + 1e-9


@pytest.mark.parametrize("start", ["a", "b", "c"])
def test_the_nearest_change_leaves_a_combination_that_is_excluded(start: str) -> None:
    rule = {"kind": "excluded", "combination": {"s": ["a", "b"], "t": {"low": 0.5}}}
    whole = problem(category("s", "a", "b", "c"), number("t"), constraints=[rule])
    near = nearest_valid(whole, {"s": start, "t": 0.52})
    assert near is not None
    if start == "c":
        assert near == {"s": "c", "t": 0.52}
    else:
        assert near["s"] == start and float(near["t"]) == pytest.approx(0.5, abs=1e-5)
    far = nearest_valid(
        problem(category("s", "a", "b", "c"), number("t", 0.5, 1), constraints=[rule]), {"s": start, "t": 0.9}
    )
    assert far == {"s": "c", "t": 0.9}, "t cannot leave it, so the category must"


def test_a_condition_is_switched_where_nothing_else_helps() -> None:
    whole = problem(
        number("t", 10, 20),
        category("base", "none", "K"),
        number("amount", 5, 9, when={"parameter": "base", "is": "K"}),
        constraints=[{"coefficients": {"t": 1, "amount": 1}, "operator": ">=", "bound": 24}],
    )
    found = nearest_valid(whole, {"t": 20.0, "base": "none", "amount": 6.0})
    assert found == {"t": 20.0, "base": "K", "amount": 6.0}
    assert nearest_valid(whole, {"t": 12.0, "base": "K", "amount": 6.0}) is not None


def test_a_step_that_switches_a_condition_brings_its_parameter() -> None:
    whole = problem(
        {"name": "n", "kind": "integer", "low": 100, "high": 101},
        number("t", -10, -9, when={"parameter": "n", "is": 100}),
        constraints=[
            {"coefficients": {"n": 1}, "bound": 100},
            {"coefficients": {"t": 1}, "operator": "<=", "bound": -10},
        ],
    )
    assert nearest_valid(whole, {"n": 101, "t": -9.5}) == {"n": 100, "t": -10.0}


def test_a_curved_rule_is_met_nearby() -> None:
    whole = problem(
        number("x", -2, 2), number("y", -2, 2), constraints=[{"kind": "expression", "rule": "x^2 + y^2 <= 1"}]
    )
    found = nearest_valid(whole, {"x": 1.2, "y": 0.9})
    assert found is not None
    assert math.dist((float(found["x"]), float(found["y"])), (0.8, 0.6)) < 1e-3, "straight towards the middle"


def test_whole_numbers_are_found_for_a_curved_rule() -> None:
    whole = problem(
        {"name": "n", "kind": "integer", "low": 1, "high": 30},
        {"name": "m", "kind": "integer", "low": 1, "high": 30},
        constraints=[
            {"kind": "expression", "rule": "n * m <= 61"},
            {"kind": "expression", "rule": "n * m >= 59"},
        ],
    )
    found = nearest_valid(whole, {"n": 17, "m": 9})
    assert found is not None and 59 <= int(found["n"]) * int(found["m"]) <= 61


def test_the_quick_way_gives_up_where_a_solver_is_needed() -> None:
    assert quickly_valid(mixture(3), {"p0": 0.5, "p1": 0.5, "p2": 0.3}) is not None
    assert quickly_valid(CURVED, {"x": 1.5, "y": 1.5, "size": 3}) is None
    assert nearest_valid(CURVED, {"x": 1.5, "y": 1.5, "size": 3}) is not None


@pytest.mark.parametrize(
    ("parameters", "rules"),
    [
        ([number("a"), number("b")], [{"coefficients": {"a": 1, "b": 1}, "operator": ">=", "bound": 2.1}]),
        ([number("a", step=0.4), number("b", step=0.4)], [{"coefficients": {"a": 1, "b": 1}, "operator": "==", "bound": 1}]),
        ([number("a", 0, 0.3), number("b", 0, 0.3), number("c", 0, 0.3)], [{"kind": "mixture", "parameters": ["a", "b", "c"]}]),
        ([number(name, 0, 0.4) for name in "abc"], [{"kind": "mixture", "parameters": ["a", "b", "c"], "at_most": 2}]),
        ([number(name, 0, 0.7) for name in "abc"], [{"kind": "mixture", "parameters": ["a", "b", "c"], "at_most": 2, "least": 0.6}]),
        ([{"name": "d", "kind": "discrete", "values": [0, 0.3]}, number("b", 0, 0.9)], [{"kind": "mixture", "parameters": ["d", "b"], "least": 0.35}]),
        ([category("s", "a", "b"), number("t")], [{"kind": "excluded", "combination": {"s": [each]}} for each in "ab"]),
        ([category("s", "a", "b", unavailable=["b"]), number("t")], [{"kind": "excluded", "combination": {"s": "a"}}]),
        ([number("t", 2, 5)], [{"kind": "excluded", "combination": {"t": {"low": 1}}}]),
        (
            [category("s", "a", "b"), number("t", 1, 2, when={"parameter": "s", "is": "a"}), number("u")],
            [{"coefficients": {"t": 1}, "operator": ">=", "bound": 0.5}, {"kind": "excluded", "combination": {"s": "a"}}],
        ),
    ],
)  # fmt: skip
def test_what_is_impossible_is_proven(parameters: Any, rules: Any) -> None:
    whole = problem(*parameters, constraints=rules)
    assert impossible(whole)
    assert nearest_valid(whole, {}) is None


@ANY
@given(problems(expressions=False))
def test_what_is_possible_is_not_called_impossible(case: tuple[Problem, dict[str, Any]]) -> None:
    whole, anchor = case
    assert not impossible(whole)
    wanted = {name: value for name, value in anchor.items() if not isinstance(value, str)}
    assert solve(whole, {**(nearest_valid(whole, {}) or {}), **_middles(whole), **wanted}) is not None


def _middles(whole: Problem) -> dict[str, Any]:
    """A value for every parameter that is chosen."""
    found: dict[str, Any] = {}
    for each in whole.planned:
        body = each.to_json()
        if each.kind == "categorical":
            found[each.name] = each.available[0]  # type: ignore[union-attr]
        elif each.kind != "fixed":
            found[each.name] = body["values"][0] if each.kind == "discrete" else body["low"]
    return found


def test_the_programs_point_is_the_nearest_there_is() -> None:
    """Against every point of a small space."""
    whole = problem(
        {"name": "n", "kind": "integer", "low": 0, "high": 6},
        {"name": "d", "kind": "discrete", "values": [0, 1, 4, 9]},
        number("t", 0, 1, step=0.25),
        constraints=[
            {"coefficients": {"n": 1, "d": 1, "t": 4}, "operator": "==", "bound": 10},
            {"kind": "excluded", "combination": {"n": [4, 5], "t": {"high": 0.6}}},
        ],
    )
    every = [
        {"n": n, "d": d, "t": t}
        for n, d, t in itertools.product(range(7), (0.0, 1.0, 4.0, 9.0), (0.0, 0.25, 0.5, 0.75, 1.0))
        if not whole.check_point({"n": n, "d": d, "t": t})
    ]

    def change(point: Any, wanted: Any) -> float:
        return (
            abs(point["n"] - wanted["n"]) / 6
            + abs(point["d"] - wanted["d"]) / 9
            + abs(point["t"] - wanted["t"])
        )

    assert len(every) > 5
    for n, d, t in itertools.product((0, 2, 5), (0.0, 4.0, 9.0), (0.0, 0.5, 1.0)):
        wanted = {"n": n, "d": d, "t": t}
        found = solve(whole, wanted)
        assert found in every
        assert change(found, wanted) == pytest.approx(min(change(each, wanted) for each in every), abs=1e-6)


# Many points at once


@ANY
@given(problems(), st.integers(0, 10**6))
def test_a_table_judges_as_the_problem_does(case: tuple[Problem, dict[str, Any]], seed: int) -> None:
    whole, anchor = case
    table = Table(whole)
    (row,) = table.read([anchor])
    assert table.write(row[None, :]) == [anchor]
    generator = np.random.default_rng(seed)
    rows = np.tile(row, (30, 1))
    for place, each in enumerate(whole.parameters):
        if each.kind == "categorical":
            rows[:, place] = generator.integers(len(each.categories), size=30)  # type: ignore[union-attr]
        elif each.kind == "continuous" and each.step is None:  # type: ignore[union-attr]
            rows[:, place] = generator.uniform(each.low, each.high, size=30)  # type: ignore[union-attr]
    for point, holds in zip(table.write(rows), table.holds(rows), strict=True):
        complete = not any(isinstance(value, float) and math.isnan(value) for value in point.values())
        if complete:
            broken = [rule for rule in whole.constraints if rule.check(point)]
            assert holds == (not broken), (point, broken)


def test_an_exclusion_says_nothing_about_what_is_not_active() -> None:
    whole = problem(
        category("s", "a", "b"),
        number("t", when={"parameter": "s", "is": "a"}),
        constraints=[{"kind": "excluded", "combination": {"t": {"low": 0.5}}}],
    )
    rows = np.array([[0.0, 0.7], [1.0, 0.7], [0.0, 0.3]])
    assert list(Table(whole).holds(rows)) == [False, True, True]


RULES = [
    "x * y <= 1",
    "x / y >= 0.2",
    "x ^ y < 3",
    "2 ^ x <= y + 3",
    "sqrt(x) + exp(-y) <= 2",
    "log(x) + log10(y) >= -2",
    "abs(x - y) <= 1",
    "min(x, y) >= 0.1",
    "max(x, 2 * y) <= 3",
    "-x + y ^ 3 - (x - 2) ^ 2 <= 4",
]


@pytest.mark.parametrize("rule", RULES)
def test_slopes_are_what_small_steps_show(rule: str) -> None:
    read = Expression.parse(rule)
    for x, y in np.random.default_rng(4).uniform(0.2, 2.0, (20, 2)):
        at = {"x": float(x), "y": float(y)}
        gap, slopes = margin_and_slope(read, at)
        arrays = {name: np.array([value, value + 1e-6, value - 1e-6]) for name, value in at.items()}
        assert gap == pytest.approx(margins(read, {name: each[:1] for name, each in arrays.items()})[0])
        for name in read.names:
            moved = {other: np.full(3, at[other]) for other in at} | {name: arrays[name]}
            _, up, down = margins(read, moved)
            assert slopes[name] == pytest.approx((up - down) / 2e-6, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    "rule", ["1 / x <= 1", "log(x) <= 1", "sqrt(x - 1) <= 1", "exp(1000 * (x + 1)) <= 1"]
)
def test_where_there_is_no_real_number_there_is_no_slope(rule: str) -> None:
    read = Expression.parse(rule)
    assert math.isnan(margin_and_slope(read, {"x": 0.0})[0])
    assert np.isnan(margins(read, {"x": np.zeros(1)})[0])


def test_every_kind_of_row_can_be_written() -> None:
    rows = np.zeros((3, len(EVERY_KIND.parameters)))
    assert len(Table(EVERY_KIND).write(rows)) == 3
