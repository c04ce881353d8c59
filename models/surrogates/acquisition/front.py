"""Log noisy expected hypervolume improvement: how much further a front is expected to reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from botorch.utils.multi_objective.box_decompositions.box_decomposition_list import BoxDecompositionList
from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
from botorch.utils.safe_math import logmeanexp
from torch import Tensor
from torch.nn.functional import softplus

from .drawn import Drawn
from .situation import Situation

#: A front of more objectives has too many boxes: it is scalarised instead, in another direction each time.
MOST_OBJECTIVES = 4

#: Draws of what is not known of the front, which the views of a surrogate share, and places of a point's outputs for each.
_DRAWS, _LEAST_DRAWS, _PLACES = 64, 16, 4
#: From three objectives on the boxes of a draw are many: of 300 rows of four objectives the draws of two took half a
#: minute. Each further objective leaves a quarter of the draws.
_SHARE = 4
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
    share = _SHARE ** max(0, len(situation.goals.problem.objectives) - 2)
    draws, least = _DRAWS // share, max(1, _LEAST_DRAWS // share)
    drawn = Drawn.of(situation, situation.others(situation.front_baseline), draws, least, _PLACES)
    lower, upper = _boxes(situation, drawn.values)
    taken = _of_two if lower.shape[-1] == 2 else _of_many

    def worth(inputs: Tensor) -> Tensor:
        samples = drawn.at(inputs.squeeze(-2))
        value = taken(situation.several(samples), lower, upper).clamp_min(_LEAST).log()
        mean: Tensor = logmeanexp((value + situation.log_kept(samples)).flatten(0, 1), dim=0)
        return mean

    return worth


def _of_many(values: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Values (draws, places, batch, objectives) -> what they take of the boxes together: (draws, places, batch)."""
    here = values.unsqueeze(-2)
    sides = (_rounded(here - lower) - _rounded(here - upper)).clamp_min(0.0)
    return sides.prod(dim=-1).sum(dim=-1)


def _of_two(values: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """The same, of boxes that stand side by side, each open above: they share their edges."""
    edges = torch.cat([lower[..., :1, 0], upper[..., 0]], dim=-1)
    wide = _rounded(values[..., :1] - edges)
    high = _rounded(values[..., 1:] - lower[..., 1])
    return ((wide[..., :-1] - wide[..., 1:]).clamp_min(0.0) * high).sum(dim=-1)


def _rounded(values: Tensor) -> Tensor:
    """What BoTorch's fatplus gives, in half as many passes."""
    tail = values.square().add_(_SMOOTH**2).reciprocal_()
    return torch.add(softplus(values, beta=1 / _SMOOTH), tail, alpha=0.1 * _SMOOTH**3)


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
