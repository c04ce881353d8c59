"""One Gaussian process over several outputs: intrinsic coregionalisation.

The covariance of output i at x and output j at x' is B[i, j] k(x, x') (Bonilla et al., NIPS 2007), and each output has
a mean and a noise of its own. BoTorch's MultiTaskGP has only correlations that are not negative, and a noise that is
known for all rows or for none; so the density and the posterior are written out, as for one output.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.distributions import Gamma, Normal

from . import hurry
from .data import Data, tensor
from .encoding import Array
from .gp import known_noise
from .likelihood import KERNELS, LEAST_NOISE, NOISE_PRIOR, Task, covariance, distances
from .process import Conditioned
from .values import LearningError
from .warps import Warp

#: Of the correlations (LKJ): below 1 the extremes would be likelier than independence, above it the less likely.
_LKJ = 2.0
#: A correlation of 0.999.
_TIGHTEST = 30.0
_ITERATIONS = 200
_IMPOSSIBLE = 1e10


@dataclass(frozen=True)
class Coregion:
    """What a fit found. One number for each output, in their order: `scales` and `noises` are variances in its
    standardised units (noise: of the rows whose own is not known). `bonds` are the correlations, in a form in which
    every number is allowed: `factor` makes them. `evidence` is as that of `gp.Hyper`."""

    warps: tuple[Warp, ...]
    kernel: str
    lengthscales: tuple[float, ...]
    scales: tuple[float, ...]
    bonds: tuple[float, ...]
    means: tuple[float, ...]
    noises: tuple[float, ...]
    evidence: float

    @cached_property
    def correlations(self) -> Array:
        """(outputs, outputs)"""
        root = factor(torch.tensor(self.bonds, dtype=torch.double), len(self.warps))
        return np.asarray((root @ root.T).numpy())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any], width: int, count: int) -> Coregion:
        """Raises LearningError, ValueError, KeyError or TypeError where no fit of so many outputs wrote this."""
        numbers = {
            name: tuple(float(each) for each in body[name])
            for name in ("lengthscales", "scales", "bonds", "means", "noises")
        }
        warps = tuple(Warp.from_json(each) for each in body["warps"])
        found = cls(warps=warps, kernel=str(body["kernel"]), evidence=float(body["evidence"]), **numbers)
        positive = (*found.lengthscales, *found.scales, *found.noises)
        every = (*positive, *found.bonds, *found.means, found.evidence)
        sound = all(map(math.isfinite, every)) and min(positive, default=0.0) > 0
        if not sound or found.kernel not in KERNELS or max(map(abs, found.bonds), default=0) > _TIGHTEST:
            raise LearningError("The model state holds numbers that no fit gives.")
        sizes = [len(each) for each in (warps, found.scales, found.means, found.noises)]
        bonds = count * (count - 1) // 2
        if sizes != [count] * 4 or (len(found.lengthscales), len(found.bonds)) != (width, bonds):
            raise LearningError("The model state belongs to another problem.")
        return found


class Related(Conditioned):
    """One output of the joint process: `place` says which. The rows are those of all outputs."""

    def __init__(self, family: Family, hyper: Coregion, place: int) -> None:
        task, of = family.task, family.of
        noises = task.noise.new_tensor(hyper.noises)[of]
        noise = torch.where(task.unknown, noises, task.noise)
        before = int((of < place).sum())
        own = slice(before, before + int((of == place).sum()))
        scale, mean = hyper.scales[place], hyper.means[place]
        common = float(noise[own].mean())
        super().__init__(
            hyper.kernel, task.inputs, task.targets, hyper.lengthscales, scale, mean, common, own
        )
        spreads = np.sqrt(hyper.scales)
        between = tensor(hyper.correlations * np.outer(spreads, spreads), task.inputs.device.type)
        self.shares = between[of, place][:, None] / scale
        matrix = between[of][:, of] * covariance(hyper.kernel, distances(self.scaled, self.scaled))[0]
        matrix.diagonal().copy_(between.diagonal()[of] + noise)
        self._condition(matrix, task.targets - task.targets.new_tensor(hyper.means)[of])


@dataclass(frozen=True)
class Family:
    """The rows of all outputs, one output after the other; `of` (rows,) is the place of each row's output."""

    task: Task
    of: Tensor
    count: int

    @classmethod
    def make(cls, family: Sequence[Data], warps: Sequence[Warp], kernel: str, device: str) -> Family:
        pairs = list(zip(family, warps, strict=True))
        task = Task(
            kernel,
            tensor(np.concatenate([each.inputs for each in family]), device),
            tensor(np.concatenate([warp.forward(each.values) for each, warp in pairs]), device),
            tensor(np.concatenate([known_noise(each, warp) for each, warp in pairs]), device),
            family[0].groups,
            None,
            family[0].listed,
        )
        of = np.repeat(np.arange(len(family)), [len(each) for each in family])
        return cls(task, torch.as_tensor(of, device=device), len(family))

    @property
    def sizes(self) -> list[int]:
        """How a position is laid out: log length scales, log scales, bonds, means, log noises."""
        count = self.count
        return [self.task.lengths, count, count * (count - 1) // 2, count, count]

    def bounds(self) -> list[tuple[float, float]]:
        small = (math.log(1e-3), math.log(1e3))
        noise = (math.log(LEAST_NOISE), math.log(10.0))
        each = (small, small, (-_TIGHTEST, _TIGHTEST), (-10.0, 10.0), noise)
        return [bound for bound, size in zip(each, self.sizes, strict=True) for _ in range(size)]

    def position(self, start: Coregion) -> Array:
        return np.concatenate(
            [
                np.log(self.task.own(start.lengthscales)),
                np.log(start.scales),
                start.bonds,
                start.means,
                np.log(start.noises),
            ]
        )

    def density(self, position: Tensor) -> tuple[float, Tensor] | None:
        """Log likelihood plus log priors and its slope along the position; None where the covariance is not positive
        definite. The priors are those of `likelihood`."""
        position = position.detach().requires_grad_()
        logs, log_scales, bonds, means, log_noises = torch.split(position, self.sizes)
        task, of = self.task, self.of
        lengths, scales, noises = logs.exp(), log_scales.exp(), log_noises.exp()
        root = factor(bonds, self.count)
        spreads = scales.sqrt()
        between = root @ root.T * spreads[:, None] * spreads
        scaled = task.inputs / lengths[task.index]
        kernel = covariance(task.kernel, distances(scaled, scaled))[0]
        noise = torch.where(task.unknown, noises[of], task.noise)
        matrix = between[of][:, of] * kernel + noise.diag()
        mean = means[of]
        prior = (
            task.length_prior(logs)[0]
            + _log(Gamma, *task.scale_prior, scales)
            + _log(Normal, *NOISE_PRIOR, log_noises[self._noisy])
            + 2 * (_LKJ - 1) * root.diagonal().log().sum()
            - _volume(self.count)
        )
        with torch.no_grad():
            lower, failed = torch.linalg.cholesky_ex(matrix)
            if int(failed):
                return None
            residual = (task.targets - mean)[:, None]
            weights = torch.cholesky_solve(residual, lower)
            gain = 0.5 * (weights @ weights.T - torch.cholesky_inverse(lower))
            value = -0.5 * (residual * weights).sum() - lower.diagonal().log().sum() + prior
            number = float(value) - 0.5 * len(of) * math.log(2 * math.pi)
        # What has the density's slope: that along the covariance is known, and needs no way back through the factor.
        (slope,) = torch.autograd.grad((gain * matrix).sum() + (weights[:, 0] * mean).sum() + prior, position)
        return (number, slope) if math.isfinite(number) else None

    @cached_property
    def _noisy(self) -> Tensor:
        """(outputs,): has it rows whose noise is to be found?"""
        return torch.bincount(self.of, self.task.unknown.double(), self.count) > 0


def fit(family: Sequence[Data], kernel: str, starts: Sequence[Coregion], device: str) -> Coregion | None:
    """The hyperparameters of the greatest posterior density reached from the starts, which say how each output is
    mapped (all in the same way); None where there are none."""
    warps = starts[0].warps
    rows = Family.make(family, warps, kernel, device)

    def fall(position: Array) -> tuple[float, Array]:
        found = rows.density(torch.as_tensor(position, device=device))
        if found is None:
            return _IMPOSSIBLE, np.zeros_like(position)
        return -found[0], -found[1].cpu().numpy()

    bounds = rows.bounds()
    low, high = np.array(bounds).T
    answers = [
        minimize(
            fall,
            np.clip(rows.position(start), low, high),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": _ITERATIONS},
            callback=hurry.stop,
        )
        for start in starts
    ]
    best = min(answers, key=lambda each: float(each.fun))
    if not math.isfinite(best.fun) or best.fun >= _IMPOSSIBLE:
        return None
    logs, log_scales, bonds, means, log_noises = np.split(best.x, np.cumsum(rows.sizes)[:-1])
    slopes = sum(
        float(np.log(warp.slope(each.values)).sum()) for each, warp in zip(family, warps, strict=True)
    )
    return Coregion(
        warps=tuple(warps),
        kernel=kernel,
        lengthscales=rows.task.of_columns(np.exp(logs)),
        scales=tuple(np.exp(log_scales).tolist()),
        bonds=tuple(bonds.tolist()),
        means=tuple(means.tolist()),
        noises=tuple(np.exp(log_noises).tolist()),
        evidence=slopes - float(best.fun),
    )


def build(family: Sequence[Data], hyper: Coregion, place: int, device: str) -> Related:
    """The process of one output conditioned on the rows of all, ready to predict in its standardised units."""
    return Related(Family.make(family, hyper.warps, hyper.kernel, device), hyper, place)


def factor(bonds: Tensor, count: int) -> Tensor:
    """The lower Cholesky factor of a correlation matrix: below the diagonal the bonds, on it ones, and each row
    divided by its length."""
    below = torch.tril_indices(count, count, -1, device=bonds.device)
    root = torch.eye(count).to(bonds).index_put((below[0], below[1]), bonds)
    return root / root.square().sum(-1, keepdim=True).sqrt()


def bonds_of(correlations: Array) -> Array:
    """The way back, of a correlation matrix that is positive definite."""
    root = np.linalg.cholesky(correlations)
    return np.asarray((root / root.diagonal()[:, None])[np.tril_indices(len(root), -1)])


def _log(prior: type[Gamma | Normal], one: Tensor | float, other: Tensor | float, values: Tensor) -> Tensor:
    """The log density of all values together, of a distribution with these two parameters."""
    known = prior(torch.as_tensor(one).to(values), torch.as_tensor(other).to(values), validate_args=False)
    found: Tensor = known.log_prob(values).sum()  # type: ignore[no-untyped-call]
    return found


def _volume(count: int) -> float:
    """The log of the integral of det(R)^(_LKJ - 1) over the correlation matrices (Lewandowski et al., 2009)."""
    free = count - 1
    top = torch.mvlgamma(torch.tensor(_LKJ + (free - 1) / 2, dtype=torch.double), free) if free else 0.0
    return 0.5 * free * math.log(math.pi) + float(top) - free * math.lgamma(_LKJ + free / 2)
