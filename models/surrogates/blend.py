"""Several models of one output as one Gaussian: the mean and covariance of their mixture.

A mixture's mean and covariance are exact; its shape is taken to be Gaussian, so that everything that works with a
Gaussian process (joint samples, pending points, cached roots) works with these.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from botorch.acquisition.objective import PosteriorTransform
from botorch.models.gp_regression import SingleTaskGP
from botorch.models.gpytorch import GPyTorchModel
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.constraints import GreaterThan
from gpytorch.distributions import MultivariateNormal
from gpytorch.likelihoods import GaussianLikelihood
from torch import Tensor

_LEAST_NOISE = 1e-6


class Gaussian(GPyTorchModel):
    """A model of one output that gives mean and covariance itself.

    noise   the variance of a measurement in standardised units, told by `likelihood.noise` as processes do
    jitter  added to variances in standardised units: members that agree would give a covariance that is singular
    """

    jitter = 1e-6
    _num_outputs = 1

    def __init__(self, noise: float) -> None:
        super().__init__()
        self.likelihood = GaussianLikelihood(noise_constraint=GreaterThan(_LEAST_NOISE / 2))
        self.likelihood.noise = max(noise, _LEAST_NOISE)
        self.likelihood.requires_grad_(False)

    @property
    def batch_shape(self) -> torch.Size:
        return torch.Size()

    @abstractmethod
    def moments(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (..., points) and covariance (..., points, points)."""

    def posterior(  # type: ignore[override]  # as BoTorch's own models do
        self,
        X: Tensor,  # BoTorch's names
        output_indices: list[int] | None = None,
        observation_noise: bool | Tensor = False,
        posterior_transform: PosteriorTransform | None = None,
    ) -> Any:
        mean, covariance = self.moments(X)
        diagonal = torch.full_like(mean, self.jitter)
        found = GPyTorchPosterior(MultivariateNormal(mean, covariance + torch.diag_embed(diagonal)))
        return found if posterior_transform is None else posterior_transform(posterior=found, X=X)


class Blend(Gaussian):
    """Processes of a batch (members, rows, columns), equally likely."""

    def __init__(self, members: SingleTaskGP) -> None:
        super().__init__(float(members.likelihood.noise.mean()))
        self.members = members

    def moments(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        posterior: Any = self.members.posterior(inputs.unsqueeze(-3))
        each = posterior.distribution
        between, apart = _between(each.mean, dim=-2)
        return between, each.covariance_matrix.mean(-3) + apart


class Spread(Gaussian):
    """Functions from rows (..., columns) to values (members, ...), equally likely."""

    def __init__(self, members: Callable[[Tensor], Tensor], noise: float) -> None:
        super().__init__(noise)
        self.members = members

    def moments(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return _between(self.members(inputs).movedim(0, -2), dim=-2)


class Moments(Gaussian):
    """A function that gives mean and covariance itself."""

    def __init__(
        self, function: Callable[[Tensor], tuple[Tensor, Tensor]], noise: float = _LEAST_NOISE
    ) -> None:
        super().__init__(noise)
        self.function = function

    def moments(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return self.function(inputs)


def _between(values: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Mean over the members (dimension -2) and the covariance of their values (..., members, points)."""
    mean = values.mean(dim)
    gap = values - mean.unsqueeze(dim)
    return mean, gap.mT @ gap / values.shape[dim]
