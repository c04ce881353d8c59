"""The crossing between lab units and the unit cube."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from surrogate_problems import FINITE, HILL, MIXED

from labqueue.problem import Categorical, Continuous, Integer, Linear, Objective, Output, Problem
from models.surrogates.encoding import Encoding
from models.surrogates.values import LearningError

CUBE = st.floats(-0.5, 1.5, allow_nan=False)


@settings(deadline=None, max_examples=60)
@given(st.lists(CUBE, min_size=10, max_size=10))
def test_whatever_comes_from_the_cube_can_be_staged(row: list[float]) -> None:
    encoding = Encoding(MIXED)
    point = encoding.decode(np.array(row))
    assert point is not None
    assert MIXED.check_point(point) == []
    assert MIXED.normal(point) == point, "types are the problem's own"


@settings(deadline=None, max_examples=60)
@given(st.floats(0, 1), st.floats(0, 1))
def test_a_point_survives_the_way_there_and_back(first: float, second: float) -> None:
    encoding = Encoding(HILL)
    point = encoding.decode(np.array([first, second]))
    assert point is not None
    again = encoding.decode(encoding.encode([point])[0])
    assert again == point
    assert np.allclose(encoding.encode([point])[0], [first, second], atol=2e-6)


def test_columns_scale_ranges_and_logarithms_and_split_categories() -> None:
    encoding = Encoding(MIXED)
    (row,) = encoding.encode(
        [
            {
                "a": 0.2,
                "b": 0.3,
                "c": 0.5,
                "rate": 1.0,
                "cycles": 40,
                "stages": 2,
                "size": 1.5,
                "solvent": "DMSO",
            }
        ]
    )
    assert row == pytest.approx([0.2, 0.3, 0.5, 0.5, 1.0, 0.5, 0.5, 0, 0, 1])
    assert encoding.smooth == (0, 1, 2, 3, 4), "40 cycles are searched as if continuous, 3 stages are not"


def test_actual_values_outside_the_range_keep_their_place() -> None:
    (row,) = Encoding(HILL).encode([{"x": 11.5, "y": 0.0001}])
    assert row[0] == pytest.approx(1.1)
    assert row[1] == pytest.approx(-0.25)


def test_a_row_without_a_parameter_is_refused_by_name() -> None:
    with pytest.raises(LearningError, match="no value for y"):
        Encoding(HILL).encode([{"x": 1.0}])


def test_a_wide_range_is_rounded_for_people_and_never_out_of_bounds() -> None:
    problem = Problem((Continuous("t", 30, 120, "degC"),), (Output("o"),), (Objective("o"),))
    encoding = Encoding(problem)
    assert encoding.decode(np.array([1 / 3 + 1e-9])) == {"t": 60.0}
    assert encoding.decode(np.array([1.0 + 1e-12])) == {"t": 120.0}


def test_a_finite_space_is_listed_whole() -> None:
    encoding = Encoding(FINITE)
    points = list(encoding.every())
    assert encoding.size == len(points) == 6
    assert len({tuple(point.items()) for point in points}) == 6
    assert Encoding(HILL).size is None


def test_neighbours_differ_in_one_parameter_of_few_values() -> None:
    near = list(Encoding(FINITE).neighbours({"base": "NaOH", "ratio": 2.0}))
    assert near == [
        {"base": "K2CO3", "ratio": 2.0},
        {"base": "NaOH", "ratio": 1.0},
        {"base": "NaOH", "ratio": 4.0},
    ]


def test_constraints_in_the_cube_have_the_sign_and_the_slope_of_those_in_the_lab() -> None:
    encoding = Encoding(MIXED)
    generator = np.random.default_rng(3)
    for _ in range(20):
        row = generator.random(encoding.width)
        for number, (kind, packed) in enumerate(encoding.constraints(row)):
            linear = MIXED.constraints[number]
            assert kind == ("eq" if linear.operator == "==" else "ineq")
            for column in range(7):
                step = np.zeros(encoding.width)
                step[column] = 1e-6
                up = encoding.constraints(row + step)[number][1][0]
                down = encoding.constraints(row - step)[number][1][0]
                assert packed[1 + column] == pytest.approx((up - down) / 2e-6, rel=1e-4, abs=1e-6)
    (row,) = encoding.encode(
        [
            {
                "a": 0.2,
                "b": 0.3,
                "c": 0.5,
                "rate": 3.0,
                "cycles": 9,
                "stages": 3,
                "size": 0.5,
                "solvent": "water",
            }
        ]
    )
    values = [packed[0] for _, packed in encoding.constraints(row)]
    assert values[0] == pytest.approx(0) and values[1] > 0 and values[2] == pytest.approx(0)


def test_whole_numbers_are_repaired_together() -> None:
    problem = Problem(
        (Integer("p", 0, 10), Integer("q", 0, 10), Categorical("k", ("u", "v"))),
        (Output("o"),),
        (Objective("o"),),
        (Linear((("p", 1.0), ("q", 3.0)), "==", 14.0),),
    )
    encoding = Encoding(problem)
    for row in np.random.default_rng(1).random((40, encoding.width)):
        point = encoding.decode(row)
        assert point is not None and problem.check_point(point) == []


def test_constraints_that_leave_nothing_give_nothing() -> None:
    problem = Problem(
        (Continuous("p", 0, 1),), (Output("o"),), (Objective("o"),), (Linear((("p", 1.0),), ">=", 2.0),)
    )
    assert Encoding(problem).decode(np.array([0.5])) is None


def test_a_repair_moves_as_little_as_it_must() -> None:
    problem = Problem(
        (Continuous("p", 0, 1), Continuous("q", 0, 1)),
        (Output("o"),),
        (Objective("o"),),
        (Linear((("p", 1.0), ("q", 1.0)), "<=", 1.0),),
    )
    point = Encoding(problem).decode(np.array([0.7, 0.5]))
    assert point is not None
    moved = abs(float(point["p"]) - 0.7) + abs(float(point["q"]) - 0.5)
    assert math.isclose(moved, 0.2, abs_tol=1e-4)
