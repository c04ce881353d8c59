"""How many experiments a design has, and which designs suit which problems."""

from __future__ import annotations

from typing import Any

import pytest

from labqueue.problem import Problem
from labqueue.strategy import DESIGNS, FILLING, Design, Strategy
from models.domain.design_fit import check
from models.domain.design_size import size


def numbers(count: int) -> list[dict[str, Any]]:
    return [{"name": f"x{n}", "kind": "continuous", "low": 0, "high": 1} for n in range(count)]


TWO = {"name": "base", "kind": "categorical", "categories": ["K", "Na"]}
THREE = {"name": "solvent", "kind": "categorical", "categories": ["a", "b", "c"]}
SCALE = {"name": "grade", "kind": "categorical", "categories": ["low", "middle", "high"], "ordered": True}
SHORT = {"name": "stages", "kind": "integer", "low": 1, "high": 2}
GAS = {"name": "gas", "kind": "fixed", "value": "argon"}
LOT = {"name": "lot", "kind": "context", "categories": ["A", "B"]}
ONLY_K = {
    "name": "amount",
    "kind": "continuous",
    "low": 1,
    "high": 2,
    "when": {"parameter": "base", "is": "K"},
}


def problem(*parameters: dict[str, Any], **more: Any) -> Problem:
    return Problem.from_json({"parameters": list(parameters), "outputs": [{"name": "o"}], **more})


def strategy(kind: str, levels: int = 2, center: int = 0, method: str = "design") -> Strategy:
    return Strategy(method=method, initial=11, design=Design(kind, levels, center))


@pytest.mark.parametrize(
    ("parameters", "design", "right"),
    [
        (numbers(3), strategy("sobol"), 11),
        (numbers(3), strategy("d_optimal"), 11),
        (numbers(3), strategy("full_factorial"), 8),
        (numbers(3), strategy("full_factorial", 3, 2), 29),
        ([*numbers(1), THREE, SHORT, GAS, LOT], strategy("full_factorial", 4), 4 * 3 * 2),
        (numbers(3), strategy("fractional_factorial"), 8),
        (numbers(4), strategy("fractional_factorial"), 8),
        (numbers(5), strategy("fractional_factorial"), 16),
        (numbers(8), strategy("fractional_factorial", center=3), 19),
        (numbers(9), strategy("fractional_factorial"), 32),
        (numbers(3), strategy("central_composite"), 14),
        (numbers(3), strategy("box_behnken", center=3), 15),
        (numbers(3), strategy("plackett_burman"), 4),
        (numbers(4), strategy("plackett_burman"), 8),
        (numbers(11), strategy("plackett_burman"), 12),
        (numbers(25), strategy("plackett_burman"), 32),
    ],
)
def test_each_design_has_its_number_of_points(parameters: Any, design: Strategy, right: int) -> None:
    assert size(problem(*parameters), design) == right


@pytest.mark.parametrize("kind", DESIGNS)
def test_plain_numbers_suit_every_design(kind: str) -> None:
    assert check(problem(*numbers(3), GAS, LOT), strategy(kind)) == []


@pytest.mark.parametrize("kind", FILLING)
def test_every_problem_suits_a_design_that_fills_a_space(kind: str) -> None:
    whole = problem(
        *numbers(2),
        THREE,
        TWO,
        ONLY_K,
        constraints=[{"kind": "mixture", "parameters": ["x0", "x1"]}],
    )
    assert check(whole, strategy(kind)) == []
    assert check(Problem.from_json({"pool": "p", "outputs": [{"name": "o"}]}), strategy(kind)) == []


@pytest.mark.parametrize(
    ("whole", "design", "field", "words"),
    [
        (problem(*numbers(3), THREE), strategy("box_behnken"), "kind", "solvent is a category"),
        (problem(*numbers(3), TWO), strategy("central_composite"), "kind", "base is a category"),
        (problem(*numbers(2)), strategy("box_behnken"), "kind", "at least 3 parameters, and there are 2"),
        (problem(*numbers(1)), strategy("central_composite"), "kind", "at least 2 parameters"),
        (problem(*numbers(2), SHORT), strategy("box_behnken"), "kind", "stages has fewer values"),
        (problem(*numbers(2), THREE), strategy("plackett_burman"), "kind", "solvent has not two categories"),
        (problem(*numbers(2), THREE), strategy("fractional_factorial"), "kind", "solvent has not two"),
        (problem(TWO, ONLY_K), strategy("full_factorial"), "kind", "amount exists only under a condition"),
        (
            problem(*numbers(3), constraints=[{"kind": "mixture", "parameters": ["x0", "x1"]}]),
            strategy("full_factorial"),
            "kind",
            "cannot keep the sum x0 + x1 == 1",
        ),
        (
            Problem.from_json({"pool": "p", "outputs": [{"name": "o"}]}),
            strategy("full_factorial"),
            "kind",
            "there are no parameters",
        ),
        (problem(*numbers(20)), strategy("full_factorial"), "levels", "more than 10,000 experiments"),
        (problem(*numbers(200)), strategy("central_composite"), "kind", "more than 10,000 experiments"),
        (problem(*numbers(3)), strategy("sobol", center=2), "center", "has no meaning for sobol"),
    ],
)
def test_what_does_not_suit_is_said_with_what_to_take(
    whole: Problem, design: Strategy, field: str, words: str
) -> None:
    (wrong,) = check(whole, design)
    assert wrong.field == f"strategy.design.{field}" and words in wrong.message
    assert wrong.allowed is not None


@pytest.mark.parametrize(
    ("parameters", "kind"),
    [
        ([*numbers(1), TWO], "fractional_factorial"),
        ([*numbers(1), TWO], "plackett_burman"),
        ([*numbers(2), SCALE], "box_behnken"),
        ([*numbers(1), THREE, SHORT], "full_factorial"),
    ],
)
def test_what_suits_is_let_through(parameters: Any, kind: str) -> None:
    assert check(problem(*parameters), strategy(kind)) == []


def test_who_stages_alone_needs_no_design() -> None:
    assert check(problem(THREE), strategy("box_behnken", method="caller")) == []
