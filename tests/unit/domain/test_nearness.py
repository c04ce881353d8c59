"""How alike two points are, and which candidates a claimed point makes superfluous."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labqueue.problem import Categorical, Continuous, Discrete, Integer, Output, Problem
from models.domain.nearness import distance, drop_nearest

PROBLEM = Problem(
    (
        Continuous("t", 20, 120),
        Continuous("c", 1e-6, 1.0, log=True),
        Integer("n", 1, 11),
        Discrete("d", (1.0, 2.0, 5.0)),
        Categorical("s", ("water", "ethanol", "toluene")),
    ),
    (Output("y"),),
)
BASE: dict[str, Any] = {"t": 20.0, "c": 1e-3, "n": 1, "d": 1.0, "s": "water"}
POINTS = st.fixed_dictionaries(
    {
        "t": st.floats(20, 120),
        "c": st.floats(1e-6, 1.0),
        "n": st.integers(1, 11),
        "d": st.sampled_from((1.0, 2.0, 5.0)),
        "s": st.sampled_from(("water", "ethanol", "toluene")),
    }
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 0.0),
        ({"t": 120.0}, 1.0),
        ({"t": 45.0}, 0.25),
        ({"c": 1e-6}, 0.5),
        ({"n": 6}, 0.5),
        ({"d": 5.0}, 1.0),
        ({"d": 2.0}, 0.25),
        ({"s": "ethanol"}, 1.0),
        ({"s": "ethanol", "t": 120.0}, 2**0.5),
    ],
)
def test_each_difference_is_a_share_of_the_range(change: dict[str, Any], expected: float) -> None:
    assert distance(PROBLEM, BASE, {**BASE, **change}) == pytest.approx(expected)


@given(POINTS, POINTS, POINTS)
def test_it_is_a_distance(one: dict[str, Any], two: dict[str, Any], three: dict[str, Any]) -> None:
    assert distance(PROBLEM, one, one) == 0.0
    assert distance(PROBLEM, one, two) == pytest.approx(distance(PROBLEM, two, one))
    assert distance(PROBLEM, one, three) <= (
        distance(PROBLEM, one, two) + distance(PROBLEM, two, three) + 1e-9
    )


@given(st.lists(POINTS, max_size=6), st.lists(POINTS, max_size=8))
def test_for_each_point_one_candidate_goes(candidates: list[Any], points: list[Any]) -> None:
    keep = drop_nearest(PROBLEM, candidates, points)
    assert keep == sorted(keep) and len(keep) == max(0, len(candidates) - len(points))


def test_the_nearest_one_goes_and_the_order_stays() -> None:
    candidates = [{**BASE, "t": t} for t in (30.0, 60.0, 90.0, 110.0)]
    assert drop_nearest(PROBLEM, candidates, [{**BASE, "t": 63.0}]) == [0, 2, 3]
    assert drop_nearest(PROBLEM, candidates, [{**BASE, "t": 63.0}, {**BASE, "t": 62.0}]) == [0, 3]


# Every kind of parameter

WHOLE = Problem.from_json(
    {
        "parameters": [
            {"name": "n", "kind": "integer", "low": 1, "high": 100, "log": True},
            {"name": "d", "kind": "discrete", "values": [0.1, 1, 10], "log": True},
            {"name": "one", "kind": "discrete", "values": [7]},
            {
                "name": "grade",
                "kind": "categorical",
                "categories": ["low", "middle", "high"],
                "ordered": True,
            },
            {
                "name": "s",
                "kind": "categorical",
                "categories": ["a", "b"],
                "descriptors": {"a": {"x": 1}, "b": {"x": 1.001}},
            },
            {"name": "gas", "kind": "fixed", "value": "argon"},
            {"name": "h", "kind": "context", "low": 0, "high": 1},
            {"name": "u", "kind": "continuous", "low": 0, "high": 4, "when": {"parameter": "s", "is": "b"}},
        ],
        "outputs": [{"name": "o"}],
    }
)
BARE: dict[str, Any] = {"n": 10, "d": 1.0, "one": 7.0, "grade": "low", "s": "a", "gas": "argon"}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({}, {}, 0.0),
        ({}, {"n": 100}, 0.5),
        ({"d": 0.1}, {"d": 10.0}, 1.0),
        ({}, {"grade": "middle"}, 0.5),
        ({"grade": "low"}, {"grade": "high"}, 1.0),
        ({"s": "b", "u": 1.0}, {"s": "b", "u": 2.0}, 0.25),
        ({}, {"s": "b", "u": 1.0}, 2**0.5),  # another category, and a parameter that only one of them has
    ],
)
def test_orders_scales_and_conditions_count(
    one: dict[str, Any], other: dict[str, Any], expected: float
) -> None:
    assert distance(WHOLE, {**BARE, **one}, {**BARE, **other}) == pytest.approx(expected)


def test_rows_of_a_pool_are_the_same_or_not() -> None:
    pool = Problem.from_json({"pool": "library", "outputs": [{"name": "o"}]})
    assert distance(pool, {"row": "a", "x": 1.0}, {"row": "a"}) == 0.0
    assert distance(pool, {"row": "a"}, {"row": "b"}) == 1.0
    assert drop_nearest(pool, [{"row": "a"}, {"row": "b"}], [{"row": "b"}]) == [0]
