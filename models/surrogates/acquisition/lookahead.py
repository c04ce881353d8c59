"""The knowledge gradient: how much better the best expectation anywhere will be once this point is known."""

from __future__ import annotations

from typing import Any

import torch
from botorch.utils.safe_math import log_fatplus
from torch import Tensor

from models.surrogates import sobol

from .information import noise_of
from .situation import Situation

#: Outcomes that are looked at, and places of the space where the best may then be, beside the best rows.
_OUTCOMES = 32
_LOOKED_AT = 512
_PLACES = 40
_ROWS = 8
_LEAST_VARIANCE = 1e-10
_SMOOTH = 1e-4


def knowledge_gradient(situation: Situation) -> Any:
    """The log of the expected rise of the greatest expected score, over places of the space, the best rows and the
    point itself (Frazier et al. 2009, with outcomes drawn instead of integrated), in steps of the score.

    The expected score is taken to be the score of the expected outputs; where an outcome constraint is expected to
    be broken there is none.
    """
    members, places = list(situation.settled.models), _places(situation)
    above = sobol.normal(_OUTCOMES // 2, len(members), situation.seed).to(places)
    above = above / above.square().mean(dim=0).sqrt()
    outcomes = torch.cat([above, -above])  # with the right mean and variance: so few would miss both
    noises = [noise_of(each) for each in situation.surrogate.joint.models]
    with torch.no_grad():
        means = torch.stack([each.posterior(places).distribution.mean for each in members], dim=-1)
        least = situation.scalar(means).min()
        before = _expected(situation, means, least).max()

    def worth(inputs: Tensor) -> Tensor:
        now = torch.stack([each.posterior(inputs).distribution.mean for each in members], dim=-1)
        best_now = torch.maximum(before, _expected(situation, now, least).squeeze(-1))
        whole = torch.cat([places.expand(*inputs.shape[:-2], *places.shape), inputs], dim=-2)
        later = []
        for number, each in enumerate(members):
            known = each.posterior(whole).distribution
            covariance = known.covariance_matrix[..., -1]
            shift = covariance / (covariance[..., -1:] + noises[number]).clamp_min(_LEAST_VARIANCE).sqrt()
            later.append(known.mean + outcomes[:, number].view(-1, 1, 1) * shift)
        best = _expected(situation, torch.stack(later, dim=-1), least).max(dim=-1).values
        value: Tensor = log_fatplus((best - best_now).mean(dim=0), tau=_SMOOTH)
        return value

    return worth


def _places(situation: Situation) -> Tensor:
    """Where the expected score is greatest, and the best rows."""
    width = situation.measured.shape[-1]
    everywhere = sobol.uniform(_LOOKED_AT, width, situation.seed).to(situation.measured)
    order = situation.scores.argsort(descending=True, stable=True)[:_ROWS]
    with torch.no_grad():
        means = situation.settled.posterior(everywhere[:, None, :]).mean.squeeze(-2)
        best = situation.scalar(means).argsort(descending=True, stable=True)[:_PLACES]
    return torch.cat([everywhere[best], situation.measured[order]])


def _expected(situation: Situation, means: Tensor, least: Tensor) -> Tensor:
    """Means (..., points, outputs) -> scores (..., points); `least` where a constraint is expected to be broken."""
    scores = situation.scalar(means)
    for each in situation.constraints or ():
        scores = torch.where(each(means) <= 0, scores, torch.minimum(scores, least))
    return scores
