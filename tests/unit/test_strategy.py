"""A campaign's strategy: defaults, limits, and that it comes back as it went out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labqueue.errors import InvalidError
from labqueue.strategy import AHEAD, BAYESIAN, CALLER, SEQUENTIAL, SOBOL, StopRules, Strategy

COUNTS = st.integers(1, 10**6)
STRATEGIES = st.builds(
    Strategy,
    method=st.sampled_from([BAYESIAN, SOBOL, CALLER]),
    initial=COUNTS,
    depth=COUNTS,
    mode=st.sampled_from([AHEAD, SEQUENTIAL]),
    approve=st.booleans(),
    stop=st.builds(
        StopRules,
        budget=st.one_of(st.none(), COUNTS),
        target=st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
        no_improvement=st.one_of(st.none(), COUNTS),
    ),
)


@pytest.mark.parametrize("body", [None, {}, {"stop": None}, {"stop": {}}])
def test_nothing_given_is_the_default(body: Any) -> None:
    assert Strategy.from_json(body) == Strategy()


@given(STRATEGIES)
def test_it_comes_back_as_it_went_out(strategy: Strategy) -> None:
    assert Strategy.from_json(json.loads(json.dumps(strategy.to_json()))) == strategy


@pytest.mark.parametrize(
    ("body", "field", "hint"),
    [
        ("bayesian", "strategy", ""),
        ({"methode": "sobol"}, "strategy.methode", "Did you mean method?"),
        ({"method": "baysian"}, "strategy.method", "Did you mean bayesian?"),
        ({"method": None}, "strategy.method", ""),
        ({"initial": 0}, "strategy.initial", ""),
        ({"initial": 2.5}, "strategy.initial", ""),
        ({"depth": -1}, "strategy.depth", ""),
        ({"depth": "4"}, "strategy.depth", ""),
        ({"depth": float("nan")}, "strategy.depth", ""),
        ({"depth": 10**400}, "strategy.depth", ""),
        ({"mode": "parallel"}, "strategy.mode", ""),
        ({"approve": "no"}, "strategy.approve", ""),
        ({"stop": 40}, "strategy.stop", ""),
        ({"stop": {"budget": 0}}, "strategy.stop.budget", ""),
        ({"stop": {"target": "high"}}, "strategy.stop.target", ""),
        ({"stop": {"target": float("inf")}}, "strategy.stop.target", ""),
        ({"stop": {"no_improvement": 0}}, "strategy.stop.no_improvement", ""),
        ({"stop": {"budgt": 3}}, "strategy.stop.budgt", "Did you mean budget?"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(body: Any, field: str, hint: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Strategy.from_json(body)
    assert [each.field for each in caught.value.errors] == [field]
    assert hint in caught.value.errors[0].hint


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidError) as caught:
        Strategy.from_json({"initial": 0, "mode": "fast", "stop": {"budget": "many"}})
    assert [each.field for each in caught.value.errors] == [
        "strategy.initial",
        "strategy.mode",
        "strategy.stop.budget",
    ]
