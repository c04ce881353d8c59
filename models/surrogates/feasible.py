"""The chance that conditions can be run at all, from rows that could and rows that could not."""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Labels +1 and -1, a Matern-5/2 process whose mean is +1 where nothing is known.
_LENGTH = 0.25
_NOISE = 0.05


class Feasibility:
    """No hyperparameters are fitted: a lab sees few infeasible conditions, and one is enough to keep away from it."""

    def __init__(self, good: Tensor, bad: Tensor) -> None:
        self._inputs = torch.cat([good, bad])
        self._length = _LENGTH * math.sqrt(self._inputs.shape[-1])
        labels = torch.cat([torch.zeros(len(good)), torch.full((len(bad),), -2.0)]).to(self._inputs)
        noise = _NOISE * torch.eye(len(labels)).to(self._inputs)
        self._root = torch.linalg.cholesky(self._kernel(self._inputs) + noise)
        self._weights = torch.cholesky_solve(labels[:, None], self._root)

    def log_probability(self, inputs: Tensor) -> Tensor:
        """For rows (..., columns); differentiable."""
        flat = inputs.reshape(-1, inputs.shape[-1])
        cross = self._kernel(flat)
        mean = 1 + (cross @ self._weights).squeeze(-1)
        half = torch.linalg.solve_triangular(self._root, cross.T, upper=False)
        variance = (1 - half.square().sum(0)).clamp_min(0) + _NOISE
        value: Tensor = torch.special.log_ndtr(mean / variance.sqrt())
        return value.reshape(inputs.shape[:-1])

    def likely_impossible(self, inputs: Tensor) -> Tensor:
        """For rows (..., columns): is a run likelier to be impossible than not?"""
        return self.log_probability(inputs) < math.log(0.5)

    def _kernel(self, inputs: Tensor) -> Tensor:
        gap = (inputs[:, None, :] - self._inputs).square().sum(-1).clamp_min(1e-24).sqrt()
        scaled = math.sqrt(5) * gap / self._length
        kernel: Tensor = (1 + scaled + scaled.square() / 3) * torch.exp(-scaled)
        return kernel
