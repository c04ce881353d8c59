"""Acquisition functions against what they stand for: closed forms, integrals and what they must and must not do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm

from labqueue.problem import Problem
from labqueue.strategy import ACQUISITIONS, AUTO, Strategy
from models.surrogates import acquisition, fitting
from models.surrogates.acquisition import Situation
from models.surrogates.cost import Cost
from models.surrogates.feasible import Feasibility
from models.surrogates.surrogate import Surrogate
from models.surrogates.values import Observation, Point

X = [0.0, 0.15, 0.4, 0.55, 0.8, 1.0]
GRID = torch.linspace(0, 1, 41, dtype=torch.double)[:, None]


def problem(outputs: list[str], objectives: list[dict[str, Any]], **more: Any) -> Problem:
    return Problem.from_json(
        {
            "parameters": [{"name": "x", "kind": "continuous", "low": 0, "high": 1}],
            "outputs": [{"name": name, "noise": 0.0} for name in outputs],
            "objectives": objectives,
            **more,
        }
    )


def situation(
    wanted: Problem,
    measure: Callable[[float], dict[str, float]],
    pending: tuple[float, ...] = (),
    seed: int = 3,
    several: bool = False,
    **strategy: Any,
) -> Situation:
    """`several`: with every fit that the evidence leaves open, not the best alone."""
    rows = [Observation({"x": x}, measure(x)) for x in X]
    chosen = Strategy(**strategy)
    state = fitting.fit(wanted, chosen, rows).state
    surrogate = fitting.restore(wanted, chosen, fitting.space_of(wanted, rows), rows, state)
    if not several:
        surrogate = replace(surrogate, parts=tuple(replace(each, others=()) for each in surrogate.parts))
    points: list[Point] = [{"x": x} for x in pending]
    return Situation.of(surrogate, acquisition.complete(wanted, rows), points, chosen, seed)


def wave(x: float) -> dict[str, float]:
    return {"y": math.sin(5 * x) + x}


ONE = problem(["y"], [{"output": "y"}])


def values(name: str, given: Situation, rows: torch.Tensor = GRID) -> np.ndarray[Any, Any]:
    torch.manual_seed(0)
    return np.asarray(acquisition.made(name, given).of(rows))


def integral(surrogate: Surrogate, rows: torch.Tensor, of: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """The mean over the posterior of one output of a function of the output in lab units."""
    steps = torch.as_tensor(norm.ppf((np.arange(4000) + 0.5) / 4000))[:, None]
    with torch.no_grad():
        posterior = surrogate.joint.posterior(rows[:, None, :])
        mean, spread = posterior.mean.reshape(-1), posterior.variance.reshape(-1).sqrt()
        return of(surrogate.lab((mean + steps * spread)[..., None])[..., 0]).mean(0).numpy()


@pytest.mark.parametrize("name", ["log_ei", "log_nei"])
@pytest.mark.parametrize("goal", [{}, {"goal": "minimize"}, {"goal": "target", "target": 0.3}])
def test_expected_improvement_is_the_integral_over_what_may_come_out(name: str, goal: dict[str, Any]) -> None:
    wanted = problem(["y"], [{"output": "y", **goal}])
    given = situation(wanted, wave)
    best = max(wanted.score(wave(x)) or 0.0 for x in X)
    (objective,) = wanted.objectives
    exact = integral(
        given.surrogate,
        GRID,
        lambda lab: (torch.as_tensor(np.vectorize(objective.value)(lab.numpy())) - best).clamp_min(0),
    )
    found = np.exp(values(name, given)) * given.step
    large = exact > 0.02 * exact.max()
    assert large.sum() > 3
    assert found[large] == pytest.approx(exact[large], rel=0.15, abs=0.01 * exact.max())
    assert found[~large].max() < 0.05 * exact.max()


def test_a_point_in_flight_is_worth_nothing_a_second_time() -> None:
    for name in ("log_ei", "log_nei", "ucb", "knowledge_gradient", "uncertainty", "entropy", "disagreement"):
        alone = values(name, situation(ONE, wave))
        best = int(alone.argmax())
        beside = values(name, situation(ONE, wave, pending=(float(GRID[best]),)))
        assert beside[best] < alone[best] - 0.5, name


@pytest.mark.parametrize("name", ["log_ei", "log_nei", "ucb", "knowledge_gradient", "uncertainty"])
def test_what_several_fits_promise_is_averaged(name: str) -> None:
    for pending in ((), (0.3,)):
        given = situation(ONE, wave, pending=pending, several=True)
        assert len(given.views) > 1, "six rows leave open what map and kernel are best"
        torch.manual_seed(0)
        each = [acquisition.MAKERS[name](view)(GRID[:, None, :]).detach().numpy() for view in given.views]
        assert values(name, given) == pytest.approx(np.log(np.mean(np.exp(each), axis=0)), abs=1e-6)
        assert np.ptp(each, axis=0).max() > 0.01


def test_views_follow_what_is_in_flight() -> None:
    given = situation(ONE, wave, several=True)
    rows = GRID[[7, 19]]
    later = given.beside(rows, seed=5)
    assert [len(each.pending) for each in later.views] == [2] * len(given.views)
    assert [each.seed for each in later.views] == [5] * len(given.views)
    assert all(each.leader is later for each in later.views[1:])
    again = situation(ONE, wave, pending=tuple(float(x) for x in rows), seed=5, several=True)
    assert values("log_nei", later) == pytest.approx(values("log_nei", again), abs=0.05)


def test_a_drawn_function_is_one_of_one_fit() -> None:
    given = situation(ONE, wave, several=True, seed=4)
    alone = given.views[4 % len(given.views)]
    assert values("thompson", given) == pytest.approx(values("thompson", alone))


def test_the_upper_bound_is_mean_plus_root_beta_times_sd() -> None:
    given = situation(ONE, wave, beta=9.0)
    posterior = given.surrogate.joint.posterior(GRID[:, None, :])
    mean, spread = posterior.mean.reshape(-1), posterior.variance.reshape(-1).sqrt()
    lab = given.surrogate.lab((mean + 3 * spread)[:, None]).reshape(-1)
    exact = ((lab - given.best) / given.step).detach().numpy()
    found = np.exp(values("ucb", given))
    high = exact > 0.5
    assert high.sum() > 1
    assert found[high] == pytest.approx(exact[high], rel=0.1)


def test_uncertainty_and_information_have_their_closed_forms() -> None:
    wanted = problem(["y"], [{"output": "y", "goal": "learn"}])
    given = situation(wanted, wave)
    variance = given.surrogate.joint.posterior(GRID[:, None, :]).variance.reshape(-1).detach().numpy()
    known = np.maximum(variance, 1e-12)
    assert np.exp(values("uncertainty", given)) == pytest.approx(np.sqrt(known))
    assert np.exp(values("disagreement", given)) == pytest.approx(known)
    (model,) = given.surrogate.joint.models
    noise = max(float(model.likelihood.noise.mean()), 1e-4)
    assert np.exp(values("entropy", given)) == pytest.approx(0.5 * np.log1p(known / noise), abs=1e-12)


class Coins:
    """Labels whose two draws agree where x is small and disagree where it is large."""

    smooth = True

    def draws(self, inputs: torch.Tensor) -> torch.Tensor:
        x = inputs[..., 0]
        first = torch.stack([0.5 + 0.5 * x, 0.5 - 0.5 * x], dim=-1)
        return torch.stack([first, first.flip(-1)])


def test_labels_are_asked_for_what_is_not_known_or_for_what_models_disagree_about() -> None:
    wanted = problem(["y"], [{"output": "y", "goal": "learn"}])
    given = situation(wanted, wave)
    surrogate = Surrogate(wanted, given.surrogate.space, (), (), {"kind": Coins()}, "cpu")
    labelled = Situation.of(surrogate, [Observation({"x": 0.2}, {})], [], Strategy(), 1)
    assert np.exp(values("entropy", labelled)) == pytest.approx(math.log(2)), (
        "every expected label is a coin's"
    )
    assert np.exp(values("uncertainty", labelled)) == pytest.approx(0.5)
    x = GRID[:, 0].numpy()
    of_draw = -sum(share * np.log(np.maximum(share, 1e-300)) for share in (0.5 + 0.5 * x, 0.5 - 0.5 * x))
    told = np.maximum(math.log(2) - of_draw, 1e-12)
    assert np.exp(values("disagreement", labelled)) == pytest.approx(told, abs=1e-12)
    beside = Situation.of(surrogate, [Observation({"x": 0.2}, {})], [{"x": 0.5}], Strategy(), 1)
    share = np.exp(values("entropy", beside)) / math.log(2)
    assert share[20] < 1e-6 and share[0] > 0.99, "nothing more at a point in flight, all of it far away"


def test_the_knowledge_gradient_is_what_the_best_expectation_rises_by() -> None:
    given = situation(ONE, wave)
    found = np.exp(values("knowledge_gradient", given)) * given.step
    at_rows = (
        np.exp(values("knowledge_gradient", given, torch.tensor(X, dtype=torch.double)[:, None])) * given.step
    )
    assert found.max() > 10 * at_rows.max(), "a row measured without noise teaches nothing"
    with torch.no_grad():
        fine = torch.linspace(0, 1, 401, dtype=torch.double)[:, None]
        known = given.surrogate.joint.posterior(fine).distribution
        steps = torch.as_tensor(norm.ppf((np.arange(200) + 0.5) / 200))[:, None]
        before = given.surrogate.lab(known.mean[:, None]).max()
        for place in (int(found.argmax()), 5, 35):
            covariance = known.covariance_matrix[:, 10 * place]
            shift = covariance / covariance[10 * place].sqrt()
            later = given.surrogate.lab((known.mean + steps * shift)[..., None])[..., 0]
            exact = float((later.max(dim=-1).values - before).mean())
            assert found[place] == pytest.approx(exact, rel=0.2, abs=0.02 * found.max())


def test_thompson_draws_one_function_a_seed_through_what_was_measured() -> None:
    one, other = (values("thompson", situation(ONE, wave, seed=seed)) for seed in (1, 1))
    assert np.array_equal(one, other)
    tops = set()
    for seed in range(6):
        torch.manual_seed(seed)
        tops.add(int(acquisition.made("thompson", situation(ONE, wave, seed=seed)).of(GRID).argmax()))
    assert len(tops) > 1, "another function, another best point"
    rows = torch.tensor(X, dtype=torch.double)[:, None]
    at_rows = values("thompson", situation(ONE, wave), rows)
    scores = [wave(x)["y"] for x in X]
    assert at_rows.argmax() == np.argmax(scores), "there it is what was measured"


def test_what_cannot_draw_paths_still_draws_functions() -> None:
    given = situation(ONE, wave, surrogate="ensemble")
    found = values("thompson", given)
    assert np.isfinite(found).all() and np.ptp(found) > 0


TWO = problem(["a", "b"], [{"output": "a"}, {"output": "b"}])


def arms(x: float) -> dict[str, float]:
    return {"a": math.sin(3 * x), "b": math.cos(3 * x) + 0.5 * x}


def hypervolume(points: np.ndarray[Any, Any], worst: np.ndarray[Any, Any]) -> float:
    total, ceiling = 0.0, worst[1]
    for a, b in sorted(map(tuple, points), reverse=True):
        if a > worst[0] and b > ceiling:
            total += (a - worst[0]) * (b - ceiling)
            ceiling = b
    return total


def test_hypervolume_improvement_is_that_of_samples() -> None:
    given = situation(TWO, arms)
    rows = GRID[1::2]
    worst = given.goals.reference(given.values, given.admissible).numpy()
    known = given.values.numpy()
    before = hypervolume(known, worst)
    torch.manual_seed(5)
    samples = given.surrogate.lab(
        given.surrogate.joint.posterior(rows[:, None, :]).rsample(torch.Size([400]))
    )
    drawn = samples.detach().numpy()[:, :, 0, :]
    exact = np.array(
        [
            np.mean([hypervolume(np.vstack([known, draw]), worst) - before for draw in drawn[:, place]])
            for place in range(len(rows))
        ]
    )
    found = np.exp(values("log_nehvi", given, rows)) * float(given.ranges[1].prod())
    assert found == pytest.approx(exact, abs=0.1 * exact.max())
    assert found.argmax() == exact.argmax()


def test_a_front_with_points_in_flight_gives_other_points_one_after_the_other() -> None:
    """botorch#2983: with points in flight from the start, all candidates of a batch were the same."""
    given = situation(TWO, arms, pending=(0.3, 0.7))
    chosen = []
    for number in range(4):
        best = int(values("log_nehvi", given).argmax())
        chosen.append(best)
        given = given.beside(GRID[[best]], seed=number)
    assert len(set(chosen)) == 4


