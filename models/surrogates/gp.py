"""An exact Gaussian process for one output: made from hyperparameters, or fitted to rows.

Inputs are rows of the unit cube, outputs are warped and standardised, everything is float64.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from botorch.models.gp_regression import SingleTaskGP
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import MaternKernel, RBFKernel, ScaleKernel
from gpytorch.likelihoods import GaussianLikelihood

from .encoding import Array
from .likelihood import LEAST_NOISE, MATERN, RBF, Peak, climb
from .values import LearningError
from .warps import Warp, candidates, refreshed

#: A second place to start a fit from: length scales as long as the range, some noise.
_SMOOTH_START = (1.0, 1e-2)


@dataclass(frozen=True)
class Hyper:
    """What a fit found. `evidence` is the log density of the data in lab units, comparable between warps."""

    warp: Warp
    kernel: str
    lengthscales: tuple[float, ...]
    outputscale: float
    noise: float
    mean: float
    evidence: float


@dataclass(frozen=True)
class Data:
    """The rows that have this output. `noise`: its known standard deviation in lab units, or None."""

    inputs: Array
    values: Array
    noise: float | None = None


def fit(data: Data, warm: Hyper | None, device: str) -> Hyper:
    """The hyperparameters with the greatest posterior density.

    Without `warm`, warps and kernels are compared by evidence; with it, its warp and kernel are kept and its
    values are where the search starts. Raises LearningError where no fit succeeds.
    """
    if warm is not None:
        found = _fit_one(data, refreshed(warm.warp, data.values), warm.kernel, warm, device)
    else:
        fits = [_fit_one(data, warp, RBF, None, device) for warp in candidates(data.values)]
        found = max(fits, key=_evidence)
        if found is not None:
            found = max(found, _fit_one(data, found.warp, MATERN, None, device), key=_evidence)
    if found is None:
        raise LearningError("The model could not be fitted to these rows.")
    return found


def _evidence(found: Hyper | None) -> float:
    return -np.inf if found is None else found.evidence


def build(data: Data, hyper: Hyper, device: str) -> SingleTaskGP:
    """The process conditioned on the rows, ready to predict in standardised units."""
    dimensions = data.inputs.shape[1]
    if len(hyper.lengthscales) != dimensions:
        raise LearningError("The model state belongs to another search space.")
    base = (
        RBFKernel(ard_num_dims=dimensions)
        if hyper.kernel == RBF
        else MaternKernel(2.5, ard_num_dims=dimensions)
    )
    noise = _known_noise(data, hyper.warp)
    given = (
        {"likelihood": GaussianLikelihood(noise_constraint=GreaterThan(LEAST_NOISE / 2))}
        if noise is None
        else {"train_Yvar": _tensor(noise[:, None], device)}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BoTorch asks for inputs within [0, 1]: actual values may differ
        model = SingleTaskGP(
            _tensor(data.inputs, device),
            _tensor(hyper.warp.forward(data.values)[:, None], device),
            covar_module=ScaleKernel(base),
            outcome_transform=None,
            **given,
        )
    model = model.to(device=device, dtype=torch.double)
    base.lengthscale = torch.tensor([hyper.lengthscales], dtype=torch.double)
    model.covar_module.outputscale = hyper.outputscale
    model.mean_module.constant.data.fill_(hyper.mean)
    if noise is None:
        model.likelihood.noise = max(hyper.noise, LEAST_NOISE)
    model.eval()
    return model


def leave_one_out(model: SingleTaskGP) -> tuple[Array, Array]:
    """Mean and variance that each row would be predicted with, had it not been measured (standardised)."""
    with torch.no_grad():
        model.train()
        prior = model.likelihood(model(*model.train_inputs), *model.train_inputs)
        model.eval()
        inverse = torch.linalg.inv(prior.covariance_matrix)
        spread = 1 / inverse.diagonal()
        residual = model.train_targets - prior.mean
        mean = model.train_targets - (inverse @ residual) * spread
    return mean.cpu().numpy(), spread.cpu().numpy()


def _fit_one(data: Data, warp: Warp, kernel: str, warm: Hyper | None, device: str) -> Hyper | None:
    noise = _known_noise(data, warp)
    if warm is None:
        length, guess = _SMOOTH_START
        starts = [None, Peak((length,) * data.inputs.shape[1], 1.0, guess, 0.0, 0.0)]
    else:
        starts = [Peak(warm.lengthscales, warm.outputscale, warm.noise, warm.mean, 0.0)]
    peak = climb(
        kernel,
        _tensor(data.inputs, device),
        _tensor(warp.forward(data.values), device),
        None if noise is None else _tensor(noise, device),
        starts,
    )
    if peak is None:
        return None
    return Hyper(
        warp=warp,
        kernel=kernel,
        lengthscales=peak.lengthscales,
        outputscale=peak.outputscale,
        noise=peak.noise if noise is None else float(noise.mean()),
        mean=peak.mean,
        evidence=peak.density + float(np.log(warp.slope(data.values)).sum()),
    )


def _known_noise(data: Data, warp: Warp) -> Array | None:
    """Variances of the rows in standardised units, where the problem states them."""
    if data.noise is None:
        return None
    return np.asarray(np.maximum((data.noise * warp.slope(data.values)) ** 2, LEAST_NOISE))


def _tensor(values: Array, device: str) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.double, device=device)
