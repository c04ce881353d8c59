"""How much a point is worth measuring next: log noisy expected improvement of the score, times feasibility."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.objective import GenericMCObjective
from botorch.sampling.normal import IIDNormalSampler, SobolQMCNormalSampler
from torch import Tensor

from .encoding import Array
from .surrogate import Surrogate

_SAMPLES = 128
#: Sobol sequences end at this many dimensions; so many baseline points are never left after pruning.
_SOBOL_LIMIT = 20_000

#: The feasibility model: labels +1 and -1, a Matern-5/2 process whose mean is +1 where nothing is known.
_FEASIBLE_LENGTH = 0.25
_FEASIBLE_NOISE = 0.05


class Feasibility:
    """The probability that a point of the cube can be run, from rows that could and rows that could not.

    No hyperparameters are fitted: a lab sees few infeasible conditions, and one is enough to keep away from it.
    """

    def __init__(self, good: Tensor, bad: Tensor) -> None:
        self._inputs = torch.cat([good, bad])
        self._length = _FEASIBLE_LENGTH * math.sqrt(self._inputs.shape[-1])
        labels = torch.cat([torch.zeros(len(good)), torch.full((len(bad),), -2.0)]).to(self._inputs)
        noise = _FEASIBLE_NOISE * torch.eye(len(labels)).to(self._inputs)
        self._root = torch.linalg.cholesky(self._kernel(self._inputs) + noise)
        self._weights = torch.cholesky_solve(labels[:, None], self._root)

    def log_probability(self, inputs: Tensor) -> Tensor:
        """For rows (..., columns); differentiable."""
        flat = inputs.reshape(-1, inputs.shape[-1])
        cross = self._kernel(flat)
        mean = 1 + (cross @ self._weights).squeeze(-1)
        half = torch.linalg.solve_triangular(self._root, cross.T, upper=False)
        variance = (1 - half.square().sum(0)).clamp_min(0) + _FEASIBLE_NOISE
        value: Tensor = torch.special.log_ndtr(mean / variance.sqrt())
        return value.reshape(inputs.shape[:-1])

    def _kernel(self, inputs: Tensor) -> Tensor:
        gap = (inputs[:, None, :] - self._inputs).square().sum(-1).clamp_min(1e-24).sqrt()
        scaled = math.sqrt(5) * gap / self._length
        kernel: Tensor = (1 + scaled + scaled.square() / 3) * torch.exp(-scaled)
        return kernel


class Worth(AcquisitionFunction):
    """Log expected improvement plus log probability of feasibility, for single points; counts its calls."""

    def __init__(self, improvement: Any, feasibility: Feasibility | None) -> None:
        super().__init__(model=improvement.model)
        self._improvement = improvement
        self._feasibility = feasibility
        self.evaluations = 0

    def forward(self, X: Tensor) -> Tensor:  # BoTorch's name
        """(batch, 1, columns) -> (batch)."""
        self.evaluations += 1
        value: Tensor = self._improvement(X)
        if self._feasibility is not None:
            value = value + self._feasibility.log_probability(X).sum(-1)
        return value

    def add_pending(self, inputs: Tensor) -> None:
        """From here on the points (rows of the cube) count as being measured."""
        self._improvement.set_X_pending(inputs)


def worth(
    surrogate: Surrogate,
    measured: Array,
    infeasible: Array,
    scores: Sequence[float],
    pending: Array,
    seed: int,
) -> Worth:
    """`measured` rows have `scores`; `pending` rows are in flight. All are rows of the cube.

    The global torch generator must be seeded by the caller: pruning the baseline draws from it.
    """
    best, scale = _unit(np.asarray(scores, dtype=np.float64))

    def objective(samples: Tensor, X: Tensor | None = None) -> Tensor:
        return (surrogate.score(samples) - best) / scale

    wide = (len(measured) + len(pending) + 1) * len(surrogate.outputs) > _SOBOL_LIMIT
    sampler = (IIDNormalSampler if wide else SobolQMCNormalSampler)(torch.Size([_SAMPLES]), seed=seed)
    improvement = qLogNoisyExpectedImprovement(
        model=surrogate.joint,
        X_baseline=surrogate.tensor(measured),
        sampler=sampler,
        objective=GenericMCObjective(objective),
        X_pending=surrogate.tensor(pending) if len(pending) else None,
        prune_baseline=True,
    )
    feasibility = (
        Feasibility(surrogate.tensor(measured), surrogate.tensor(infeasible)) if len(infeasible) else None
    )
    return Worth(improvement, feasibility)


def _unit(scores: Array) -> tuple[float, float]:
    """The best score and a typical step among the better half, so that tolerances of the search mean the same."""
    best = float(scores.max())
    better = scores[scores >= np.median(scores)]
    scale = float(np.std(better)) or float(np.std(scores)) or max(abs(best), 1.0)
    return best, scale
