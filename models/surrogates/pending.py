"""What is believed of points in flight, where their outcome is not averaged over.

`posterior`: each comes out as expected, so that only its uncertainty is gone (kriging believer).
`pessimistic`: each comes out a standard deviation worse than expected, in the direction that is worse for the goal.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from labqueue.problem import LEARN, MAXIMIZE, MINIMIZE, Problem
from labqueue.strategy import PESSIMISTIC

from .blend import Moments
from .goals import Goals
from .surrogate import Joint, Surrogate

#: Added to the variances of what is believed (standardised units): two beliefs about one point are no contradiction.
_JITTER = 1e-5


def believed(surrogate: Surrogate, goals: Goals, pending: Tensor, policy: str) -> Any:
    """The joint model conditioned on what is believed at `pending` (points, columns)."""
    with torch.no_grad():
        posterior = surrogate.joint.posterior(pending)
        mean, spread = posterior.mean, posterior.variance.clamp_min(0).sqrt()
        values = mean
        if policy == PESSIMISTIC:
            lab = surrogate.lab(mean)
            signs = [_worse(goals.problem, name, lab[:, place]) for place, name in enumerate(goals.outputs)]
            values = mean + spread * torch.stack(signs, dim=-1)
    return conditioned(surrogate.joint, pending, values)


def conditioned(joint: Any, inputs: Tensor, values: Tensor) -> Any:
    """The model had it seen `values` (points, outputs; standardised units) at `inputs` (points, columns)."""
    parts = [_part(each, inputs, values[:, place]) for place, each in enumerate(joint.models)]
    return Joint(*parts)


def _part(part: Any, seen: Tensor, values: Tensor) -> Moments:
    count = len(seen)
    with torch.no_grad():
        known = part.posterior(seen).distribution
        covariance = known.covariance_matrix
        root = torch.linalg.cholesky(covariance + _JITTER * torch.eye(count).to(covariance))
        weights = torch.cholesky_solve((values - known.mean)[:, None], root).squeeze(-1)

    def moments(inputs: Tensor) -> tuple[Tensor, Tensor]:
        both = torch.cat([seen.expand(*inputs.shape[:-2], *seen.shape), inputs], dim=-2)
        prior = part.posterior(both).distribution
        whole = prior.covariance_matrix
        cross = whole[..., count:, :count]
        half = torch.linalg.solve_triangular(root, cross.mT, upper=False)
        mean = prior.mean[..., count:] + cross @ weights
        return mean, whole[..., count:, count:] - half.mT @ half

    return Moments(moments)


def _worse(problem: Problem, output: str, lab: Tensor) -> Tensor:
    """-1, 0 or 1 for each expected value (points,): the direction in which the output gets worse."""
    for objective in problem.objectives:
        if objective.output != output or objective.goal == LEARN:
            continue
        if objective.goal in (MAXIMIZE, MINIMIZE):
            return torch.full_like(lab, -1.0 if objective.goal == MAXIMIZE else 1.0)
        low, high = objective.low, objective.high
        middle = objective.target if low is None or high is None else (low + high) / 2
        return torch.where(lab >= lab.new_tensor(middle), 1.0, -1.0).to(lab)
    for limit in problem.outcome_constraints:
        if limit.output == output:
            return torch.full_like(lab, 1.0 if limit.operator == "<=" else -1.0)
    return torch.zeros_like(lab)
