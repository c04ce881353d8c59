"""Designs: even, repeatable, inside the constraints."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from surrogate_problems import CURVED, EVERY_KIND, FINITE, HILL, MIXED, PLATE, category, number, problem

from labqueue.problem import Linear, Problem
from labqueue.strategy import AUTO, DESIGNS, FILLING, MAXIMIN, SOBOL, Design, Strategy
from models.domain.design_size import size
from models.surrogates import design
from models.surrogates.designs import optimal
from models.surrogates.encoding import Encoding
from models.surrogates.values import LearningError, Point

SPACES = {
    "free": HILL,
    "constrained": MIXED,
    "every kind": EVERY_KIND,
    "plate": PLATE,
    "curved": CURVED,
}


def strategy(kind: str, initial: int = 12, levels: int = 2, center: int = 0) -> Strategy:
    return Strategy(initial=initial, design=Design(kind, levels, center))


def key(point: Point) -> tuple[tuple[str, object], ...]:
    return tuple(sorted(point.items()))


def coded(points: list[Point], names: str = "abcdefgh") -> np.ndarray:  # type: ignore[type-arg]
    """Numbers from 0 to 1 as numbers from -1 to 1."""
    return np.array([[2 * float(point[name]) - 1 for name in names if name in point] for point in points])


@pytest.mark.parametrize("kind", FILLING)
@pytest.mark.parametrize("space", SPACES)
def test_a_filling_design_goes_on_where_it_stopped_inside_the_constraints(space: str, kind: str) -> None:
    whole, encoding = strategy(kind), Encoding(SPACES[space])
    points = design.points(encoding, 5, 0, 20, strategy=whole)
    assert design.points(encoding, 5, 8, 4, strategy=whole) == points[8:12]
    assert len({key(point) for point in points}) == 20
    assert all(encoding.problem.check_point(point) == [] for point in points)
    assert all(encoding.problem.normal(point) == point for point in points)
    assert design.points(encoding, 6, 0, 4, strategy=whole) != points[:4], "another seed, another design"


def test_each_half_of_each_range_gets_half_of_the_points() -> None:
    for whole in (None, strategy("latin_hypercube", 64)):
        rows = Encoding(HILL).encode(design.points(Encoding(HILL), 1, 0, 64, strategy=whole))
        assert list((rows < 0.5).sum(axis=0)) == [32, 32]
    rows = Encoding(HILL).encode(
        design.points(Encoding(HILL), 1, 0, 64, strategy=strategy("latin_hypercube", 64))
    )
    for column in rows.T:
        assert sorted((column * 64).astype(int)) == list(range(64)), "one in each of 64 slices"


def test_a_thin_slice_of_the_space_is_filled_too() -> None:
    names = [f"x{place}" for place in range(6)]
    whole = problem(
        *map(number, names), constraints=[{"coefficients": dict.fromkeys(names, 1), "bound": 0.6}]
    )
    points = design.points(Encoding(whole), 2, 0, 20)
    assert len(points) == 20
    assert all(whole.check_point(point) == [] for point in points)
    assert max(float(point["x0"]) for point in points) > 0.2, "not huddled in a corner"


def test_a_walk_is_even_inside_a_simplex() -> None:
    names = ["a", "b", "c"]
    whole = problem(*map(number, names), constraints=[{"kind": "mixture", "parameters": names}])
    points = design.points(Encoding(whole), 3, 0, 512)
    parts = np.array([[float(point[name]) for name in names] for point in points])
    assert np.allclose(parts.mean(axis=0), 1 / 3, atol=0.05)
    assert np.allclose((parts > 0.5).mean(axis=0), 0.25, atol=0.06), (
        "a quarter of the triangle is in each corner"
    )


def test_the_parts_of_a_sparse_mixture_take_turns() -> None:
    names = [f"part {place}" for place in range(8)]
    rule = {"kind": "mixture", "parameters": names, "at_most": 3, "least": 0.05}
    whole = problem(*map(number, names), constraints=[rule])
    points = design.points(Encoding(whole), 3, 0, 128)
    used = np.array([[float(point[name]) > 0 for name in names] for point in points])
    assert set(used.sum(axis=1)) <= {1, 2, 3}
    assert (used.mean(axis=0) > 0.2).all(), "none of them is left out"


def test_both_pieces_of_a_curved_space_are_reached() -> None:
    points = design.points(Encoding(CURVED), 3, 0, 64)
    assert {float(point["x"]) > 0 for point in points} == {True, False}


def test_taken_points_are_left_out() -> None:
    encoding = Encoding(HILL)
    first, second, third = design.points(encoding, 1, 0, 3)
    assert design.points(encoding, 1, 0, 2, [first, second])[0] == third


def test_a_finite_space_gives_each_point_once_and_then_no_more() -> None:
    points = design.points(Encoding(FINITE), 1, 0, 10)
    assert sorted(map(key, points)) == sorted(map(key, Encoding(FINITE).every()))


@pytest.mark.parametrize("operator", [">=", "=="])
def test_constraints_that_leave_nothing_are_said(operator: str) -> None:
    rule = {"coefficients": {"p": 1, "q": 1}, "operator": operator, "bound": 3}
    with pytest.raises(LearningError, match="leave no point"):
        design.points(Encoding(problem(number("p"), number("q"), constraints=[rule])), 1, 0, 1)


# Designs with a number of points of their own

FIXED = [kind for kind in DESIGNS if kind not in FILLING]
FOUR = problem(*map(number, "abcd"))


@pytest.mark.parametrize("kind", FIXED)
@pytest.mark.parametrize("count", [3, 4, 5, 7])
@pytest.mark.parametrize("center", [0, 2])
def test_a_design_has_the_size_that_is_said(kind: str, count: int, center: int) -> None:
    whole, plan = problem(*map(number, "abcdefg"[:count])), strategy(kind, center=center)
    points = design.points(Encoding(whole), 3, 0, 10_000, strategy=plan)
    assert len(points) == size(whole, plan)
    assert all(whole.check_point(point) == [] for point in points)
    middle = dict.fromkeys(whole.names, 0.5)
    assert points.count(middle) == center
    assert design.points(Encoding(whole), 3, 2, 3, strategy=plan) == points[2:5]
    assert design.points(Encoding(whole), 3, len(points), 3, strategy=plan) == [], "and then no more"
    others = design.points(Encoding(whole), 4, 0, 10_000, strategy=plan)
    assert sorted(map(key, others)) == sorted(map(key, points)) and others != points, "in another order"


def test_a_full_factorial_has_each_combination_once() -> None:
    whole = problem(
        number("t", 1, 100, log=True),
        {"name": "n", "kind": "integer", "low": 1, "high": 2},
        {"name": "d", "kind": "discrete", "values": [1, 2, 10]},
        category("s", *"xyz", unavailable=["y"]),
    )
    points = design.points(Encoding(whole), 3, 0, 100, strategy=strategy("full_factorial", levels=3))
    right = itertools.product((1.0, 10.0, 100.0), (1, 2), (1.0, 2.0, 10.0), ("x", "z"))
    assert sorted(tuple(point.values()) for point in points) == sorted(right)


@pytest.mark.parametrize("kind", ["plackett_burman", "fractional_factorial"])
@pytest.mark.parametrize("count", [4, 5, 6, 8])
def test_two_level_designs_are_orthogonal(kind: str, count: int) -> None:
    rows = coded(
        design.points(Encoding(problem(*map(number, "abcdefgh"[:count]))), 3, 0, 100, strategy=strategy(kind))
    )
    assert set(np.unique(rows)) == {-1.0, 1.0}
    assert np.array_equal(rows.T @ rows, len(rows) * np.eye(count))
    assert np.array_equal(rows.sum(axis=0), np.zeros(count))


@pytest.mark.parametrize("count", [4, 5, 7, 8])
def test_no_interaction_of_two_hides_a_main_effect_in_a_fraction(count: int) -> None:
    plan = strategy("fractional_factorial")
    rows = coded(design.points(Encoding(problem(*map(number, "abcdefgh"[:count]))), 3, 0, 100, strategy=plan))
    for one, other in itertools.combinations(range(count), 2):
        assert not (rows.T @ (rows[:, one] * rows[:, other])).any()


def test_curved_designs_have_their_edges_and_faces() -> None:
    three = Encoding(problem(*map(number, "abc")))
    edges = coded(design.points(three, 3, 0, 100, strategy=strategy("box_behnken")))
    assert sorted(np.abs(edges).sum(axis=1)) == [2.0] * 12
    faces = coded(design.points(three, 3, 0, 100, strategy=strategy("central_composite")))
    assert sorted(np.abs(faces).sum(axis=1)) == [1.0] * 6 + [3.0] * 8


def test_two_categories_are_two_levels_and_their_centres_take_turns() -> None:
    whole = problem(number("a"), number("b"), category("s", "x", "y"))
    points = design.points(Encoding(whole), 3, 0, 100, strategy=strategy("fractional_factorial", center=4))
    centers = [point["s"] for point in points if point["a"] == 0.5]
    assert sorted(map(str, centers)) == ["x", "x", "y", "y"]
    assert len(points) == 12


def test_corners_that_break_a_constraint_are_moved_to_where_it_holds() -> None:
    rule = {"coefficients": {"a": 1, "b": 1}, "bound": 1.2}
    whole = problem(number("a"), number("b"), constraints=[rule])
    points = design.points(Encoding(whole), 3, 0, 100, strategy=strategy("full_factorial"))
    assert len(points) == 4 and all(whole.check_point(point) == [] for point in points)
    assert sum(float(point["a"]) + float(point["b"]) > 1.19 for point in points) == 1


def test_points_that_would_be_moved_onto_each_other_are_not_run_twice() -> None:
    rule = {"coefficients": {"a": 1, "b": 1, "c": 1}, "bound": 0.5}
    steps = [{"name": name, "kind": "discrete", "values": [0, 0.5, 1]} for name in "abc"]
    whole = problem(*steps, constraints=[rule])
    for center in (0, 2):
        plan = strategy("full_factorial", levels=3, center=center)
        points = design.points(Encoding(whole), 3, 0, 100, strategy=plan)
        inside = {(0, 0, 0), (0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5)}
        assert sorted(tuple(point[name] for name in "abc") for point in points) == sorted(inside)


# Maximin

ALIKE = {"a": {"size": 0.0}, "b": {"size": 0.1}, "c": {"size": 0.2}, "odd": {"size": 5.0}}
DESCRIBED = {"name": "ligand", "kind": "categorical", "categories": list(ALIKE), "descriptors": ALIKE}
LIGANDS = problem(
    DESCRIBED, category("base", "K", "Cs", "Na"), {"name": "t", "kind": "discrete", "values": [90, 105, 120]}
)


@pytest.mark.parametrize("space", ["described", "plate"])
def test_each_point_of_a_maximin_design_is_as_far_from_those_before_it_as_any_can_be(space: str) -> None:
    encoding = Encoding({"described": LIGANDS, "plate": PLATE}[space])
    every = encoding.encode(encoding.listed(10_000) or [])
    rows = encoding.encode(design.points(encoding, 3, 0, 8, strategy=strategy(MAXIMIN)))
    for count in range(1, len(rows)):
        gaps = ((every[:, None] - rows[:count]) ** 2).sum(-1).min(axis=1)
        assert ((rows[count] - rows[:count]) ** 2).sum(-1).min() == pytest.approx(gaps.max())


def test_a_maximin_design_tries_what_is_like_nothing_else_early_whatever_the_seed() -> None:
    plan = strategy(MAXIMIN)
    for seed in range(20):
        points = design.points(Encoding(LIGANDS), seed, 0, 2, strategy=plan)
        assert "odd" in {point["ligand"] for point in points}


def test_a_maximin_design_of_ranges_begins_near_their_corners() -> None:
    rows = coded(design.points(Encoding(FOUR), 3, 0, 8, strategy=strategy(MAXIMIN)))
    assert np.abs(rows[1:]).mean() > 0.7, "points that are spread evenly: 0.5"


def test_a_maximin_design_gives_every_point_of_a_finite_space_once() -> None:
    encoding = Encoding(LIGANDS)
    points = design.points(encoding, 3, 0, 100, strategy=strategy(MAXIMIN))
    assert sorted(map(key, points)) == sorted(map(key, encoding.every()))


def test_auto_is_maximin_where_categories_of_a_finite_space_are_described() -> None:
    named = problem(
        category("base", "K", "Cs", "Na"), {"name": "t", "kind": "discrete", "values": [90, 105, 120]}
    )
    beside = problem(DESCRIBED, number("a"))
    for whole, kind in ((LIGANDS, MAXIMIN), (named, SOBOL), (beside, SOBOL), (HILL, SOBOL)):
        assert design.kind_for(whole, AUTO) == kind
        meant, auto = (
            design.points(Encoding(whole), 4, 0, 6, strategy=strategy(each)) for each in (kind, AUTO)
        )
        assert meant == auto
        assert design.kind_for(whole, "halton") == "halton"


# D-optimal


def information(points: list[Point]) -> float:
    """The logarithm of the determinant for main effects, interactions and squares."""
    rows = coded(points)
    pairs = itertools.combinations_with_replacement(range(rows.shape[1]), 2)
    terms = np.stack([np.ones(len(rows)), *rows.T, *(rows[:, i] * rows[:, j] for i, j in pairs)], axis=1)
    return float(np.linalg.slogdet(terms.T @ terms + 1e-6 * np.eye(terms.shape[1]))[1])


def test_a_d_optimal_design_knows_more_than_an_even_one() -> None:
    encoding = Encoding(problem(*map(number, "abc")))
    best = information(design.points(encoding, 3, 0, 14, strategy=strategy("d_optimal", 14)))
    even = [information(design.points(encoding, seed, 0, 14)) for seed in range(5)]
    classic = information(design.points(encoding, 3, 0, 14, strategy=strategy("central_composite")))
    assert best > max(even) + 5 and best > classic - 1


def test_no_single_exchange_makes_a_d_optimal_choice_better() -> None:
    rows = np.random.default_rng(2).random((40, 3))
    groups = [slice(place, place + 1) for place in range(3)]
    terms, prior = optimal._terms(rows, groups)

    def determinant(taken: list[int]) -> float:
        return float(np.linalg.slogdet(terms[taken].T @ terms[taken] + np.diag(prior))[1])

    taken = optimal.choose(rows, groups, 7, 3)
    assert len(set(taken)) == 7
    for place, other in itertools.product(range(7), set(range(40)) - set(taken)):
        assert determinant([*taken[:place], other, *taken[place + 1 :]]) <= determinant(taken) + 1e-6


def test_few_d_optimal_points_are_corners() -> None:
    rows = coded(design.points(Encoding(FOUR), 3, 0, 8, strategy=strategy("d_optimal", 8)))
    assert (np.abs(rows) == 1).mean() > 0.9


def test_a_d_optimal_design_of_a_mixture_has_its_vertices() -> None:
    names = ["a", "b", "c"]
    whole = problem(*map(number, names), constraints=[{"kind": "mixture", "parameters": names}])
    points = design.points(Encoding(whole), 3, 0, 6, strategy=strategy("d_optimal", 6))
    assert {name for point in points for name in names if float(point[name]) > 0.97} == set(names)


def test_a_design_stands_on_its_sums() -> None:
    assert isinstance(MIXED, Problem) and isinstance(MIXED.constraints[0], Linear)
    for kind in FILLING:
        for point in design.points(Encoding(MIXED), 5, 0, 8, strategy=strategy(kind)):
            assert sum(float(point[name]) for name in "abc") == pytest.approx(1, abs=1e-9)
