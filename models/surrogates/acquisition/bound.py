"""The upper confidence bound: how good a point may be, optimistically."""

from __future__ import annotations

import math
from typing import Any

from botorch.utils.safe_math import log_fatplus
from torch import Tensor

from .situation import Situation

#: Below the best so far by this many steps the bound is smoothed into a tail, so that its logarithm exists.
_SMOOTH = 0.1


def ucb(situation: Situation) -> Any:
    """The log of how far the bound is above the best so far, in steps of the score: the bound's own maximizer.

    The bound is mean + sqrt(beta * pi / 2) * mean absolute deviation of samples, which for a normal score is mean +
    sqrt(beta) * sd (Wilson et al., arXiv 1712.00424), and holds for scores that are not normal.
    """
    sampler, width = situation.sampler(situation.measured[:0]), math.sqrt(situation.beta * math.pi / 2)
    model = situation.settled

    def bound(inputs: Tensor) -> Tensor:
        samples = sampler(model.posterior(inputs))
        scores = situation.scalar(samples).squeeze(-1)
        mean = scores.mean(dim=0)
        optimistic = mean + width * (scores - mean).abs().mean(dim=0)
        value: Tensor = log_fatplus(optimistic, tau=_SMOOTH) + situation.log_chance(samples)
        return value

    return bound
