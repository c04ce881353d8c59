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
