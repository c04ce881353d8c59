"""The exact process, against GPyTorch's own figures and against brute force."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from botorch.models.gp_regression import SingleTaskGP
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import MaternKernel, RBFKernel, ScaleKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import GammaPrior, LogNormalPrior

from labqueue.problem import Problem
from models.surrogates import design, gp, likelihood
from models.surrogates.data import Data, datasets
from models.surrogates.encoding import Encoding
from models.surrogates.kinds import gp as kind
from models.surrogates.likelihood import KERNELS, RBF, Task
from models.surrogates.values import Observation
from models.surrogates.warps import candidates

INPUTS = np.random.default_rng(4).random((14, 3))
VALUES = np.sin(5 * INPUTS[:, 0]) + INPUTS[:, 1] ** 2
DATA = Data.of(INPUTS, VALUES)


def standardised(kernel: str = RBF, sparsity: float | None = None) -> Task:
    task = gp.task(DATA, candidates(VALUES)[0], kernel, "cpu", sparsity)
    assert bool(task.unknown.all())
    return task


@pytest.mark.parametrize("kernel", [likelihood.RBF, likelihood.MATERN])
def test_the_density_is_that_of_gpytorch_and_its_peak_a_peak(kernel: str) -> None:
    task = standardised(kernel)
    inputs, targets = task.inputs, task.targets
    peak = likelihood.climb(task, [None])
    assert peak is not None
    mode = math.exp(math.sqrt(2) - 3) * math.sqrt(3)
    own = RBFKernel if kernel == likelihood.RBF else MaternKernel
    covariance = ScaleKernel(
        own(ard_num_dims=3, lengthscale_prior=GammaPrior(3.0, 2.0 / mode)),
        outputscale_prior=GammaPrior(*likelihood.SCALE_PRIOR),
    )
    model = SingleTaskGP(
        inputs,
        targets[:, None],
        likelihood=GaussianLikelihood(
            noise_prior=LogNormalPrior(*likelihood.NOISE_PRIOR), noise_constraint=GreaterThan(1e-8)
        ),
        covar_module=covariance,
        outcome_transform=None,
    )
    function = ExactMarginalLogLikelihood(model.likelihood, model)

    def theirs(factor: float) -> float:
        covariance.base_kernel.lengthscale = torch.tensor([peak.lengthscales]) * factor
        covariance.outputscale = peak.outputscale * factor
        model.likelihood.noise = peak.noise * factor
        model.mean_module.constant.data.fill_(peak.mean)
        model.train()
        with torch.no_grad():
            found = float(function(model(inputs), model.train_targets)) * len(targets)
        return found + math.log(peak.noise * factor)  # ours is a density of its logarithm

    assert peak.density == pytest.approx(theirs(1.0), abs=1e-3)
    assert theirs(1.0) > max(theirs(0.9), theirs(1.1))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sparsity", [None, 0.1])
@pytest.mark.parametrize("known", ["none", "some", "all"])
@pytest.mark.parametrize(
    "groups", [(0, 1, 2), (0, 1, 1), (0, 0, 0)], ids=["apart", "two together", "all together"]
)
def test_the_slope_of_the_density_is_its_slope(
    kernel: str, sparsity: float | None, known: str, groups: tuple[int, ...]
) -> None:
    task = replace(standardised(kernel, sparsity), groups=groups)
    noise = torch.full_like(task.noise, 0.04 if known == "all" else math.nan)
    noise[: 7 if known == "some" else 0] = 0.09
    density = likelihood.density_of(replace(task, noise=noise))
    lengths = [-0.4, 0.3, 0.9][: task.lengths]
    at = torch.tensor([*lengths, -0.2, 0.15, *([] if known == "all" else [-2.5])], dtype=torch.double)
    found = density(at)
    assert found is not None
    for place in range(len(at)):
        step = torch.zeros_like(at)
        step[place] = 1e-5
        ends = [density(at + sign * step) for sign in (1, -1)]
        assert all(each is not None for each in ends)
        (up, _), (down, _) = (each for each in ends if each is not None)
        assert float(found[1][place]) == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-5)


def test_leaving_one_out_is_what_a_model_without_the_row_says() -> None:
    noisy = replace(DATA, noise=np.where(np.arange(len(VALUES)) % 3 == 0, 0.2, math.nan))
    hyper = kind.fit(noisy, None, 0, "cpu").hyper
    mean, variance = gp.build(noisy, hyper, "cpu").leave_one_out()
    own = gp.noise_of(noisy, hyper)
    for row in range(len(VALUES)):
        others = np.arange(len(VALUES)) != row
        without = gp.build(noisy.take(others), hyper, "cpu")
        with torch.no_grad():
            told = without.posterior(torch.as_tensor(INPUTS[row : row + 1]))
        assert mean[row] == pytest.approx(float(told.mean), abs=1e-6)
        assert variance[row] == pytest.approx(float(told.variance) + own[row], rel=1e-4)


def test_a_long_tail_is_warped_and_a_plain_output_is_not_made_worse() -> None:
    assert kind.fit(replace(DATA, values=np.exp(4 * VALUES)), None, 0, "cpu").hyper.warp.kind == "log"
    plain = kind.fit(DATA, None, 0, "cpu").foretell(DATA, 0, "cpu")
    assert np.corrcoef(plain.lab, VALUES)[0, 1] > 0.95


def test_noise_is_found_where_there_is_some_and_taken_as_told_where_it_is_known() -> None:
    generator = np.random.default_rng(6)
    inputs = generator.random((80, 1))
    values = 3 * inputs[:, 0] + generator.normal(0, 0.3, 80)
    hyper = kind.fit(Data.of(inputs, values), None, 0, "cpu").hyper
    assert math.sqrt(hyper.noise) * hyper.warp.scale * hyper.warp.spread == pytest.approx(0.3, rel=0.4)
    assert kind.fit(DATA, None, 0, "cpu").hyper.noise < 1e-3
    trusted = replace(DATA, noise=np.where(np.arange(len(VALUES)) == 0, 2.0, 1e-3))
    hyper = kind.fit(trusted, None, 0, "cpu").hyper
    with torch.no_grad():
        at = gp.build(trusted, hyper, "cpu").posterior(torch.as_tensor(INPUTS)[:, None])
    assert float(at.variance[0]) > 3 * float(at.variance[1:].max()), "a value of much noise tells little"


def test_replicates_average_out() -> None:
    twice = Data.of(np.repeat([[0.2], [0.8]], 6, axis=0), np.array([1.0, 3.0] * 3 + [5.0, 7.0] * 3))
    part = kind.fit(twice, None, 0, "cpu").part(twice, "cpu")
    with torch.no_grad():
        mean = part.warp.back(part.model.posterior(torch.tensor([[[0.2]], [[0.8]]]).double()).mean.flatten())
    assert mean.numpy() == pytest.approx([2.0, 6.0], abs=0.6)


def test_a_density_that_is_no_number_has_no_peak() -> None:
    task = standardised()
    assert likelihood.climb(replace(task, targets=torch.full_like(task.targets, math.nan)), [None]) is None


@pytest.mark.parametrize(
    ("others", "listed"),
    [
        ([{"kind": "discrete", "values": [1, 2, 5]}, {"kind": "integer", "low": 0, "high": 9}], True),
        ([{"kind": "continuous", "low": 0, "high": 1}], False),
        ([{"kind": "continuous", "low": 0, "high": 1}, {"kind": "discrete", "values": [1, 2, 5]}], False),
    ],
)
def test_the_output_may_reach_far_where_every_parameter_is_one_of_some_values(
    others: list[dict[str, Any]], listed: bool
) -> None:
    named = {"name": "solvent", "kind": "categorical", "categories": ["a", "b", "c"]}
    for parameters, expected in (
        ([named, *others], listed),
        (others, False),
    ):
        problem = Problem.from_json(
            {
                "parameters": [{"name": f"p{place}", **each} for place, each in enumerate(parameters)],
                "outputs": [{"name": "y"}],
                "objectives": [{"output": "y"}],
            }
        )
        points = design.points(Encoding(problem), 1, 0, 5)
        rows = [Observation(point, {"y": float(place)}) for place, point in enumerate(points)]
        data = datasets(problem, Encoding(problem), rows)["y"]
        found = gp.task(data, candidates(data.values)[0], RBF, "cpu").scale_prior
        assert found == (likelihood.LISTED_SCALE_PRIOR if expected else likelihood.SCALE_PRIOR)
