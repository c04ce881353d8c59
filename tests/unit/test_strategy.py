"""A campaign's strategy: defaults, limits, and that it comes back as it went out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labqueue.errors import InvalidError
from labqueue.strategy import (
    ACQUISITIONS,
    AHEAD,
    BAYESIAN,
    CALLER,
    DESIGN,
    DESIGNS,
    FALLBACKS,
    KERNELS,
    LEARNER,
    METRICS,
    PENDING,
    SEQUENTIAL,
    SURROGATES,
    Design,
    Plateau,
    Share,
    StopRules,
    Strategy,
)

COUNTS = st.integers(1, 10**4)
POSITIVE = st.floats(1e-6, 1e9)
NUMBERS = st.floats(-1e100, 1e100)
SHARES = st.one_of(
    st.sampled_from(ACQUISITIONS).map(lambda name: (Share(name),)),
    st.lists(st.sampled_from(ACQUISITIONS), min_size=2, max_size=4).map(
        lambda names: tuple(Share(name, 1 / len(names)) for name in names)
    ),
)
RULES = st.builds(
    StopRules,
    budget=st.none() | COUNTS,
    hours=st.none() | POSITIVE,
    cost=st.none() | POSITIVE,
    target=st.none() | NUMBERS | st.dictionaries(st.sampled_from(["yield", "cost"]), NUMBERS, min_size=1),
    no_improvement=st.none() | COUNTS,
    gain=st.none() | POSITIVE,
    plateau=st.none() | st.builds(Plateau, st.sampled_from(METRICS), COUNTS, st.floats(0, 1), st.sampled_from(["", "yield"])),
    when=st.sampled_from(["any", "all"]),
)  # fmt: skip
OURS = st.builds(
    Strategy,
    method=st.sampled_from([BAYESIAN, DESIGN, CALLER]),
    initial=COUNTS,
    design=st.builds(Design, st.sampled_from(DESIGNS), st.integers(2, 9), st.integers(0, 9)),
    surrogate=st.sampled_from(SURROGATES),
    acquisition=SHARES,
    pending=st.sampled_from(PENDING),
    beta=POSITIVE,
    cost=st.sampled_from([None, "1 + t / 60", "`odd name` * 2"]),
    replicates=st.booleans(),
    depth=st.none() | COUNTS,
    margin=st.floats(0, 10),
    mode=st.sampled_from([AHEAD, SEQUENTIAL]),
    approve=st.booleans(),
    deadline=POSITIVE,
    stop=RULES,
)
THEIRS = st.builds(
    Strategy, method=st.just(LEARNER), learner=st.just("mine"), initial=st.integers(0, 5), fallback=st.sampled_from(FALLBACKS)
)  # fmt: skip


@pytest.mark.parametrize(
    "body", [None, {}, {"stop": None}, {"stop": {}}, {"design": None}, {"acquisition": None}]
)
def test_nothing_given_is_the_default(body: Any) -> None:
    assert Strategy.from_json(body) == Strategy()


@given(OURS | THEIRS)
def test_it_comes_back_as_it_went_out(strategy: Strategy) -> None:
    assert Strategy.from_json(json.loads(json.dumps(strategy.to_json()))) == strategy


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("surrogate", ["auto", "gp", "multi_output", "robust"])
def test_a_kernel_is_for_gaussian_processes(surrogate: str, kernel: str) -> None:
    strategy = Strategy(surrogate=surrogate, kernel=kernel)
    assert Strategy.from_json(json.loads(json.dumps(strategy.to_json()))) == strategy


def test_short_forms() -> None:
    read = Strategy.from_json({"design": "halton", "acquisition": "ucb"})
    assert read.design == Design("halton") and read.acquisition == (Share("ucb", 1.0),)


@pytest.mark.parametrize(
    ("strategy", "models"),
    [
        (Strategy(), True),
        (Strategy(method=DESIGN), False),
        (Strategy(method=CALLER), False),
        (Strategy(method=LEARNER, learner="mine"), True),
        (Strategy(method=LEARNER, learner="mine", fallback=DESIGN), False),
    ],
)
def test_who_needs_a_model(strategy: Strategy, models: bool) -> None:
    assert strategy.models is models


@pytest.mark.parametrize(
    ("body", "field", "hint"),
    [
        ("bayesian", "strategy", ""),
        ({"methode": "design"}, "strategy.methode", "Did you mean method?"),
        ({"budget": 8}, "strategy.budget", "Did you mean stop.budget?"),
        ({"budgett": 8}, "strategy.budgett", "Did you mean stop.budget?"),
        ({"hours": 8}, "strategy.hours", "Did you mean stop.hours?"),
        ({"method": "baysian"}, "strategy.method", "Did you mean bayesian?"),
        ({"method": "sobol"}, "strategy.method", ""),
        ({"method": None}, "strategy.method", ""),
        ({"method": "learner"}, "strategy.learner", ""),
        ({"method": "learner", "learner": "  "}, "strategy.learner", ""),
        ({"learner": "mine"}, "strategy.method", ""),
        ({"initial": 0}, "strategy.initial", ""),
        ({"initial": 2.5}, "strategy.initial", ""),
        ({"initial": 10_001}, "strategy.initial", ""),
        ({"initial": 10**400}, "strategy.initial", ""),
        ({"design": 3}, "strategy.design", ""),
        ({"design": "sobel"}, "strategy.design.kind", "Did you mean sobol?"),
        ({"design": {"kind": "box_behnken", "centre": 1}}, "strategy.design.centre", "Did you mean center?"),
        ({"design": {"levels": 1}}, "strategy.design.levels", ""),
        ({"design": {"center": -1}}, "strategy.design.center", ""),
        ({"surrogate": "gb"}, "strategy.surrogate", "Did you mean gp?"),
        ({"kernel": "matern"}, "strategy.kernel", ""),
        ({"kernel": "rbf", "surrogate": "saas"}, "strategy.kernel", ""),
        ({"acquisition": "ei"}, "strategy.acquisition", ""),
        ({"acquisition": []}, "strategy.acquisition", ""),
        ({"acquisition": 3}, "strategy.acquisition", ""),
        ({"acquisition": [{"acquisition": "ucb", "share": 0.5}]}, "strategy.acquisition", ""),
        ({"acquisition": [{"acquisition": "thomson"}]}, "strategy.acquisition[0].acquisition", "Did you mean thompson?"),
        ({"pending": "ignored"}, "strategy.pending", ""),
        ({"beta": 0}, "strategy.beta", ""),
        ({"margin": -0.1}, "strategy.margin", ""),
        ({"deadline": -1}, "strategy.deadline", ""),
        ({"cost": "1 +"}, "strategy.cost", ""),
        ({"cost": 5}, "strategy.cost", ""),
        ({"replicates": 1}, "strategy.replicates", ""),
        ({"depth": -1}, "strategy.depth", ""),
        ({"depth": "4"}, "strategy.depth", ""),
        ({"depth": float("nan")}, "strategy.depth", ""),
        ({"mode": "parallel"}, "strategy.mode", ""),
        ({"approve": "no"}, "strategy.approve", ""),
        ({"method": "learner", "learner": "mine", "fallback": "caller"}, "strategy.fallback", ""),
        ({"stop": 40}, "strategy.stop", ""),
        ({"stop": {"budget": 0}}, "strategy.stop.budget", ""),
        ({"stop": {"hours": 0}}, "strategy.stop.hours", ""),
        ({"stop": {"cost": -1}}, "strategy.stop.cost", ""),
        ({"stop": {"target": "high"}}, "strategy.stop.target", ""),
        ({"stop": {"target": float("inf")}}, "strategy.stop.target", ""),
        ({"stop": {"target": {"yield": "high"}}}, "strategy.stop.target.yield", ""),
        ({"stop": {"no_improvement": 0}}, "strategy.stop.no_improvement", ""),
        ({"stop": {"gain": 0}}, "strategy.stop.gain", ""),
        ({"stop": {"when": "some"}}, "strategy.stop.when", ""),
        ({"stop": {"when": "all"}}, "strategy.stop.when", "Name the rules that must hold together"),
        ({"stop": {"when": "all", "budgt": 3}}, "strategy.stop.budgt", "Did you mean budget?"),
        ({"stop": {"hours": 1e300}}, "strategy.stop.hours", ""),
        ({"stop": {"cost": "much"}}, "strategy.stop.cost", ""),
        ({"stop": {"gain": 1e300}}, "strategy.stop.gain", ""),
        ({"stop": {"plateau": {"tolerance": -1e300}}}, "strategy.stop.plateau.tolerance", ""),
        ({"beta": 1e300}, "strategy.beta", ""),
        ({"deadline": "soon"}, "strategy.deadline", ""),
        ({"margin": float("inf")}, "strategy.margin", ""),
        ({"acquisition": [{"acquisition": "ucb", "share": 1e300}]}, "strategy.acquisition[0].share", ""),
        ({"acquisition": [{"acquisition": "ucb", "share": 2}]}, "strategy.acquisition[0].share", ""),
        ({"cost": "1 + " * 5000 + "1"}, "strategy.cost", ""),
        ({"stop": {"budgt": 3}}, "strategy.stop.budgt", "Did you mean budget?"),
        ({"stop": {"plateau": 3}}, "strategy.stop.plateau", ""),
        ({"stop": {"plateau": {"metric": "rsme"}}}, "strategy.stop.plateau.metric", "Did you mean rmse?"),
        ({"stop": {"plateau": {"versions": 0}}}, "strategy.stop.plateau.versions", ""),
        ({"stop": {"plateau": {"tolerance": -1}}}, "strategy.stop.plateau.tolerance", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_place(body: Any, field: str, hint: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Strategy.from_json(body)
    assert [each.field for each in caught.value.errors] == [field]
    assert hint in caught.value.errors[0].hint
    assert caught.value.errors[0].message


def test_what_is_stored_stays_readable_with_no_rules_at_all() -> None:
    stored = Strategy(stop=StopRules(when="all")).to_json()
    assert Strategy.from_json(stored).stop == StopRules(when="all")


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidError) as caught:
        Strategy.from_json({"initial": 0, "mode": "fast", "stop": {"budget": "many"}})
    assert [each.field for each in caught.value.errors] == [
        "strategy.initial",
        "strategy.mode",
        "strategy.stop.budget",
    ]
