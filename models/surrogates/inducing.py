"""A Gaussian process that sees its rows through few inducing points: for more rows than an exact one can take.

The collapsed variational bound and its posterior (Titsias, AISTATS 2009), with a noise for each row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from linear_operator.utils.cholesky import psd_safe_cholesky
from scipy.optimize import minimize
from torch import Tensor

from . import hurry
from .encoding import Array
from .likelihood import LEAST_NOISE, Peak, Task, covariance, distances, log_prior, position_of

_JITTER = 1e-8


def choose(inputs: Array, count: int, seed: int) -> Array:
    """`count` of the rows that lie far from each other (k-means++ seeding), or all where there are no more."""
    rows = np.unique(inputs, axis=0)
    if len(rows) <= count:
        return np.asarray(rows)
    generator = np.random.default_rng(seed)
    chosen = [int(generator.integers(len(rows)))]
    nearest = ((rows - rows[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < count and nearest.max() > 0:
        chosen.append(int(generator.choice(len(rows), p=nearest / nearest.sum())))
        nearest = np.minimum(nearest, ((rows - rows[chosen[-1]]) ** 2).sum(axis=1))
    return np.asarray(rows[chosen])


@dataclass(frozen=True)
class _Roots:
    """Of one set of hyperparameters: what bound and posterior are made of."""

    inner: Tensor  # Cholesky factor of the inducing points' covariance
    outer: Tensor  # of I + A A', A the whitened cross-covariance over the noise's standard deviations
    target: Tensor  # outer^-1 A r
    bound: Tensor


def _roots(task: Task, points: Tensor, lengths: Tensor, scale: Tensor, mean: Tensor, noise: Tensor) -> _Roots:
    def kernel(left: Tensor, right: Tensor) -> Tensor:
        return scale * covariance(task.kernel, distances(left / lengths, right / lengths))[0]

    count = len(points)
    diagonal = _JITTER * scale * torch.eye(count, dtype=points.dtype, device=points.device)
    inner = psd_safe_cholesky(kernel(points, points) + diagonal)
    cross = torch.linalg.solve_triangular(inner, kernel(points, task.inputs), upper=False)
    spread = noise.sqrt()
    scaled = cross / spread
    identity = torch.eye(count, dtype=points.dtype, device=points.device)
    outer = torch.linalg.cholesky(identity + scaled @ scaled.T)
    residual = (task.targets - mean) / spread
    target = torch.linalg.solve_triangular(outer, (scaled @ residual)[:, None], upper=False)
    bound = (
        -0.5 * len(task.targets) * math.log(2 * math.pi)
        - outer.diagonal().log().sum()
        - spread.log().sum()
        - 0.5 * residual.square().sum()
        + 0.5 * target.square().sum()
        - 0.5 * ((scale - cross.square().sum(0)).clamp_min(0) / noise).sum()
    )
    return _Roots(inner, outer, target, bound)


def polish(task: Task, points: Tensor, start: Peak, iterations: int) -> Peak:
    """The bound plus the log priors climbed for a few steps from `start`; `density` is what was reached."""
    dimensions, unknown, index = task.lengths, task.unknown, task.index
    fitted = bool(unknown.any())
    known = torch.where(unknown, torch.zeros_like(task.noise), task.noise)

    def fall(position: Array) -> tuple[float, Array]:
        at = torch.as_tensor(position, device=points.device).requires_grad_(True)
        noise = known + unknown * at[-1].exp() if fitted else known
        try:
            roots = _roots(
                task, points, at[:dimensions].exp()[index], at[dimensions].exp(), at[dimensions + 1], noise
            )
        except RuntimeError:  # not positive definite
            return 1e10, np.zeros_like(position)
        value = roots.bound + log_prior(at, task)
        (slope,) = torch.autograd.grad(value, at)
        return -float(value.detach()), -slope.cpu().numpy()

    low = [math.log(1e-3)] * (dimensions + 1) + [-10.0] + [math.log(LEAST_NOISE)] * fitted
    high = [math.log(1e3)] * (dimensions + 1) + [10.0] + [math.log(10.0)] * fitted
    answer = minimize(
        fall,
        np.clip(position_of(task, start), low, high),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": iterations},
        callback=hurry.stop,
    )
    return Peak(
        task.of_columns(np.exp(answer.x[:dimensions])),
        math.exp(answer.x[dimensions]),
        math.exp(answer.x[-1]) if fitted else start.noise,
        float(answer.x[dimensions + 1]),
        -float(answer.fun),
    )


class Sparse:
    """The posterior: a function from rows (..., points, columns) to mean and covariance, without noise."""

    def __init__(self, task: Task, points: Tensor, peak: Peak) -> None:
        self._kind, self._points, self._mean = task.kernel, points, peak.mean
        self._lengths = torch.as_tensor(peak.lengthscales, dtype=points.dtype, device=points.device)
        self._scale = torch.as_tensor(peak.outputscale, dtype=points.dtype, device=points.device)
        noise = torch.where(task.unknown, torch.full_like(task.noise, peak.noise), task.noise)
        mean = torch.as_tensor(peak.mean, dtype=points.dtype, device=points.device)
        with torch.no_grad():
            self._roots = _roots(task, points, self._lengths, self._scale, mean, noise)

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        shape = inputs.shape
        rows = inputs.reshape(-1, shape[-1]) / self._lengths
        square = distances(self._points / self._lengths, rows)
        cross = self._scale * covariance(self._kind, square)[0]
        first = torch.linalg.solve_triangular(self._roots.inner, cross, upper=False)
        second = torch.linalg.solve_triangular(self._roots.outer, first, upper=False)
        mean = self._mean + (second.T @ self._roots.target).reshape(shape[:-1])
        own = inputs / self._lengths
        gap = (own.unsqueeze(-2) - own.unsqueeze(-3)).square().sum(-1).clamp_min(1e-20)
        prior = self._scale * covariance(self._kind, gap)[0]
        left, right = (each.T.reshape(*shape[:-1], -1) for each in (first, second))
        return mean, prior - left @ left.mT + right @ right.mT
