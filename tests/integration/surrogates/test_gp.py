"""The fit, against GPyTorch's own figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from botorch.models.gp_regression import SingleTaskGP
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import ScaleKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import GammaPrior, LogNormalPrior

from models.surrogates import gp, likelihood

INPUTS = np.random.default_rng(4).random((14, 3))
VALUES = np.sin(5 * INPUTS[:, 0]) + INPUTS[:, 1] ** 2


@pytest.mark.parametrize("kernel", [likelihood.RBF, likelihood.MATERN])
def test_the_density_is_that_of_gpytorch_and_its_peak_a_peak(kernel: str) -> None:
    inputs, targets = torch.as_tensor(INPUTS), torch.as_tensor((VALUES - VALUES.mean()) / VALUES.std(ddof=1))
    peak = likelihood.climb(kernel, inputs, targets, None, [None])
    assert peak is not None
    covariance = ScaleKernel(
        get_covar_module_with_dim_scaled_prior(ard_num_dims=3, use_rbf_kernel=kernel == likelihood.RBF),
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
            return float(function(model(inputs), model.train_targets)) * len(targets)

    assert peak.density == pytest.approx(theirs(1.0), abs=1e-3)
    assert theirs(1.0) > max(theirs(0.9), theirs(1.1))


def test_leaving_one_out_is_what_a_model_without_the_row_says() -> None:
    hyper = gp.fit(gp.Data(INPUTS, VALUES), None, "cpu")
    mean, variance = gp.leave_one_out(gp.build(gp.Data(INPUTS, VALUES), hyper, "cpu"))
    without = gp.build(gp.Data(INPUTS[1:], VALUES[1:]), hyper, "cpu")
    with torch.no_grad():
        told = without.posterior(torch.as_tensor(INPUTS[:1]), observation_noise=True)
    assert mean[0] == pytest.approx(float(told.mean), abs=1e-6)
    assert variance[0] == pytest.approx(float(told.variance), rel=1e-4)


def test_a_long_tail_is_warped_and_a_plain_output_is_not_made_worse() -> None:
    steep = np.exp(4 * VALUES)
    assert gp.fit(gp.Data(INPUTS, steep), None, "cpu").warp.kind == "log"
    plain = gp.fit(gp.Data(INPUTS, VALUES), None, "cpu")
    told = gp.leave_one_out(gp.build(gp.Data(INPUTS, VALUES), plain, "cpu"))[0]
    assert np.corrcoef(told, VALUES)[0, 1] > 0.95


def test_noise_is_found_where_there_is_some() -> None:
    generator = np.random.default_rng(6)
    inputs = generator.random((80, 1))
    values = 3 * inputs[:, 0] + generator.normal(0, 0.3, 80)
    hyper = gp.fit(gp.Data(inputs, values), None, "cpu")
    assert math.sqrt(hyper.noise) * hyper.warp.scale * hyper.warp.spread == pytest.approx(0.3, rel=0.4)
    assert gp.fit(gp.Data(INPUTS, VALUES), None, "cpu").noise < 1e-3


def test_a_density_that_is_no_number_has_no_peak() -> None:
    inputs, targets = torch.as_tensor(INPUTS), torch.full((len(INPUTS),), math.nan, dtype=torch.double)
    assert likelihood.climb(likelihood.RBF, inputs, targets, None, [None]) is None
