"""Designs: even, repeatable, inside the constraints."""

from __future__ import annotations

import pytest
from surrogate_problems import FINITE, HILL, MIXED

from labqueue.problem import Continuous, Linear, Objective, Output, Problem
from models.surrogates import design
from models.surrogates.encoding import Encoding
from models.surrogates.values import LearningError


@pytest.mark.parametrize("problem", [HILL, MIXED], ids=["free", "constrained"])
def test_a_design_goes_on_where_it_stopped(problem: Problem) -> None:
    encoding = Encoding(problem)
    whole = design.points(encoding, 5, 0, 40)
    assert design.points(encoding, 5, 8, 4) == whole[8:12]
    assert len({tuple(point.items()) for point in whole}) == 40
    assert all(problem.check_point(point) == [] for point in whole)
    assert design.points(encoding, 6, 0, 4) != whole[:4], "another seed, another design"


def test_each_half_of_each_range_gets_half_of_the_points() -> None:
    rows = Encoding(HILL).encode(design.points(Encoding(HILL), 1, 0, 64))
    assert list((rows < 0.5).sum(axis=0)) == [32, 32]


def test_a_thin_slice_of_the_space_is_filled_too() -> None:
    names = [f"x{number}" for number in range(6)]
    problem = Problem(
        tuple(Continuous(name, 0, 1) for name in names),
        (Output("o"),),
        (Objective("o"),),
        (Linear(tuple((name, 1.0) for name in names), "<=", 0.6),),
    )
    points = design.points(Encoding(problem), 2, 0, 20)
    assert len(points) == 20
    assert all(problem.check_point(point) == [] for point in points)
    assert max(float(point["x0"]) for point in points) > 0.2, "not huddled in a corner"


def test_taken_points_are_left_out() -> None:
    encoding = Encoding(HILL)
    first, second, third = design.points(encoding, 1, 0, 3)
    assert design.points(encoding, 1, 0, 2, [first, second])[0] == third


def test_a_finite_space_gives_each_point_once_and_then_no_more() -> None:
    points = design.points(Encoding(FINITE), 1, 0, 10)
    assert sorted(tuple(point.values()) for point in points) == sorted(
        tuple(point.values()) for point in Encoding(FINITE).every()
    )


@pytest.mark.parametrize("operator", [">=", "=="])
def test_constraints_that_leave_nothing_are_said(operator: str) -> None:
    problem = Problem(
        (Continuous("p", 0, 1), Continuous("q", 0, 1)),
        (Output("o"),),
        (Objective("o"),),
        (Linear((("p", 1.0), ("q", 1.0)), operator, 3.0),),
    )
    with pytest.raises(LearningError, match="leave no point"):
        design.points(Encoding(problem), 1, 0, 1)
