"""An exact Gaussian process conditioned on rows, its posterior written out.

The same numbers as BoTorch's SingleTaskGP. A search asks for the posterior hundreds of times, at a few points each, and
there most of the time goes into the layers around the arithmetic; and what all points of a search share (the best rows,
the points in flight) is worked out once for all of them (`Beside`).
"""

from __future__ import annotations

import warnings
from functools import cached_property

import torch
from botorch.models.gp_regression import SingleTaskGP
from gpytorch.kernels import Kernel, MaternKernel, RBFKernel, ScaleKernel
from linear_operator.utils.cholesky import psd_safe_cholesky
from torch import Tensor

from .blend import Gaussian
from .encoding import Array
from .likelihood import MATERN, MATERN12, MATERN32, RBF, covariance, distances

#: Added to variances (standardised units): at a row without noise there is none.
_JITTER = 1e-8
_SMOOTHNESS = {MATERN12: 0.5, MATERN32: 1.5, MATERN: 2.5}


class Conditioned(Gaussian):
    """A function with a stationary kernel, known through rows (which subclasses tie to it); standardised units.

    noise   the variance of a measurement
    own     which of the rows are measurements of this function
    shares  (rows, 1): how much of this function's covariance the row's has with it; None: each row measures it itself
    """

    jitter = _JITTER
    shares: Tensor | None = None

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
        self.scaled = inputs / self.lengths

    def _condition(self, matrix: Tensor, residual: Tensor) -> None:
        """On the rows: the covariance of their targets (rows, rows), noise included, and these less their means."""
        self.root = psd_safe_cholesky(matrix)
        self.weights = torch.cholesky_solve(residual[:, None], self.root)

    def cross(self, scaled: Tensor) -> Tensor:
        """Points (points, columns), divided by the length scales -> the covariance of each row's target without
        noise and the function there, (rows, points)."""
        found = self.prior(self.scaled, scaled)
        return found if self.shares is None else self.shares * found

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
        return mean.reshape(shape), self.prior(scaled, scaled) - half @ half.mT

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
        common = self.prior(shared_scaled, shared_scaled) - half.T @ half
        cross = self.prior(last_scaled, shared_scaled) - own_half.T @ half
        own = self.outputscale - own_half.square().sum(0)
        above = torch.cat([common.expand(several, points, points), cross[:, :, None]], dim=-1)
        below = torch.cat([cross, own[:, None]], dim=-1)[:, None, :]
        return torch.cat([mean.expand(several, points), own_mean[:, None]], dim=-1), torch.cat(
            [above, below], dim=-2
        )

    def _seen(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(points, columns): the mean (points,), and what the rows explain, whitened: (rows, points)."""
        cross = self.cross(rows / self.lengths)
        half = torch.linalg.solve_triangular(self.root, cross, upper=False)
        return self.mean + (cross.T @ self.weights)[:, 0], half

    def prior(self, left: Tensor, right: Tensor) -> Tensor:
        return self.outputscale * covariance(self.kernel, distances(left, right))[0]


class Beside:
    """Points (points, columns) of which draws are taken, and what is known of a further one, given each draw.

    Known rows and drawn points are whitened together, so that a further point takes one row of the kernel and one
    triangular solve.
    """

    def __init__(self, process: Conditioned, points: Tensor, normal: Tensor) -> None:
        """`normal` (draws, points): what the draws are made of."""
        scaled = points / process.lengths
        cross = process.cross(scaled)
        half = torch.linalg.solve_triangular(process.root, cross, upper=False)
        common = process.prior(scaled, scaled) - half.T @ half
        common.diagonal().add_(_JITTER)
        root = psd_safe_cholesky(common) if len(points) else common
        mean = process.mean + (cross.T @ process.weights)[:, 0]
        self.values = mean + normal @ root.T  #: (draws, points)
        self._process = process
        self._scaled = torch.cat([process.scaled, scaled])
        ones = cross.new_ones(len(points), 1)
        self._shares = None if process.shares is None else torch.cat([process.shares, ones])
        self._root = torch.cat([torch.cat([process.root, half * 0], 1), torch.cat([half.T, root], 1)])
        seen = (process.root.T @ process.weights)[:, 0]
        self._white = torch.cat([seen.expand(len(normal), -1), normal], dim=1)

    def given(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows (batch, columns) -> mean (draws, batch) and variance (batch,) of each, the others being as drawn."""
        process = self._process
        cross = process.prior(self._scaled, rows / process.lengths)
        cross = cross if self._shares is None else self._shares * cross
        half = torch.linalg.solve_triangular(self._root, cross, upper=False)
        return process.mean + self._white @ half, process.outputscale - half.square().sum(0)


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
        matrix = self.prior(self.scaled, self.scaled)
        matrix.diagonal().copy_(outputscale + noise)
        self._condition(matrix, targets - mean)

    @cached_property
    def layered(self) -> SingleTaskGP:
        """The same in BoTorch's own layers, for what looks into them."""
        columns = self.inputs.shape[1]
        base: Kernel = RBFKernel(ard_num_dims=columns)
        if self.kernel != RBF:
            base = MaternKernel(_SMOOTHNESS[self.kernel], ard_num_dims=columns)
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
