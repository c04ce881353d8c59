"""Log noisy expected hypervolume improvement: how much further a front is expected to reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from botorch.utils.multi_objective.box_decompositions.box_decomposition_list import BoxDecompositionList
from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
from botorch.utils.safe_math import fatplus, logmeanexp
from torch import Tensor

from .drawn import Drawn
from .situation import Situation

#: A front of more objectives has too many boxes: it is scalarised instead, in another direction each time.
MOST_OBJECTIVES = 4

#: Draws of what is not known of the front, which the views of a surrogate share, and places of a point's outputs for each.
_DRAWS, _LEAST_DRAWS, _PLACES = 64, 16, 4
#: How far from a box's edge its sides are rounded, in units of the measured ranges.
_SMOOTH = 1e-4
_FAR = 1e6  # beyond every box that ends
_LEAST = 1e-200


def log_nehvi(situation: Situation) -> Callable[[Tensor], Tensor]:
    """In units of the measured ranges; points in flight are part of the front as they may come out (Daulton et al.,
    arXiv 2105.08195).

    For one more point it is the sum over the boxes beyond the front of what the point takes of each. With tails that
    fall no faster than a power there is a slope everywhere, and no logarithm is needed before the last one.
    """
    drawn = Drawn.of(situation, situation.others(situation.front_baseline), _DRAWS, _LEAST_DRAWS, _PLACES)
    lower, upper = _boxes(situation, drawn.values)

    def worth(inputs: Tensor) -> Tensor:
        samples = drawn.at(inputs.squeeze(-2))
        values = situation.several(samples).unsqueeze(-2)  # (draws, places, batch, 1, objectives)
        inside = fatplus(values - lower, tau=_SMOOTH)
        sides = (inside - fatplus(values - upper, tau=_SMOOTH)).clamp_min(0.0)
        value = sides.prod(dim=-1).sum(dim=-1).clamp_min(_LEAST).log()
        mean: Tensor = logmeanexp((value + situation.log_kept(samples)).flatten(0, 1), dim=0)
        return mean

    return worth


def _boxes(situation: Situation, drawn: Tensor) -> tuple[Any, Any]:
    """The space beyond the front of each draw (draws, points, outputs) in boxes: their lower and upper corners, each
    (draws, 1, 1, boxes, objectives)."""
    values, reference = situation.several(drawn), situation.reference
    if situation.constraints is not None:
        kept = torch.stack([each(drawn) <= 0 for each in situation.constraints]).all(dim=0)
        values = torch.where(kept[..., None], values, reference - 1)
    if values.shape[-1] == 2:
        found = FastNondominatedPartitioning(reference, values).get_hypercell_bounds()
    else:
        parts = (FastNondominatedPartitioning(reference, each) for each in values)
        found = BoxDecompositionList(*parts).get_hypercell_bounds()
    lower, upper = found[:, :, None, None]
    return lower, upper.clamp_max(_FAR)
