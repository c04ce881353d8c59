"""Log expected improvement of the score: over the best as it may be (log_nei), or as it was measured (log_ei).

What BoTorch's qLogNoisyExpectedImprovement and qLogExpectedImprovement give for one more point (Ament et al., arXiv
2310.20708), with less chance in it (see `drawn`): on Branin the regret after 30 experiments was a tenth.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from botorch.utils.safe_math import log_fatplus, logmeanexp
from torch import Tensor

from .drawn import Drawn
from .situation import Situation

#: Draws of what is not known, which the views of a surrogate share, and places of an output for each of them.
_DRAWS, _LEAST_DRAWS, _PLACES = 64, 16, 16
#: Below nothing an improvement has a tail, so that its logarithm has a slope.
_TAIL = 1e-6


def log_nei(situation: Situation) -> Callable[[Tensor], Tensor]:
    """In steps of the score; points in flight may turn out to be the best."""
    return _improvement(situation, situation.others(situation.baseline), None)


def log_ei(situation: Situation) -> Callable[[Tensor], Tensor]:
    """Over the best measured score, which is right where measurements have no noise, and over the points in flight."""
    return _improvement(situation, situation.pending, 0.0)


def _improvement(situation: Situation, others: Tensor, floor: float | None) -> Callable[[Tensor], Tensor]:
    """floor: a score that is reached already; None: the best of the others is all that counts."""
    drawn = Drawn.of(situation, others, _DRAWS, _LEAST_DRAWS, _PLACES)
    best = _best(situation, drawn.values, floor)[:, None, None]

    def worth(inputs: Tensor) -> Tensor:
        samples = drawn.at(inputs.squeeze(-2))
        value = log_fatplus(situation.scalar(samples) - best, tau=_TAIL)
        mean: Tensor = logmeanexp((value + situation.log_kept(samples)).flatten(0, 1), dim=0)
        return mean

    return worth


def _best(situation: Situation, values: Tensor, floor: float | None) -> Tensor:
    """Of each draw (draws, points, outputs) the best score that keeps every outcome constraint; where none does, one
    that any score exceeds."""
    scores = situation.scalar(values)
    if situation.constraints is not None:
        kept = torch.stack([each(values) <= 0 for each in situation.constraints]).all(dim=0)
        least = torch.cat([(situation.scores - situation.best) / situation.step, scores.reshape(-1)]).min()
        scores = torch.where(kept, scores, least - 1)
    if floor is not None:
        scores = torch.cat([scores, scores.new_full((len(scores), 1), floor)], dim=1)
    return scores.max(dim=1).values