def test_a_reference_that_nothing_beats_still_leads_there() -> None:
    high = [{"output": "a", "reference": 5.0}, {"output": "b", "reference": 5.0}]
    found = values("log_nehvi", situation(problem(["a", "b"], high), arms))
    assert np.isfinite(found).all() and np.ptp(found) > 0


def test_many_objectives_and_scalar_functions_go_in_a_direction_of_the_seed() -> None:
    names = [f"o{number}" for number in range(6)]
    many = problem(names, [{"output": name} for name in names])
    assert acquisition.meant(AUTO, many) == "log_nei"
    assert acquisition.meant("log_nehvi", many) == "log_nei"
    tops = {int(values("log_nei", situation(TWO, arms, seed=seed)).argmax()) for seed in range(8)}
    assert len(tops) > 2


def test_names_mean_what_the_problem_needs() -> None:
    learning = problem(["y"], [{"output": "y", "goal": "learn"}])
    assert acquisition.meant(AUTO, ONE) == acquisition.meant("log_nehvi", ONE) == "log_nei"
    assert acquisition.meant(AUTO, TWO) == "log_nehvi"
    assert acquisition.meant(AUTO, learning) == acquisition.meant("log_ei", learning) == "uncertainty"
    assert acquisition.meant("entropy", learning) == "entropy"
    assert set(acquisition.MAKERS) == set(ACQUISITIONS) - {AUTO}


