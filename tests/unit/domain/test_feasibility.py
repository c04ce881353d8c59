"""Is there any point that a problem's constraints allow?"""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labqueue.problem import Categorical, Continuous, Discrete, Expression, Integer, Linear, Output, Problem
from labqueue.problem.expression import evaluate, parse
from models.domain.feasibility import conflict, feasible, nowhere
from models.space.intervals import EMPTY, INTERVALS, of

X, Y = Continuous("x", 0, 10), Continuous("y", 0, 10)
N = Integer("n", 0, 10)
D = Discrete("d", (1.0, 2.0, 5.0))
C = Categorical("c", ("a", "b"))


def problem(*constraints: Linear) -> Problem:
    return Problem((X, Y, N, D, C), (Output("z"),), (), constraints)


def line(operator: str, bound: float, **coefficients: float) -> Linear:
    return Linear(tuple(coefficients.items()), operator, bound)


@pytest.mark.parametrize(
    ("constraints", "right"),
    [
        ([], True),
        ([line("<=", 5, x=1, y=1)], True),
        ([line("<=", -1, x=1, y=1)], False),
        ([line(">=", 20, x=1, y=1)], True),
        ([line(">=", 20.1, x=1, y=1)], False),
        ([line("==", 7, x=1, y=1), line("<=", 3, x=1), line("<=", 3, y=1)], False),
        ([line("==", 7, n=2)], False),
        ([line("==", 8, n=2)], True),
        ([line("==", 3, d=1)], False),
        ([line("==", 5, d=1)], True),
        ([line("==", 3.5, d=1, n=1)], False),
        ([line("==", 7, d=1, n=1)], True),
        ([line(">=", 1, x=1), line("<=", 0.5, x=1)], False),
    ],
)
def test_bounds_whole_numbers_and_choices_are_taken_into_account(
    constraints: list[Linear], right: bool
) -> None:
    assert feasible(problem(*constraints)) is right


@settings(deadline=None, max_examples=40)
@given(
    st.floats(0, 10),
    st.floats(0, 10),
    st.integers(0, 10),
    st.sampled_from(D.values),
    st.lists(st.tuples(*[st.integers(-3, 3)] * 4, st.sampled_from(["<=", ">="])), min_size=1, max_size=4),
)
def test_constraints_drawn_around_a_point_allow_it(
    x: float, y: float, n: int, d: float, rows: list[tuple[int, int, int, int, str]]
) -> None:
    point = {"x": x, "y": y, "n": n, "d": d, "c": "a"}
    constraints = []
    for *factors, operator in rows:
        coefficients = dict(zip("xynd", map(float, factors), strict=True))
        total = sum(factor * point[name] for name, factor in coefficients.items())
        constraints.append(line(operator, total, **coefficients))
    assert problem(*constraints).check_point(point) == []
    assert feasible(problem(*constraints))


# Rules of every kind (what a program alone proves is in the tests of repair)


def whole(*rules: Any) -> Problem:
    parameters = [
        {"name": "x", "kind": "continuous", "low": -2, "high": 2},
        {"name": "y", "kind": "continuous", "low": -2, "high": 2},
        {"name": "n", "kind": "integer", "low": 1, "high": 9},
        {"name": "s", "kind": "categorical", "categories": ["a", "b"]},
        {"name": "z", "kind": "continuous", "low": 3, "high": 4, "when": {"parameter": "s", "is": "a"}},
    ]
    constraints = [{"kind": "expression", "rule": each} if isinstance(each, str) else each for each in rules]
    return Problem.from_json(
        {"parameters": parameters, "outputs": [{"name": "o"}], "constraints": constraints}
    )


NOT_A = {"kind": "excluded", "combination": {"s": "a"}}
NOT_B = {"kind": "excluded", "combination": {"s": "b"}}


@pytest.mark.parametrize(
    ("rules", "right"),
    [
        (["x^2 + y^2 <= -1"], False),
        (["x^2 + y^2 <= 1"], True),
        (["x * y >= 4.1"], False),
        (["x * y >= 3.9"], True),
        (["sqrt(x - 3) <= 1"], False),
        (["log(x) >= 1"], False),
        (["1 / 0 <= x"], False),
        (["x <= 1 / -0"], False),
        (["exp(-1 / 0) <= x"], True),
        (["1 / (x - x) >= 1 / x"], False),  # finite nowhere
        (["exp(x) <= 0.1"], False),
        (["x^2 + y^2 <= 1", "x + y >= 1.5"], False),
        (["x^2 + y^2 <= 1", "x + y >= 1.41"], True),
        (["x / y >= 5", "y >= 0.5"], False),
        (["exp(1000 * n) >= 5"], False),
        (["1 / exp(1000 * n) <= z", "1 / exp(1000 * n) >= 0"], True),
        (["x^10^400 <= 1"], True),
        (["x**2**2**2**2**2 <= 1"], True),
        (["exp(1000 * n) - exp(1000 * n) <= 1"], False),  # nor is this
        (["n * n >= 82"], False),
        (["n * n >= 81"], True),
        (["z >= 1"], True),
        (["z >= 1", NOT_B], True),
        (["z >= 5"], False),
        ([NOT_A, NOT_B], False),
        ([NOT_A, {"coefficients": {"z": 1}, "operator": ">=", "bound": 1}], False),
        ([NOT_B, {"coefficients": {"z": 1}, "operator": ">=", "bound": 1}], True),
    ],
)
def test_expressions_exclusions_and_conditions(rules: list[Any], right: bool) -> None:
    assert feasible(whole(*rules)) is right


