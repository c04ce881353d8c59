"""The crossing between lab units and the unit cube."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from surrogate_problems import CURVED, EVERY_KIND, FINITE, HILL, MIXED, PLATE, category, number, problem

from labqueue.problem import Categorical, Continuous, Discrete, Integer, Linear, Objective, Output, Problem
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


@pytest.mark.parametrize("whole", [MIXED, EVERY_KIND, CURVED], ids=["plain", "every kind", "curved"])
def test_constraints_in_the_cube_have_the_slope_of_those_in_the_lab(whole: Problem) -> None:
    encoding = Encoding(whole)
    generator = np.random.default_rng(3)
    numbers = [
        where.start
        for parameter, where in zip(whole.parameters, encoding.slices, strict=True)
        if isinstance(parameter, (Continuous, Integer, Discrete))
    ]
    for _ in range(20):
        row = generator.random(encoding.width)
        for place, (kind, packed) in enumerate(encoding.constraints(row)):
            assert kind in ("eq", "ineq") and packed.shape == (1 + encoding.width,)
            for column in numbers:
                step = np.zeros(encoding.width)
                step[column] = 1e-6
                up = encoding.constraints(row + step)[place][1][0]
                down = encoding.constraints(row - step)[place][1][0]
                assert packed[1 + column] == pytest.approx((up - down) / 2e-6, rel=1e-3, abs=1e-5)


def test_constraints_in_the_cube_have_the_sign_of_those_in_the_lab() -> None:
    encoding = Encoding(MIXED)
    parts = {"a": 0.2, "b": 0.3, "c": 0.5, "solvent": "water"}
    (row,) = encoding.encode([{**parts, "rate": 3.0, "cycles": 9, "stages": 3, "size": 0.5}])
    kinds = [kind for kind, _ in encoding.constraints(row)]
    values = [packed[0] for _, packed in encoding.constraints(row)]
    assert kinds == ["eq", "ineq", "ineq"]
    assert values[0] == pytest.approx(0) and values[1] > 0 and values[2] == pytest.approx(0)
    curved = Encoding(CURVED)
    inside, outside = curved.encode([{"x": 0.1, "y": 0.1, "size": 5}, {"x": 0.1, "y": -1.0, "size": 5}])
    assert all(packed[0] > 0 for _, packed in curved.constraints(inside))
    assert all(packed[0] < 0 for _, packed in curved.constraints(outside))


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


# The kinds of parameter

WITH_BASE = {
    "temperature": 60.0,
    "rate": 0.01,
    "turns": 10,
    "pore": 1.0,
    "grade": "low",
    "solvent": "d",
    "base": "K",
}
PARTS = {"amount": 1.75, "washes": 5, "part a": 0.5, "part b": 0.5, "part c": 0.0}


def columns(encoding: Encoding, row: np.ndarray, name: str) -> list[float]:  # type: ignore[type-arg]
    return list(row[encoding.slices[encoding.problem.names.index(name)]])


def test_every_kind_has_its_columns() -> None:
    encoding = Encoding(EVERY_KIND)
    (row,) = encoding.encode([{**WITH_BASE, **PARTS, "humidity": 25.0, "lot": "B"}])
    right = {
        "temperature": [0.4],
        "rate": [0.5],
        "turns": [1 / 3],
        "pore": [0.5],
        "grade": [0.0],
        "pressure": [],
        "humidity": [0.25],
        "lot": [0.0, 1.0],
        "base": [0.0, 1.0, 0.0],
        "amount": [0.5],
        "washes": [1.0],
    }
    for name, values in right.items():
        assert columns(encoding, row, name) == pytest.approx(values), name
    assert len(columns(encoding, row, "solvent")) in (1, 2), "three descriptors of four categories, reduced"


def test_what_is_not_active_stands_in_the_middle() -> None:
    encoding = Encoding(EVERY_KIND)
    bare = {**WITH_BASE, **PARTS, "base": "none"}
    del bare["amount"], bare["washes"]
    (row,) = encoding.encode([bare])
    assert columns(encoding, row, "amount") == [0.5] and columns(encoding, row, "washes") == [0.5]
    again = encoding.decode(row)
    assert again is not None and "amount" not in again and "washes" not in again
    assert again["pressure"] == 3.0 and "humidity" not in again


def test_what_is_active_must_have_a_value() -> None:
    point = {**WITH_BASE, **PARTS}
    del point["amount"]
    with pytest.raises(LearningError, match="no value for amount"):
        Encoding(EVERY_KIND).encode([point])


def test_a_context_is_given_or_taken_from_what_is_known() -> None:
    point = {**WITH_BASE, **PARTS}
    plain, known = Encoding(EVERY_KIND), Encoding(EVERY_KIND, {"humidity": 75.0, "lot": "A"})
    (row,) = plain.encode([point])
    assert columns(plain, row, "humidity") == [0.5] and columns(plain, row, "lot") == [0.5, 0.5]
    (row,) = known.encode([point])
    assert columns(plain, row, "humidity") == [0.75] and columns(plain, row, "lot") == [1.0, 0.0]
    (row,) = known.encode([{**point, "humidity": 10.0}], {"lot": "B"})
    assert columns(plain, row, "humidity") == [0.1] and columns(plain, row, "lot") == [0.0, 1.0]
    humidity = plain.slices[plain.problem.names.index("humidity")].start
    assert humidity not in plain.chosen and humidity not in plain.smooth
    assert len(plain.chosen) == plain.width - 3


def test_what_is_not_available_is_known_and_never_chosen() -> None:
    encoding = Encoding(problem(category("s", "a", "b", "c", unavailable=["b"])))
    assert list(encoding.encode([{"s": "b"}])[0]) == [0, 1, 0]
    assert {str(point["s"]) for point in encoding.every()} == {"a", "c"}
    for row in ([0.0, 1.0, 0.2], [0.3, 1.0, 0.0]):
        point = encoding.decode(np.array(row))
        assert point is not None and point["s"] in ("a", "c")


def test_ordered_categories_are_steps_of_one_column() -> None:
    encoding = Encoding(problem(category("s", "low", "middle", "high", ordered=True)))
    assert encoding.width == 1
    assert list(encoding.encode([{"s": each} for each in ("low", "middle", "high")])[:, 0]) == [0.0, 0.5, 1.0]
    assert [encoding.decode(np.array([at])) for at in (0.2, 0.3, 0.8)] == [
        {"s": "low"},
        {"s": "middle"},
        {"s": "high"},
    ]
    assert list(encoding.neighbours({"s": "low"})) == [{"s": "middle"}]


def test_described_categories_are_near_where_their_descriptors_are() -> None:
    table = {"a": {"x": 0.0, "y": 5.0}, "b": {"x": 0.1, "y": 5.0}, "c": {"x": 9.0, "y": 5.0}}
    encoding = Encoding(problem(category("s", *table, descriptors=table)))
    rows = encoding.encode([{"s": each} for each in table])
    assert rows.shape == (3, 1) and rows.min() == 0.0 and rows.max() == 1.0
    assert abs(rows[0, 0] - rows[1, 0]) < 0.02 and abs(rows[2, 0] - rows[1, 0]) > 0.9
    assert [encoding.decode(row) for row in rows] == [{"s": each} for each in table]
    same = {each: {"x": 1.0} for each in "abc"}
    assert Encoding(problem(category("s", *"abc", descriptors=same))).width == 3, (
        "names, where they tell nothing"
    )


def test_steps_are_kept() -> None:
    encoding = Encoding(problem(number("t", 20, 120, step=5), number("u", 0, 1, step=0.05)))
    assert encoding.smooth == (0, 1), "more than a few steps are searched as if continuous"
    assert encoding.decode(np.array([0.432, 0.731])) == {"t": 65.0, "u": 0.75}
    assert encoding.size == 21 * 21
    assert Encoding(problem(number("t", 0, 1, step=0.25))).smooth == ()


def test_numbers_on_a_log_scale_are_chosen_on_it() -> None:
    encoding = Encoding(problem({"name": "n", "kind": "integer", "low": 1, "high": 10_000, "log": True}))
    assert encoding.decode(np.array([0.5])) == {"n": 100}
    values = [
        float(point["n"]) for point in encoding.spread_many(np.linspace(0, 0.999, 400)[:, None]) if point
    ]
    assert np.median(values) == pytest.approx(100, rel=0.1)


# Lists and neighbours


@pytest.mark.parametrize("count", [2, 3])
def test_a_list_is_every_combination_that_keeps_the_rules(count: int) -> None:
    names = [f"p{place}" for place in range(count)]
    whole = problem(
        *(number(name, step=0.1) for name in names),
        category("s", "x", "y"),
        number("t", 1, 3, step=1, when={"parameter": "s", "is": "y"}),
        constraints=[
            {"kind": "mixture", "parameters": names, "at_most": 2},
            {"coefficients": {"p0": 1, "t": 0.1}, "bound": 0.75},
            {"kind": "excluded", "combination": {"s": "x", "p1": {"low": 0.65}}},
        ],
    )
    steps = [round(place / 10, 1) for place in range(11)]
    right = [
        {**dict(zip(names, amounts, strict=True)), **rest}
        for amounts in itertools.product(steps, repeat=count)
        for rest in ({"s": "x"}, *({"s": "y", "t": float(t)} for t in (1, 2, 3)))
    ]
    right = [point for point in right if not whole.check_point(point)]
    assert Encoding(whole).listed(10_000) == right == list(Encoding(whole).every())
    assert Encoding(whole).listed(len(right) - 1) is None


def test_a_mixture_in_steps_is_listed_though_its_space_is_large() -> None:
    encoding = Encoding(PLATE)
    assert encoding.size == 11**6
    listed = encoding.listed(4096)
    assert listed is not None and len(listed) == math.comb(15, 5)
    assert Encoding(MIXED).listed(4096) is None


def test_the_parts_of_a_sparse_mixture_can_change_places() -> None:
    rule = {"kind": "mixture", "parameters": ["a", "b", "c"], "at_most": 2}
    encoding = Encoding(problem(*map(number, "abc"), constraints=[rule]))
    near = list(encoding.neighbours({"a": 0.75, "b": 0.25, "c": 0.0}))
    assert near == [{"a": 0.0, "b": 0.25, "c": 0.75}, {"a": 0.75, "b": 0.0, "c": 0.25}]
    (row,) = encoding.encode([{"a": 0.75, "b": 0.25, "c": 0.0}])
    assert encoding.smooth_at(row) == (0, 1), "what is not in it stays out while a gradient moves the rest"


def test_only_what_is_active_is_moved() -> None:
    whole = problem(number("t"), category("s", "x", "y"), number("u", when={"parameter": "s", "is": "y"}))
    encoding = Encoding(whole)
    without, within = encoding.encode([{"t": 0.5, "s": "x"}, {"t": 0.5, "s": "y", "u": 0.2}])
    assert encoding.smooth == (0, 3)
    assert encoding.smooth_at(without) == (0,) and encoding.smooth_at(within) == (0, 3)
    assert list(encoding.neighbours({"t": 0.5, "s": "x"})) == [{"t": 0.5, "s": "y", "u": 0.5}]
    assert list(encoding.neighbours({"t": 0.5, "s": "y", "u": 0.2})) == [{"t": 0.5, "s": "x"}]
