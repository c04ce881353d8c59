"""The posterior density of a Gaussian process's hyperparameters, and where it is greatest.

The same density as BoTorch's `fit_gpytorch_mll` maximises, with its slope written out: at the size of a lab's data most
of the time of a fit goes into the layers around it, and at a thousand rows into the way back through the Cholesky
factor, which the closed form does not need.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from . import hurry
from .encoding import Array
from .lengths import LengthPrior, Sparse, log_normal, usual

#: Matern kernels are named by their smoothness: 1/2, 3/2, 5/2.
RBF, MATERN12, MATERN32, MATERN = KERNELS = ("rbf", "matern12", "matern32", "matern52")

#: Variances in standardised units. A solver has no noise, an assay may have much: the prior is wide, and it counts as a
#: density of the logarithm, since as one of the variance itself it would be steepest towards no noise at all (held out,
#: with noise of 0.1, 0.3 and 1 standard deviations: log scores better by 0.1, 0.3 and 0.2, and none worse without noise).
LEAST_NOISE = 1e-6
NOISE_PRIOR = (-8.0, 3.0)  # log-normal
#: Around 1, the size of standardised values. A broad prior lets a smooth kernel believe in far too little spread:
#: on the SnAr reactor the median gap after 40 experiments was 10 times as large with Gamma(2, 0.15).
SCALE_PRIOR = (4.0, 4.0)  # gamma: shape, rate
#: Where every parameter is one of some values, categories among them, what was not tried may be far from all that was:
#: with the narrow prior 30 % of the campaigns on the direct arylation table found 99 % yield, with this one 90 %. Beside
#: continuous parameters it asks for too much of their range (on a mixed problem the regret was 20 times as large).
LISTED_SCALE_PRIOR = (5.0, 0.25)
_ITERATIONS = 200
_IMPOSSIBLE = 1e10
_NEAREST = 1e-20


@dataclass(frozen=True)
class Peak:
    """Hyperparameters and the log density there; `noise` is NaN where every row's is known."""

    lengthscales: tuple[float, ...]
    outputscale: float
    noise: float
    mean: float
    density: float


@dataclass(frozen=True)
class Task:
    """What is to be explained: rows of the cube, standardised targets, and the variance of each target's noise (NaN
    where it is to be found; then it is the same for all those rows).

    groups    the group of each column: 0, 1, ...; columns of a group (of one category parameter) share a length scale
    sparsity  None: all length scales are expected to matter. A number: few of them, the fewer the smaller it is (the tau
              of `lengths.Sparse`)
    listed    is every parameter one of some values, with categories among them?
    """

    kernel: str
    inputs: Tensor
    targets: Tensor
    noise: Tensor
    groups: tuple[int, ...]
    sparsity: float | None = None
    listed: bool = False

    @property
    def scale_prior(self) -> tuple[float, float]:
        """Of the output scale: shape and rate of a gamma distribution."""
        return LISTED_SCALE_PRIOR if self.listed else SCALE_PRIOR

    @property
    def lengths(self) -> int:
        """How many length scales there are."""
        return max(self.groups) + 1

    @property
    def index(self) -> Tensor:
        return torch.as_tensor(self.groups, device=self.inputs.device)

    @cached_property
    def length_prior(self) -> LengthPrior:
        found = usual(self.groups, self.listed, self.inputs)
        return found if self.sparsity is None else Sparse(self.sparsity, found)

    def own(self, lengthscales: Sequence[float]) -> list[float]:
        """The length scale of each group, of those of the columns."""
        return [lengthscales[self.groups.index(each)] for each in range(self.lengths)]

    def of_columns(self, lengths: Sequence[float] | Array) -> tuple[float, ...]:
        """The way back."""
        return tuple(float(lengths[each]) for each in self.groups)

    @property
    def unknown(self) -> Tensor:
        return torch.isnan(self.noise)


def covariance(kernel: str, square: Tensor) -> tuple[Tensor, Tensor]:
    """The kernel and its slope at squared distances of rows that were divided by their length scales."""
    if kernel == RBF:
        value = torch.exp(-0.5 * square)
        return value, -0.5 * value
    if kernel == MATERN12:
        root = square.sqrt()
        value = torch.exp(-root)
        # At a row itself there is no slope; it would be infinite.
        return value, torch.where(square > _NEAREST, -value / (2 * root), 0.0)
    if kernel == MATERN32:
        root = (3 * square).sqrt()
        decay = torch.exp(-root)
        return (1 + root) * decay, -1.5 * decay
    root = (5 * square).sqrt()
    decay = torch.exp(-root)
    return (1 + root + root.square() / 3) * decay, (-5 / 6) * (1 + root) * decay


def distances(left: Tensor, right: Tensor) -> Tensor:
    """Squared, between rows: (..., points, columns) and (..., others, columns) -> (..., points, others)."""
    square = left.square().sum(-1)[..., None] + right.square().sum(-1)[..., None, :] - 2 * left @ right.mT
    return square.clamp_min(_NEAREST)


