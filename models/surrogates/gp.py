"""An exact Gaussian process for one output: made from hyperparameters, or fitted to rows.

Inputs are rows of the unit cube, outputs are warped and standardised, everything is float64.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from botorch.models.gp_regression import SingleTaskGP
from gpytorch.kernels import MaternKernel, RBFKernel, ScaleKernel

from .data import Data, tensor
from .encoding import Array
from .likelihood import LEAST_NOISE, MATERN, RBF, Peak, Task, climb, density_of, position_of
from .values import LearningError
from .warps import Warp

#: A second place to start a fit from: length scales as long as the range, some noise.
_SMOOTH_START = (1.0, 1e-2)


@dataclass(frozen=True)
class Hyper:
    """What a fit found. `noise` is a variance in standardised units, for the rows whose noise is not known;
    `evidence` is the log density of the data in lab units, comparable between warps and kernels."""

    warp: Warp
    kernel: str
    lengthscales: tuple[float, ...]
    outputscale: float
    noise: float
    mean: float
    evidence: float

    @property
    def peak(self) -> Peak:
        return Peak(self.lengthscales, self.outputscale, self.noise, self.mean, self.evidence)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any], width: int) -> Hyper:
        """Raises LearningError, ValueError, KeyError or TypeError where no fit wrote this."""
        hyper = cls(
            warp=Warp.from_json(body["warp"]),
            kernel=str(body["kernel"]),
            lengthscales=tuple(float(each) for each in body["lengthscales"]),
            outputscale=float(body["outputscale"]),
            noise=float(body["noise"]),
            mean=float(body["mean"]),
            evidence=float(body["evidence"]),
        )
        positive = (*hyper.lengthscales, hyper.outputscale, hyper.noise)
        sound = all(map(math.isfinite, (*positive, hyper.mean, hyper.evidence))) and min(positive) > 0
        if not sound or hyper.kernel not in (RBF, MATERN):
            raise LearningError("The model state holds numbers that no fit gives.")
        if len(hyper.lengthscales) != width:
            raise LearningError("The model state belongs to another problem.")
        return hyper


def fit(
    data: Data, warp: Warp, kernel: str, warm: Hyper | None, device: str, sparsity: float | None = None
) -> Hyper | None:
    """The hyperparameters of the greatest posterior density, searched from `warm` or from two usual places; None
    where there is none."""
    length, guess = _SMOOTH_START
    starts: Sequence[Peak | None] = (
        [warm.peak]
        if warm is not None
        else [None, Peak((length,) * data.inputs.shape[1], 1.0, guess, 0.0, 0.0)]
    )
    peak = climb(task(data, warp, kernel, device, sparsity), starts)
    if peak is None:
        return None
    return Hyper(
        warp=warp,
        kernel=kernel,
        lengthscales=peak.lengthscales,
        outputscale=peak.outputscale,
        noise=LEAST_NOISE if math.isnan(peak.noise) else peak.noise,
        mean=peak.mean,
        evidence=peak.density + float(np.log(warp.slope(data.values)).sum()),
    )


def evidence(data: Data, hyper: Hyper, device: str) -> float:
    """The log density of the data in lab units with these hyperparameters."""
    own = task(data, hyper.warp, hyper.kernel, device)
    found = density_of(own)(torch.as_tensor(position_of(own, hyper.peak), device=device))
    return -math.inf if found is None else found[0] + float(np.log(hyper.warp.slope(data.values)).sum())


def task(data: Data, warp: Warp, kernel: str, device: str, sparsity: float | None = None) -> Task:
    return Task(
        kernel,
        tensor(data.inputs, device),
        tensor(warp.forward(data.values), device),
        tensor(known_noise(data, warp), device),
        data.groups,
        sparsity,
    )


def known_noise(data: Data, warp: Warp) -> Array:
    """Variance of each row in standardised units; NaN where it is not known."""
    return np.asarray(np.maximum((data.noise * warp.slope(data.values)) ** 2, LEAST_NOISE))


def noise_of(data: Data, hyper: Hyper, extra: Array | None = None) -> Array:
    """Variance of each row in standardised units: known, or else what the fit found; `extra` comes on top."""
    known = known_noise(data, hyper.warp)
    found = np.where(np.isnan(known), max(hyper.noise, LEAST_NOISE), known)
    return np.asarray(found if extra is None else found + extra)


def build(data: Data, hyper: Hyper, device: str, extra: Array | None = None) -> SingleTaskGP:
    """The process conditioned on the rows, ready to predict in standardised units."""
    dimensions = data.inputs.shape[1]
    base = (
        RBFKernel(ard_num_dims=dimensions)
        if hyper.kernel == RBF
        else MaternKernel(2.5, ard_num_dims=dimensions)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BoTorch asks for inputs within [0, 1]: actual values may differ
        model = SingleTaskGP(
            tensor(data.inputs, device),
            tensor(hyper.warp.forward(data.values)[:, None], device),
            train_Yvar=tensor(noise_of(data, hyper, extra)[:, None], device),
            covar_module=ScaleKernel(base),
            outcome_transform=None,
        )
    model = model.to(device=device, dtype=torch.double)
    base.lengthscale = torch.tensor([hyper.lengthscales], dtype=torch.double)
    model.covar_module.outputscale = hyper.outputscale
    model.mean_module.constant.data.fill_(hyper.mean)
    model.eval()
    return model


def leave_one_out(model: SingleTaskGP) -> tuple[Array, Array]:
    """Mean and variance that each row would be predicted with, had it not been measured (standardised, with its
    noise). Sundararajan and Keerthi, Neural Computation 13 (2001)."""
    with torch.no_grad():
        inputs = model.train_inputs[0]
        matrix = model.covar_module(inputs).to_dense() + torch.diag(model.likelihood.noise)
        root = torch.linalg.cholesky(matrix)
        inverse = torch.cholesky_inverse(root)
        spread = 1 / inverse.diagonal()
        residual = model.train_targets - model.mean_module(inputs)
        mean = model.train_targets - (inverse @ residual) * spread
    return mean.cpu().numpy(), spread.cpu().numpy()
