"""Designs with a structure, and optimal ones: what makes them what they are called."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from services.fronts.alchemist.designs import classical, exchange, hadamard, hammersley, terms
from services.fronts.alchemist.designs.candidates import MOST, candidates
from services.fronts.alchemist.designs.classical import Spec
from services.fronts.alchemist.designs.factors import Factor, given, keeps
from services.fronts.alchemist.refusals import Refusal
from services.fronts.alchemist.sessions.session import Constraint

CAT = Factor("cat", "categorical", choices=("Pt", "Pd", "Ni"))
LIST = Factor("d", "discrete", 1.0, 5.0, (1.0, 2.0, 5.0))
WHOLE = Factor("n", "integer", 1, 9)
FOREVER = exchange.Limits(200, math.inf)


def numbers(count: int) -> list[Factor]:
    return [Factor(f"v{place}", "real") for place in range(count)]


def coded(factors: list[Factor], points: list[dict[str, object]]) -> np.ndarray:
    return np.array([[each.code(point[each.name]) for each in factors] for point in points])


# -- structure


@pytest.mark.parametrize("size", [2, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 60, 76, 84])
def test_rows_of_a_hadamard_matrix_are_orthogonal(size: int) -> None:
    matrix = np.array(hadamard.hadamard(size))
    assert (matrix[:, 0] == 1).all()
    assert (matrix @ matrix.T == size * np.eye(size)).all()


def test_an_order_that_is_not_reached_gives_way_to_the_next() -> None:
    assert [hadamard.order(each) for each in (9, 12, 21, 49, 52)] == [12, 12, 24, 56, 56]


@pytest.mark.parametrize("count", [2, 3, 4, 7, 11, 12, 23])
def test_plackett_burman_columns_are_balanced_and_orthogonal(count: int) -> None:
    factors = numbers(count)
    made = classical.make(factors, Spec("plackett_burman", center=2))
    runs = 4 * (count // 4 + 1)
    assert made.info == {"screening_runs": runs, "center_runs": 2, "total_runs": runs + 2}
    rows = coded(factors, made.points)
    assert (rows[runs:] == 0).all()
    assert rows[:runs].T @ rows[:runs] == pytest.approx(runs * np.eye(count), abs=1e-9)
    assert rows[:runs].sum(axis=0) == pytest.approx(np.zeros(count), abs=1e-9)


def test_full_factorial_runs_its_first_variable_fastest() -> None:
    made = classical.make([numbers(1)[0], CAT, LIST], Spec("full_factorial", levels=3))
    assert made.info["levels_per_factor"] == [3, 3, 3] and made.info["total_runs"] == 28 == len(made.points)
    assert [each["v0"] for each in made.points[:4]] == [0.0, 0.5, 1.0, 0.0]
    assert made.points[-1] == {"v0": 0.5, "cat": "Pt", "d": 2.0}
    assert len({tuple(each.items()) for each in made.points[:27]}) == 27


def test_whole_numbers_have_no_more_levels_than_there_are() -> None:
    few = Factor("k", "integer", 0, 1)
    assert classical.make([few, WHOLE], Spec("full_factorial", levels=5)).info["levels_per_factor"] == [2, 5]
    assert WHOLE.levels(5) == [1, 3, 5, 7, 9]


def test_generators_say_which_products_the_variables_are() -> None:
    factors = numbers(4)
    rows = coded(factors, classical.make(factors, Spec("fractional_factorial", center=0)).points)
    assert len(rows) == 8 and (rows[:, 3] == rows[:, 0] * rows[:, 1] * rows[:, 2]).all()
    spec = Spec("fractional_factorial", center=0, generators="a b c -ab")
    rows = coded(factors, classical.make(factors, spec).points)
    assert (rows[:, 3] == -rows[:, 0] * rows[:, 1]).all()


@pytest.mark.parametrize("text", ["a b", "a b ab -ab", "a b c xyz", "a b c 7", "a b c d e"])
def test_generators_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(Refusal, match="generators"):
        classical.make(numbers(4), Spec("fractional_factorial", generators=text))


@pytest.mark.parametrize(
    ("alpha", "face", "corner"),
    [
        ("orthogonal", "circumscribed", 0.21652664524307957),
        ("rotatable", "inscribed", 0.20269822124931974),
        ("orthogonal", "faced", 0.0),
    ],
)
def test_a_composite_design_stays_within_the_ranges(alpha: str, face: str, corner: float) -> None:
    made = classical.make(numbers(3), Spec("ccd", alpha=alpha, face=face))
    assert made.points[0] == {name: pytest.approx(corner) for name in ("v0", "v1", "v2")}
    values = [value for each in made.points for value in each.values()]
    assert (min(values), max(values)) == (0.0, 1.0)
    assert made.info["total_runs"] == len(made.points) == 16


def test_a_composite_design_takes_the_nearest_values_that_there_are() -> None:
    made = classical.make([WHOLE, LIST], Spec("ccd"))
    assert {each["n"] for each in made.points} <= set(range(1, 10))
    assert {each["d"] for each in made.points} <= {1.0, 2.0, 5.0}
    assert made.points[4] == {"n": 5, "d": 2.0}


def test_box_behnken_varies_two_at_a_time() -> None:
    factors = numbers(4)
    rows = coded(factors, classical.make(factors, Spec("box_behnken", center=3)).points)
    assert len(rows) == 27
    assert {int(np.abs(row).sum()) for row in rows[:24]} == {2}
    assert len({tuple(row) for row in rows[:24]}) == 24


@pytest.mark.parametrize(
    ("factors", "reduction", "runs"),
    [(numbers(2), 3, 2), ([numbers(1)[0], WHOLE, CAT, LIST], 2, 18), (numbers(5), 2, 16)],
)
def test_a_generalized_subset_is_a_balanced_part(factors: list[Factor], reduction: int, runs: int) -> None:
    made = classical.make(factors, Spec("gsd", reduction=reduction))
    assert made.info["gsd_runs"] == runs == len(made.points)
    for each in factors:
        seen = [point[each.name] for point in made.points]
        counts = [seen.count(value) for value in dict.fromkeys(each.levels(2))]
        assert min(counts) > 0 and max(counts) - min(counts) <= len(seen) / 4


@pytest.mark.parametrize("method", ["fractional_factorial", "ccd", "box_behnken", "plackett_burman"])
def test_a_category_has_no_place_between_two_ends(method: str) -> None:
    with pytest.raises(Refusal, match="categorical"):
        classical.make([*numbers(3), CAT], Spec(method))


def test_designs_that_no_one_could_run_are_refused() -> None:
    with pytest.raises(Refusal, match="10,000"):
        classical.make(numbers(6), Spec("full_factorial", levels=5))
    with pytest.raises(Refusal, match="10,000"):
        classical.make(numbers(60), Spec("fractional_factorial"))
    with pytest.raises(Refusal, match="at least 3"):
        classical.make(numbers(2), Spec("box_behnken"))
    with pytest.raises(Refusal, match="too large"):
        classical.make(numbers(2), Spec("gsd", reduction=10))


# -- points that fill a space


def test_hammersley_mirrors_digits() -> None:
    found = hammersley.points(numbers(3), 4, [])
    assert [each["v0"] for each in found] == [0.0, 0.5, 0.25, 0.75]
    assert [each["v1"] for each in found] == pytest.approx([0.0, 1 / 3, 2 / 3, 1 / 9])
    assert [each["v2"] for each in found] == [0.0, 0.25, 0.5, 0.75]


def test_hammersley_keeps_constraints() -> None:
    rules = [Constraint("c", "inequality", {"v0": 1.0, "v1": 1.0}, 0.3)]
    found = hammersley.points(numbers(2), 50, rules)
    assert len(found) == 50 and all(keeps(each, rules) for each in found)
    with pytest.raises(Refusal) as refused:
        hammersley.points(numbers(2), 5, [Constraint("c", "equality", {"v0": 1.0}, 0.123456789)])
    assert refused.value.body["error_type"] == "InfeasibleRegionError"


# -- constraints


def test_a_known_value_moves_to_the_other_side() -> None:
    rule = Constraint("c", "inequality", {"a": 2.0, "b": 1.0}, 5.0)
    assert given([rule], {"a": 2.0}) == [Constraint("c", "inequality", {"b": 1.0}, 1.0)]
    assert given([rule], {"a": 2.0, "b": 1.0}) == []


# -- terms


def test_terms_of_models() -> None:
    factors = [*numbers(2), CAT, LIST]
    names = [each.name for each in terms.of_model(factors, "quadratic")]
    assert names == [
        "Intercept", "v0", "v1", "cat", "d", "v0*v1", "v0*cat", "v0*d", "v1*cat", "v1*d", "cat*d", "v0^2", "v1^2",
    ]  # fmt: skip
    assert terms.width(terms.of_model(factors, "linear"), factors) == 6
    assert terms.width(terms.of_effects(factors, ["v0*cat", "d**2", "v0 * cat"]), factors) == 4


@pytest.mark.parametrize("effect", ["q", "v0*q", "cat**2", "v0**3", "v0^2"])
def test_effects_that_mean_nothing_are_refused(effect: str) -> None:
    with pytest.raises(Refusal):
        terms.of_effects([*numbers(1), CAT], [effect])


def test_terms_that_a_remnant_cannot_tell_apart() -> None:
    factors = numbers(3)
    whole = classical.make(factors, Spec("full_factorial")).points
    left = [each for each in whole if each["v0"] + each["v1"] <= 0.8]
    assert terms.lost("interaction", factors, whole, left) == ["v0", "v1", "v0*v1", "v0*v2", "v1*v2"]
    assert terms.lost("interaction", factors, whole, whole[:-1]) == []


# -- candidates


def test_candidates_lie_inside_and_on_the_edges() -> None:
    rules = [Constraint("c", "inequality", {"v0": 1.0, "v1": 1.0}, 0.8)]
    found = candidates(numbers(2), rules, 5, 1)
    assert (found.total, found.feasible) == (25, 10) and found.boundary + found.vertices >= 8
    assert all(keeps(each, rules) for each in found.points)
    corners = {(round(each["v0"], 9), round(each["v1"], 9)) for each in found.points}
    assert {(0.8, 0.0), (0.0, 0.8), (0.0, 0.0), (0.5, 0.3)} <= corners
    assert len(corners) == len(found.points)


def test_an_edge_of_one_constraint_may_lie_outside_of_another() -> None:
    rules = [
        Constraint("a", "inequality", {"v0": 1.0, "v1": 1.0}, 0.8),
        Constraint("b", "inequality", {"v0": 1.0, "v1": -1.0}, 0.1),
    ]
    found = candidates(numbers(2), rules, 5, 1)
    assert found.boundary and all(keeps(each, rules) for each in found.points)


def test_candidates_of_an_equality_lie_on_it() -> None:
    rules = [Constraint("c", "equality", {"v0": 1.0, "v1": 1.0}, 0.6)]
    found = candidates([*numbers(2), CAT], rules, 5, 1)
    assert len(found.points) >= 6 and {each["cat"] for each in found.points} == {"Pt", "Pd", "Ni"}
    assert all(each["v0"] + each["v1"] == pytest.approx(0.6) for each in found.points)


def test_a_grid_that_is_too_large_is_thinned() -> None:
    found = candidates(numbers(12), [], 5, 1)
    assert 0.9 * MOST < len(found.points) <= MOST
    assert found.points == candidates(numbers(12), [], 5, 1).points


def test_no_candidate_is_said_so() -> None:
    with pytest.raises(Refusal) as refused:
        candidates(numbers(2), [Constraint("c", "inequality", {"v0": 1.0, "v1": 1.0}, -0.5)], 5, 1)
    assert refused.value.body["error_type"] == "InfeasibleRegionError"


# -- exchange


def rows_of(factors: list[Factor], model: str, levels: int = 3) -> np.ndarray:
    found = candidates(factors, [], levels, 1)
    return np.hstack(terms.columns(terms.of_model(factors, model), factors, found.points))


def value(rows: np.ndarray, taken: list[int], criterion: str) -> float:
    information = rows[taken].T @ rows[taken] / len(taken)
    if criterion == "D":
        return float(np.linalg.det(information))
    inverse = np.linalg.inv(information)
    weight = np.eye(rows.shape[1]) if criterion == "A" else rows.T @ rows / len(rows)
    return -float(np.trace(inverse @ weight))


@pytest.mark.parametrize("criterion", ["D", "A", "I"])
@pytest.mark.parametrize(
    "algorithm", ["sequential", "simple_exchange", "fedorov", "modified_fedorov", "detmax"]
)
def test_designs_come_near_to_the_best_of_all(algorithm: str, criterion: str) -> None:
    """Of 84 designs of three runs, and of 126 of four, each is looked at."""
    rows = rows_of(numbers(2), "linear")
    for count in (3, 4):
        every = [value(rows, list(each), criterion) for each in itertools.combinations(range(9), count) if
                 np.linalg.matrix_rank(rows[list(each)]) == 3]  # fmt: skip
        taken, score = exchange.design(rows, count, criterion, algorithm, 3, FOREVER)
        assert len(set(taken)) == count
        assert score == pytest.approx(value(rows, taken, criterion))
        best, worst = max(every), min(every)
        share = 1.0 if algorithm in ("fedorov", "modified_fedorov") else 0.6
        assert score >= best - (1 - share) * (best - worst) - 1e-9


@pytest.mark.parametrize("criterion", ["D", "A", "I"])
@pytest.mark.parametrize("algorithm", ["simple_exchange", "fedorov", "modified_fedorov", "detmax"])
def test_exchanges_are_no_worse_than_what_they_begin_with(algorithm: str, criterion: str) -> None:
    rows = rows_of([*numbers(3), CAT], "quadratic")
    _, begun = exchange.design(rows, 27, criterion, "sequential", 1, FOREVER)
    taken, score = exchange.design(rows, 27, criterion, algorithm, 1, FOREVER)
    assert score >= begun - 1e-12 and len(set(taken)) == 27


def test_gains_of_exchanges_are_what_they_bring() -> None:
    rows = rows_of(numbers(2), "quadratic")
    for weight in (None, np.eye(6), rows.T @ rows / len(rows)):
        made = exchange.Design(rows, [0, 1, 2, 3, 4, 5, 7], weight)
        gains = made.swaps([2])[0]
        for candidate in (6, 8):
            other = exchange.Design(rows, [0, 1, candidate, 3, 4, 5, 7], weight)
            assert gains[candidate] == pytest.approx(other.value - made.value, rel=1e-6)
        assert gains[2] == -np.inf, "it is taken"


def test_a_two_level_design_is_orthogonal() -> None:
    rows = rows_of(numbers(3), "linear", 2)
    taken, score = exchange.design(rows, 4, "D", "fedorov", 5, FOREVER)
    assert score == pytest.approx(1.0) and exchange.efficiencies(rows, taken) == pytest.approx((100.0, 100.0))


def test_a_search_ends_with_its_time() -> None:
    rows = rows_of(numbers(7), "quadratic")
    ticks = itertools.count()
    taken, _ = exchange.design(rows, 60, "D", "fedorov", 1, exchange.Limits(10_000, 3, lambda: next(ticks)))
    assert len(set(taken)) == 60 and next(ticks) < 100