def climb(task: Task, starts: Sequence[Peak | None], iterations: int = _ITERATIONS) -> Peak | None:
    """The highest peak reached from the starts (None: the priors' mode); None where there is none."""
    dimensions, fitted = task.lengths, bool(task.unknown.any())
    low = [math.log(1e-3)] * (dimensions + 1) + [-10.0] + [math.log(LEAST_NOISE)] * fitted
    high = [math.log(1e3)] * (dimensions + 1) + [10.0] + [math.log(10.0)] * fitted
    density = density_of(task)

    def fall(position: Array) -> tuple[float, Array]:
        found = density(torch.as_tensor(position, device=task.inputs.device))
        if found is None:
            return _IMPOSSIBLE, np.zeros_like(position)
        value, slope = found
        return -value, -slope.cpu().numpy()

    best: Peak | None = None
    for start in starts:
        if best is not None and hurry.spent():
            break
        answer = minimize(
            fall,
            np.clip(position_of(task, start), low, high),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)),
            options={"maxiter": iterations},
            callback=hurry.stop,
        )
        height = -float(answer.fun)
        if math.isfinite(height) and height > -_IMPOSSIBLE and (best is None or height > best.density):
            best = Peak(
                task.of_columns(np.exp(answer.x[:dimensions])),
                math.exp(answer.x[dimensions]),
                math.exp(answer.x[-1]) if fitted else math.nan,
                float(answer.x[dimensions + 1]),
                height,
            )
    return best


def position_of(task: Task, start: Peak | None) -> Array:
    """Where the climb begins; None: the priors' mode."""
    if start is None:
        lengths = task.length_prior.mode
        scale, mean, noise = 0.0, 0.0, NOISE_PRIOR[0]
    else:
        lengths = [math.log(each) for each in task.own(start.lengthscales)]
        scale, mean = math.log(start.outputscale), start.mean
        noise = math.log(start.noise) if start.noise > 0 else NOISE_PRIOR[0]
    return np.array([*lengths, scale, mean, *[noise] * bool(task.unknown.any())])


def density_of(task: Task) -> Callable[[Tensor], tuple[float, Tensor] | None]:
    """Log likelihood plus log priors (of the values themselves, the noise's of its logarithm) and its slope, as a function
    of (log length scales, log output scale, mean, log noise); None where the covariance is not positive definite."""
    inputs, targets, unknown = task.inputs, task.targets, task.unknown
    count, dimensions, index = len(inputs), task.lengths, task.index
    prior_of_lengths = task.length_prior
    fitted = bool(unknown.any())
    known = torch.where(unknown, torch.zeros_like(task.noise), task.noise)
    constant = -0.5 * count * math.log(2 * math.pi)
    apart = distances(inputs, inputs) if dimensions == 1 else None  # then length scales only stretch them
    shape, rate = task.scale_prior

    def density(position: Tensor) -> tuple[float, Tensor] | None:
        logs, log_scale, mean = position[:dimensions], position[dimensions], position[dimensions + 1]
        inverse_square = (-2 * logs).exp()
        if apart is None:
            scaled = inputs * inverse_square.sqrt()[index]
            kernel, bend = covariance(task.kernel, distances(scaled, scaled))
        else:
            kernel, bend = covariance(task.kernel, apart * inverse_square)
        scale = log_scale.exp()
        matrix = scale * kernel
        matrix.diagonal().copy_(scale + (known + unknown * position[-1].exp() if fitted else known))
        root, failed = torch.linalg.cholesky_ex(matrix)
        if int(failed):
            return None
        residual = (targets - mean)[:, None]
        weights = torch.cholesky_solve(residual, root)
        gain = 0.5 * (weights @ weights.T - torch.cholesky_inverse(root))
        likelihood = -0.5 * (residual * weights).sum() - root.diagonal().log().sum()
        pull = scale * gain * bend
        if apart is None:
            moved = 2 * (inputs.square() * pull.sum(0)[:, None]).sum(0) - 2 * (inputs * (pull @ inputs)).sum(
                0
            )
            moved = torch.zeros_like(logs).index_add_(0, index, moved)
        else:
            moved = (pull * apart).sum()[None]
        of_lengths, slope_of_lengths = prior_of_lengths(logs)
        slope = torch.empty_like(position)
        slope[:dimensions] = -2 * inverse_square * moved + slope_of_lengths
        slope[dimensions] = scale * (gain * kernel).sum() + (shape - 1) - rate * scale
        slope[dimensions + 1] = weights.sum()
        value = likelihood + constant + of_lengths + _other_priors(position, task)
        if fitted:
            slope[-1] = position[-1].exp() * gain.diagonal()[unknown].sum()
            slope[-1] -= (position[-1] - NOISE_PRIOR[0]) / NOISE_PRIOR[1] ** 2
        number = float(value)
        return (number, slope) if math.isfinite(number) else None

    return density


def log_prior(position: Tensor, task: Task) -> Tensor:
    """Of (log length scales, log output scale, mean, log noise where any is to be found); differentiable."""
    return task.length_prior(position[: task.lengths])[0] + _other_priors(position, task)


def _other_priors(position: Tensor, task: Task) -> Tensor:
    """Of the same without the length scales."""
    log_scale = position[task.lengths]
    shape, rate = task.scale_prior
    value = shape * math.log(rate) - math.lgamma(shape) + (shape - 1) * log_scale - rate * log_scale.exp()
    if len(position) == task.lengths + 2:
        return value
    return value + position[-1] + log_normal(position[-1], *NOISE_PRIOR)