LIMITED = problem(
    ["y", "z"], [{"output": "y"}], outcome_constraints=[{"output": "z", "operator": "<=", "bound": 0.5}]
)


def limited(x: float) -> dict[str, float]:
    return {"y": x, "z": x}


@pytest.mark.parametrize("name", ["log_ei", "log_nei", "ucb", "thompson"])
def test_outcome_constraints_are_kept(name: str) -> None:
    found = values(name, situation(LIMITED, limited))
    assert 0.3 < float(GRID[int(found.argmax())]) <= 0.55, "the most that keeps the limit"


def test_before_anything_is_admissible_the_chance_of_it_counts() -> None:
    far = problem(
        ["y", "z"], [{"output": "y"}], outcome_constraints=[{"output": "z", "operator": "<=", "bound": -0.4}]
    )
    found = values("log_nei", situation(far, lambda x: {"y": x, "z": math.cos(4 * x) + 0.5}))
    assert 0.6 < float(GRID[int(found.argmax())]) < 0.9
    assert np.isfinite(found).all()


def test_nothing_is_ever_worth_more_for_being_known_not_to_work() -> None:
    given = situation(ONE, wave)
    bad = torch.tensor([[0.35]], dtype=torch.double)
    feasibility = Feasibility(given.measured, bad)
    plain = acquisition.made("log_nei", given).of(GRID)
    kept = acquisition.made("log_nei", given, feasibility).of(GRID)
    assert (kept <= plain).all()
    assert float((plain - kept)[14]) > 1.0, "there"
    assert float((plain - kept)[40]) < 0.2, "far away"


