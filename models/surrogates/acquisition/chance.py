"""By chance: no model is asked."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from models.surrogates.feasible import Feasibility

from .situation import Situation

RANDOM = "random"
#: So little that what is staged is never worth giving up for what is drawn.
_SIZE = 1e-6


def random(situation: Situation) -> Any:
    """Noise, another for each row that is asked about: the greatest of them is any point."""
    generator = torch.Generator().manual_seed(situation.seed)

    def worth(inputs: Tensor) -> Tensor:
        drawn = torch.rand(inputs.shape[0], generator=generator, dtype=torch.double)
        return _SIZE * drawn.to(inputs) + 0.0 * inputs.sum(dim=(-2, -1))

    return worth


def avoiding(function: Any, feasibility: Feasibility) -> Any:
    """The same, but below everything else where a run is likelier to be impossible than not."""

    def worth(inputs: Tensor) -> Tensor:
        value: Tensor = function(inputs) - feasibility.likely_impossible(inputs.squeeze(-2)).to(inputs)
        return value

    return worth
