"""What each policy believes of points in flight, and that a model takes on beliefs as it would take on results."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from labqueue.problem import Problem
from labqueue.strategy import Strategy
from models.surrogates import fitting
from models.surrogates.goals import Goals
from models.surrogates.pending import believed, conditioned
from models.surrogates.surrogate import Surrogate
from models.surrogates.values import Observation

X = [0.0, 0.2, 0.35, 0.6, 0.8, 1.0]
FLYING = torch.tensor([[0.1], [0.47]], dtype=torch.double)
GRID = torch.linspace(0, 1, 21, dtype=torch.double)[:, None, None]


def made(
    objective: dict[str, Any], surrogate: str = "gp", limits: tuple[dict[str, Any], ...] = ()
) -> Surrogate:
    problem = Problem.from_json(
        {
            "parameters": [{"name": "x", "kind": "continuous", "low": 0, "high": 1}],
            "outputs": [{"name": "y"}, {"name": "z"}],
            "objectives": [{"output": "y", **objective}],
            "outcome_constraints": list(limits),
        }
    )
    rows = [Observation({"x": x}, {"y": (x - 0.4) ** 2 * 9, "z": x**3 - x}) for x in X]
    strategy = Strategy(surrogate=surrogate)
    space = fitting.space_of(problem, rows)
    return fitting.restore(problem, strategy, space, rows, fitting.fit(problem, strategy, rows).state)


def beliefs(surrogate: Surrogate, policy: str) -> tuple[torch.Tensor, torch.Tensor]:
    """What is expected in flight before and after (points, outputs), standardised units."""
    goals = Goals(surrogate.problem, surrogate.outputs)
    before = surrogate.joint.posterior(FLYING)
    after = believed(surrogate, goals, FLYING, policy).posterior(FLYING)
    assert (after.variance < 0.05 * before.variance + 2e-5).all(), "there is hardly any doubt left"
    return before.mean + 0 * before.variance, after.mean


def test_taken_to_come_out_as_expected_only_the_uncertainty_goes() -> None:
    surrogate = made({})
    before, after = beliefs(surrogate, "posterior")
    assert after.detach().numpy() == pytest.approx(before.detach().numpy(), abs=1e-3)
    following = believed(surrogate, Goals(surrogate.problem, surrogate.outputs), FLYING, "posterior")
    plain = surrogate.joint.posterior(GRID)
    known = following.posterior(GRID)
    assert known.mean.detach().numpy() == pytest.approx(plain.mean.detach().numpy(), abs=2e-3)
    assert (known.variance <= plain.variance + 1e-5).all()


@pytest.mark.parametrize(
    ("objective", "signs"),
    [
        ({}, (-1, -1)),
        ({"goal": "minimize"}, (1, 1)),
        ({"goal": "target", "target": -5.0}, (1, 1)),
        ({"goal": "target", "target": 50.0}, (-1, -1)),
        ({"goal": "window", "low": 0.2, "high": 0.5}, (1, -1)),
        ({"goal": "learn"}, (0, 0)),
    ],
)
def test_the_pessimist_takes_each_to_come_out_worse_for_its_goal(
    objective: dict[str, Any], signs: tuple[int, int]
) -> None:
    before, after = beliefs(made(objective), "pessimistic")
    moved = (after - before)[:, 0]
    for sign, each in zip(signs, moved.tolist(), strict=True):
        assert each * sign > 0 if sign else abs(each) < 1e-3


def test_the_pessimist_takes_outcome_constraints_to_be_broken_sooner() -> None:
    limits = ({"output": "z", "operator": "<=", "bound": 0.0},)
    surrogate = made({}, limits=limits)
    before, after = beliefs(surrogate, "pessimistic")
    assert surrogate.outputs == ("y", "z")
    assert ((after - before)[:, 1] > 0).all()


def test_a_belief_counts_as_a_result_would() -> None:
    surrogate = made({})
    (process,) = surrogate.joint.models
    values = torch.tensor([[0.3], [-0.2]], dtype=torch.double)
    layered = process.layered
    layered.posterior(FLYING)
    noise = torch.full_like(values, 1e-5)
    exact = layered.condition_on_observations(FLYING, values, noise=noise).posterior(GRID)
    found = conditioned(surrogate.joint, FLYING, values).posterior(GRID)
    assert found.mean.detach().numpy() == pytest.approx(exact.mean.detach().numpy(), abs=2e-3)
    assert found.variance.detach().numpy() == pytest.approx(exact.variance.detach().numpy(), abs=2e-3)


@pytest.mark.parametrize("kind", ["ensemble", "forest", "saas"])
def test_every_kind_of_model_can_believe(kind: str) -> None:
    surrogate = made({}, surrogate=kind)
    before, after = beliefs(surrogate, "pessimistic")
    assert ((after - before)[:, 0] <= 1e-6).all() and after.isfinite().all()
    rows = GRID.clone().requires_grad_(True)
    goals = Goals(surrogate.problem, surrogate.outputs)
    found = believed(surrogate, goals, FLYING, "posterior").posterior(rows)
    assert found.mean.isfinite().all() and (found.variance >= 0).all()
