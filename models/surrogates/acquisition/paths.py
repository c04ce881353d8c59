"""Thompson sampling: one function drawn from the posterior is taken at its word."""

from __future__ import annotations

from typing import Any

import torch
from botorch.models.model_list_gp_regression import ModelListGP
from botorch.sampling.pathwise import draw_matheron_paths
from botorch.utils.safe_math import log_fatplus
from torch import Tensor

from models.surrogates import sobol
from models.surrogates.pending import conditioned
from models.surrogates.process import Process

from .situation import Situation

#: Where a model has no paths, its values are drawn at this many points, and it follows them in between.
_ANCHORS = 96
_SMOOTH = 0.1


def thompson(situation: Situation) -> Any:
    """The log of how far the drawn function is above its own best at the measured rows. Another seed, another
    function: points in flight need no care. Draws from torch's global generator."""
    path = _path(situation)
    with torch.no_grad():
        samples = path(situation.measured[:, None, :])
        allowed = _kept(situation, samples)
        scores = situation.scalar(samples)[0, :, 0]
        best = scores[allowed].max() if bool(allowed.any()) else scores.min()

    def worth(inputs: Tensor) -> Tensor:
        drawn = path(inputs)
        above = situation.scalar(drawn)[0, :, 0] - best
        value: Tensor = log_fatplus(above, tau=_SMOOTH) + situation.log_chance(drawn)
        return value

    return worth


def _path(situation: Situation) -> Any:
    """A function of inputs (batch, 1, columns) -> (1, batch, 1, outputs), standardised units."""
    exact = [each for each in situation.surrogate.joint.models if isinstance(each, Process)]
    if len(exact) < len(situation.surrogate.outputs):  # only exact processes have paths
        return _anchored(situation)
    paths = draw_matheron_paths(ModelListGP(*(each.layered for each in exact)), sample_shape=torch.Size([1]))

    def drawn(inputs: Tensor) -> Tensor:
        found = paths(inputs.squeeze(-2))
        columns = found if isinstance(found, (list, tuple)) else [found]
        return torch.stack([each.reshape(1, -1) for each in columns], dim=-1).unsqueeze(-2)

    return drawn


def _anchored(situation: Situation) -> Any:
    model = situation.surrogate.joint
    width = situation.measured.shape[-1]
    anchors = sobol.uniform(_ANCHORS, width, situation.seed).to(situation.measured)
    with torch.no_grad():
        values = model.posterior(anchors).rsample(torch.Size([1]))[0]
    following = conditioned(model, anchors, values)

    def drawn(inputs: Tensor) -> Tensor:
        mean: Tensor = following.posterior(inputs).mean.unsqueeze(0)
        return mean

    return drawn


def _kept(situation: Situation, samples: Tensor) -> Tensor:
    """(rows,): does the drawn function keep every outcome constraint there?"""
    kept = torch.ones(samples.shape[1], dtype=torch.bool, device=samples.device)
    for each in situation.constraints or ():
        kept &= each(samples)[0, :, 0] <= 0
    return kept