def test_worth_is_reckoned_per_cost() -> None:
    given = situation(ONE, wave)
    space = given.surrogate.space
    plain = acquisition.made("log_nei", given).of(GRID)
    for text in ("1 + 9 * x", "exp(2 * x) + sqrt(4)", "max(x, 0.5) ^ 2", "3"):
        cost = Cost(text, ONE, space)
        found = acquisition.made("log_nei", given, None, cost).of(GRID)
        exact = [
            math.log(eval(text.replace("^", "**"), {**vars(math), "x": float(x), "max": max})) for x in GRID
        ]
        assert (plain - found).numpy() == pytest.approx(np.array(exact)), text
    rows = GRID[5:6].clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(Cost("1 + 9 * x", ONE, space).log(rows).sum(), rows)
    assert float(slope) == pytest.approx(9 / (1 + 9 * float(GRID[5]))), "a search may follow it"


def test_a_cost_that_is_nothing_or_no_number_is_no_bargain() -> None:
    space = situation(ONE, wave).surrogate.space
    found = Cost("x", ONE, space).log(torch.tensor([[0.0], [0.5]], dtype=torch.double))
    assert found.isfinite().all() and float(found[0]) < float(found[1])
    assert Cost("sqrt(x - 0.5)", ONE, space).log(torch.tensor([[0.1]], dtype=torch.double)).tolist() == [
        math.inf
    ]


@pytest.mark.parametrize("name", sorted(acquisition.MAKERS))
def test_every_function_is_a_number_everywhere_and_has_a_slope(name: str) -> None:
    for wanted, measure in ((ONE, wave), (TWO, arms), (LIMITED, limited)):
        meant = acquisition.meant(name, wanted)
        torch.manual_seed(0)
        worth = acquisition.made(meant, situation(wanted, measure, pending=(0.3,)))
        rows = GRID[:, None, :].clone().requires_grad_(True)
        found = worth(rows)
        assert found.shape == (len(GRID),) and found.isfinite().all()
        (slope,) = torch.autograd.grad(found.sum(), rows)
        assert slope.isfinite().all()
        assert worth.smooth is (meant != "random")