@pytest.mark.parametrize(
    ("rules", "right"),
    [
        (["x + y >= -3", "x^2 + y^2 <= 1", NOT_A, "x + y >= 1.5"], ["x^2 + y^2 <= 1", "x + y >= 1.5"]),
        (["n >= 2", "exp(x) <= 0.1", "y <= 1"], ["exp(x) <= 0.1"]),
        (["y <= 1", NOT_A, NOT_B], ["never s is a", "never s is b"]),
        (["y <= 1"] * 30 + ["y >= 9"], []),  # too many to look through
    ],
)
def test_those_that_contradict_are_named(rules: list[Any], right: list[str]) -> None:
    assert [str(each) for each in conflict(whole(*rules))] == right


def test_what_a_program_and_boxes_see_only_together_is_left_open() -> None:
    """An expression over a parameter whose condition an exclusion rules out."""
    assert feasible(whole("z >= 1", NOT_A))


@settings(deadline=None, max_examples=30)
@given(
    st.floats(-2, 2),
    st.floats(-2, 2),
    st.sampled_from(["x * y", "x^2 - y", "exp(x) + abs(y)", "max(x, y)^3"]),
)
def test_a_rule_that_a_point_keeps_is_never_called_impossible(x: float, y: float, text: str) -> None:
    value = evaluate(parse(text), {"x": x, "y": y})
    rules = [f"{text} <= {value + 1e-6!r}", f"{text} >= {value - 1e-6!r}"]
    assert feasible(whole(*rules))


TEXTS = [
    "min(x,y)",
    "max(x,y)",
    "x * y",
    "x / y",
    "x - y",
    "x^2",
    "x^3",
    "x^-1",
    "x^0.5",
    "2^x",
    "x^y",
    "sqrt(x)",
    "log(x)",
    "log10(x)",
    "exp(x)",
    "abs(x)",
    "-x",
    "(x - 1)^2 * y",
    "1 / (x^2 + 1)",
    "1 / (1 + exp(1000 * x))",
    "exp(400 * x) - exp(400 * y)",
    "(x / (y - y))^-0.5",
    "(-exp(1000 * x))^y",
    "x^10^400",
    "exp(1000 * x) * y",
    "x / exp(1000 * y)",
]


@given(
    st.tuples(*[st.floats(-3, 3)] * 4),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from(TEXTS),
)
def test_an_interval_holds_every_value_that_an_expression_takes_in_it(
    ends: tuple[float, ...], first: float, second: float, text: str
) -> None:
    box = {"x": (min(ends[:2]), max(ends[:2])), "y": (min(ends[2:]), max(ends[2:]))}
    at = {
        name: low + share * (high - low)
        for (name, (low, high)), share in zip(box.items(), (first, second), strict=True)
    }
    at = {name: min(max(value, box[name][0]), box[name][1]) for name, value in at.items()}
    value = evaluate(parse(text), at)
    if math.isnan(value):
        return
    low, high = of(evaluate(parse(text), box, INTERVALS))
    assert (low, high) != EMPTY
    assert low <= value or value == pytest.approx(low, rel=1e-9, abs=1e-9)
    assert value <= high or value == pytest.approx(high, rel=1e-9, abs=1e-9)


def test_what_is_no_real_number_anywhere_is_empty() -> None:
    box = {"x": (-3.0, -1.0), "y": (0.0, 0.0)}
    for text in ("sqrt(x)", "log(x)", "x^0.5", "0 / y", "1 + sqrt(x) * 2", "max(sqrt(x), 1)"):
        assert of(evaluate(parse(text), box, INTERVALS)) == EMPTY, text


def test_an_expression_is_decided_where_everything_is_whole() -> None:
    problem = Problem(
        (Integer("n", 1, 4), Integer("m", 1, 4)), (Output("z"),), (), (Expression.parse("n * m >= 16.5"),)
    )
    assert not feasible(problem)


@pytest.mark.parametrize(
    ("text", "none"),
    [
        ("sqrt(x - 5)", True),
        ("sqrt(x - 3)", False),
        ("log(flow - 1)", True),
        ("log(flow)", False),
        ("log(1 - flow)", False),
        ("10^(400 + x)", True),
        ("10^(310 * x)", False),
    ],
)
def test_what_is_a_number_nowhere_is_proven_to_be_none(text: str, none: bool) -> None:
    """A flow that is not active counts as 0."""
    problem = Problem.from_json(
        {
            "parameters": [
                {"name": "x", "kind": "continuous", "low": 0, "high": 4},
                {"name": "pump", "kind": "categorical", "categories": ["on", "off"]},
                {
                    "name": "flow",
                    "kind": "continuous",
                    "low": 0.5,
                    "high": 1,
                    "when": {"parameter": "pump", "is": "on"},
                },
            ],
            "outputs": [{"name": "z"}],
        }
    )
    assert nowhere(problem, parse(text)) == none


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ("x / (n - n) <= 100", False),
        ("100 >= log(x - x - n)", False),
        ("x / (n - 1) <= 100", True),
        ("sqrt(x - 3.9) <= 100", True),
    ],
)
def test_what_has_no_finite_value_is_kept_by_no_point(rule: str, kept: bool) -> None:
    """Intervals alone cannot tell that n - n is 0."""
    fine = Expression.parse("x <= 3.95")
    problem = Problem(
        (Continuous("x", 0, 4), Integer("n", 1, 4)), (Output("z"),), (), (fine, Expression.parse(rule))
    )
    assert feasible(problem) is kept
    assert [str(each) for each in conflict(problem)] == ([] if kept else [rule])
