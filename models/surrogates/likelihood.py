"""The posterior density of a Gaussian process's hyperparameters, and where it is greatest.

The same density as BoTorch's `fit_gpytorch_mll` maximises, written out: at the size of a lab's data most of the time
of a fit goes into the layers around it (here one evaluation takes a fifth of that).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from .encoding import Array

RBF, MATERN = "rbf", "matern"

#: Variances in standardised units. A solver has no noise, an assay may have much: the prior is wide.
LEAST_NOISE = 1e-6
NOISE_PRIOR = (-6.0, 2.0)  # log-normal
#: Around 1, the size of standardised values. A broad prior lets a smooth kernel believe in far too little spread:
#: on the SnAr reactor the median gap after 40 experiments was 10 times as large with Gamma(2, 0.15).
SCALE_PRIOR = (4.0, 4.0)  # gamma: shape, rate
_LENGTH_SPREAD = math.sqrt(3)  # log-normal, centred by `_length_center`
_ITERATIONS = 200
_IMPOSSIBLE = 1e10


@dataclass(frozen=True)
class Peak:
    """Hyperparameters and the log density there; `noise` is NaN where it is known and not fitted."""

    lengthscales: tuple[float, ...]
    outputscale: float
    noise: float
    mean: float
    density: float


def _length_center(dimensions: int) -> float:
    """Hvarfner et al., arXiv 2402.02229: length scales grow with the square root of the dimensions."""
    return math.sqrt(2) + 0.5 * math.log(dimensions)


def covariance(kernel: str, left: Tensor, right: Tensor) -> Tensor:
    """Of rows that were divided by their length scales; 1 at no distance."""
    square = left.square().sum(-1)[:, None] + right.square().sum(-1) - 2 * left @ right.T
    square = square.clamp_min(1e-20)
    if kernel == RBF:
        return torch.exp(-0.5 * square)
    scaled = math.sqrt(5) * square.sqrt()
    return (1 + scaled + scaled.square() / 3) * torch.exp(-scaled)


def climb(
    kernel: str, inputs: Tensor, targets: Tensor, noise: Tensor | None, starts: Sequence[Peak | None]
) -> Peak | None:
    """The highest peak reached from the starts (None: the priors' mode); None where there is none.

    `noise`: known variances, one a row, or None where it is to be found.
    """
    dimensions = inputs.shape[-1]
    low = (
        [math.log(1e-3)] * dimensions
        + [math.log(1e-3), -10.0]
        + ([math.log(LEAST_NOISE)] if noise is None else [])
    )
    high = [math.log(1e3)] * dimensions + [math.log(1e3), 10.0] + ([math.log(10.0)] if noise is None else [])

    def fall(position: Array) -> tuple[float, Array]:
        variables = torch.as_tensor(position, device=inputs.device).requires_grad_(True)
        value = _density(kernel, variables, inputs, targets, noise)
        if value is None:
            return _IMPOSSIBLE, np.zeros_like(position)
        (slope,) = torch.autograd.grad(value, variables)
        return -float(value.detach()), -slope.cpu().numpy()

    best: Peak | None = None
    for start in starts:
        answer = minimize(
            fall,
            np.clip(_position(start, dimensions, noise is None), low, high),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)),
            options={"maxiter": _ITERATIONS},
        )
        density = -float(answer.fun)
        if math.isfinite(density) and density > -_IMPOSSIBLE and (best is None or density > best.density):
            lengths = np.exp(answer.x[:dimensions])
            best = Peak(
                tuple(map(float, lengths)),
                math.exp(answer.x[dimensions]),
                math.exp(answer.x[-1]) if noise is None else math.nan,
                float(answer.x[dimensions + 1]),
                density,
            )
    return best


def _position(start: Peak | None, dimensions: int, fitted_noise: bool) -> Array:
    if start is None:
        center = _length_center(dimensions)
        lengths, scale, mean = [center - _LENGTH_SPREAD**2] * dimensions, 0.0, 0.0
        noise = NOISE_PRIOR[0] - NOISE_PRIOR[1] ** 2
    else:
        lengths = [math.log(each) for each in start.lengthscales]
        scale, mean = math.log(start.outputscale), start.mean
        noise = math.log(start.noise) if start.noise > 0 else NOISE_PRIOR[0]
    return np.array([*lengths, scale, mean, *([noise] if fitted_noise else [])])


def _density(
    kernel: str, variables: Tensor, inputs: Tensor, targets: Tensor, noise: Tensor | None
) -> Tensor | None:
    """Log likelihood plus log priors (of the values themselves, not their logarithms); None where it fails."""
    dimensions, count = inputs.shape[-1], len(targets)
    lengths, scale, mean = variables[:dimensions], variables[dimensions], variables[dimensions + 1]
    scaled = inputs / lengths.exp()
    variance = variables[-1].exp().expand(count) if noise is None else noise
    matrix = scale.exp() * covariance(kernel, scaled, scaled) + torch.diag(variance)
    root, failed = torch.linalg.cholesky_ex(matrix)
    if int(failed):
        return None
    residual = torch.linalg.solve_triangular(root, (targets - mean)[:, None], upper=False)
    value: Tensor = (
        -0.5 * residual.square().sum() - root.diagonal().log().sum() - 0.5 * count * math.log(2 * math.pi)
    )
    value = value + _log_normal(lengths, _length_center(dimensions), _LENGTH_SPREAD).sum()
    shape, rate = SCALE_PRIOR
    value = value + shape * math.log(rate) - math.lgamma(shape) + (shape - 1) * scale - rate * scale.exp()
    if noise is None:
        value = value + _log_normal(variables[-1], *NOISE_PRIOR)
    return value


def _log_normal(logarithm: Tensor, center: float, spread: float) -> Tensor:
    standard = (logarithm - center) / spread
    return -logarithm - math.log(spread) - 0.5 * math.log(2 * math.pi) - 0.5 * standard.square()
