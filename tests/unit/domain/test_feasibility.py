"""Is there any point that a problem's constraints allow?"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labqueue.problem import Categorical, Continuous, Discrete, Integer, Linear, Output, Problem
from models.domain.feasibility import feasible

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
