"""An exact Gaussian process conditioned on rows, its posterior written out.

The same numbers as BoTorch's SingleTaskGP. A search asks for the posterior hundreds of times, at a few points each, and
there most of the time goes into the layers around the arithmetic; and what all points of a search share (the best rows,
the points in flight) is worked out once for all of them here.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from functools import cached_property

import torch
from botorch.models.gp_regression import SingleTaskGP
from gpytorch.kernels import MaternKernel, RBFKernel, ScaleKernel
from linear_operator.utils.cholesky import psd_safe_cholesky
from torch import Tensor

from .blend import Gaussian
from .encoding import Array
from .likelihood import RBF, covariance, distances

#: Added to variances (standardised units): at a row without noise there is none.
_JITTER = 1e-8


class Conditioned(Gaussian):
    """A function with a stationary kernel, known through rows (which subclasses tie to it); standardised units.

    noise   the variance of a measurement
    own     which of the rows are measurements of this function
    """

    jitter = _JITTER

    def __init__(
        self,
        kernel: str,
        inputs: Tensor,
        targets: Tensor,
        lengthscales: tuple[float, ...],
        outputscale: float,
        mean: float,
        noise: float,
        own: slice,
    ) -> None:
        super().__init__(noise)
        self.inputs, self.targets, self.own = inputs, targets, own
        self.kernel, self.outputscale, self.mean = kernel, outputscale, mean
        self.lengths = torch.tensor(lengthscales).to(inputs)
        self._scaled = inputs / self.lengths

    def _condition(self, matrix: Tensor, residual: Tensor) -> None:
        """On the rows: the covariance of their targets (rows, rows), noise included, and these less their means."""
        self.root = psd_safe_cholesky(matrix)
        self.weights = torch.cholesky_solve(residual[:, None], self.root)

    @abstractmethod
    def _cross(self, scaled: Tensor) -> Tensor:
        """Points (points, columns), divided by the length scales -> the covariance of each row's target without
        noise and the function there, (rows, points)."""

    def moments(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Of a batch (several, points, columns) all but the last point are taken to be constants where they are the
        same in all of it: there is no slope along them."""
        if inputs.dim() == 3 and len(inputs) > 1 and inputs.shape[1] > 1:
            first = inputs[:1, :-1].detach()
            if bool((inputs[:, :-1] == first).all()):
                return self._beside(first[0], inputs[:, -1])
        rows = inputs.reshape(-1, inputs.shape[-1])
        mean, half = self._seen(rows)
        shape = inputs.shape[:-1]
        half = half.T.reshape(*shape, len(self.inputs))
        scaled = inputs / self.lengths
        return mean.reshape(shape), self._prior(scaled, scaled) - half @ half.mT

    def leave_one_out(self) -> tuple[Array, Array]:
        """Mean and variance (own rows,) that each row would be predicted with, had it not been measured; its noise is
        included. Sundararajan and Keerthi, Neural Computation 13 (2001)."""
        spread = 1 / torch.cholesky_inverse(self.root).diagonal()[self.own]
        mean = self.targets[self.own] - self.weights[self.own, 0] * spread
        return mean.cpu().numpy(), spread.cpu().numpy()

    def _beside(self, shared: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Rows that are shared (points, columns), and beside them one other at a time (several, columns)."""
        several, points = len(last), len(shared)
        mean, half = self._seen(shared)
        own_mean, own_half = self._seen(last)
        shared_scaled, last_scaled = shared / self.lengths, last / self.lengths
        common = self._prior(shared_scaled, shared_scaled) - half.T @ half
        cross = self._prior(last_scaled, shared_scaled) - own_half.T @ half
        own = self.outputscale - own_half.square().sum(0)
        above = torch.cat([common.expand(several, points, points), cross[:, :, None]], dim=-1)
        below = torch.cat([cross, own[:, None]], dim=-1)[:, None, :]
        return torch.cat([mean.expand(several, points), own_mean[:, None]], dim=-1), torch.cat(
            [above, below], dim=-2
        )

    def _seen(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(points, columns): the mean (points,), and what the rows explain, whitened: (rows, points)."""
        cross = self._cross(rows / self.lengths)
        half = torch.linalg.solve_triangular(self.root, cross, upper=False)
        return self.mean + (cross.T @ self.weights)[:, 0], half

    def _prior(self, left: Tensor, right: Tensor) -> Tensor:
        return self.outputscale * covariance(self.kernel, distances(left, right))[0]


class Process(Conditioned):
    """inputs (rows, columns), targets (rows,) and the variance of each target's noise; standardised units."""

    def __init__(
        self,
        kernel: str,
        inputs: Tensor,
        targets: Tensor,
        noise: Tensor,
        lengthscales: tuple[float, ...],
        outputscale: float,
        mean: float,
    ) -> None:
        common = float(noise.mean())
        super().__init__(kernel, inputs, targets, lengthscales, outputscale, mean, common, slice(None))
        self.noise = noise
        matrix = self._prior(self._scaled, self._scaled)
        matrix.diagonal().copy_(outputscale + noise)
        self._condition(matrix, targets - mean)

    def _cross(self, scaled: Tensor) -> Tensor:
        return self._prior(self._scaled, scaled)

    @cached_property
    def layered(self) -> SingleTaskGP:
        """The same in BoTorch's own layers, for what looks into them."""
        columns = self.inputs.shape[1]
        base = (
            RBFKernel(ard_num_dims=columns) if self.kernel == RBF else MaternKernel(2.5, ard_num_dims=columns)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BoTorch asks for inputs within [0, 1]: actual values may differ
            model = SingleTaskGP(
                self.inputs,
                self.targets[:, None],
                train_Yvar=self.noise[:, None],
                covar_module=ScaleKernel(base),
                outcome_transform=None,
            )
        model = model.to(self.inputs)
        base.lengthscale = self.lengths[None]
        model.covar_module.outputscale = self.outputscale
        model.mean_module.constant.data.fill_(self.mean)
        model.eval()
        return model
