"""Log noisy expected hypervolume improvement: how much further a front is expected to reach."""

from __future__ import annotations

from typing import Any

from botorch.acquisition.multi_objective import logei
from botorch.utils.objective import compute_smoothed_feasibility_indicator
from botorch.utils.safe_math import fatplus, logmeanexp
from torch import Tensor

from .situation import Situation

#: A front of more objectives has too many boxes: it is scalarised instead, in another direction each time.
MOST_OBJECTIVES = 4

#: How far from a box's edge its sides are rounded, in units of the measured ranges.
_SMOOTH = 1e-4
_FAR = 1e6  # beyond every box that ends
_LEAST = 1e-200

# BoTorch would compile C++ at the first use: a wait of half a minute, and figures that depend on whether there is a
# compiler.
logei._load_attempted = True


def log_nehvi(situation: Situation) -> Any:
    """In units of the measured ranges; points in flight are part of the front as they may come out."""
    incumbents = situation.incumbents(situation.front_baseline)
    return _OfPoint(
        model=situation.model,
        ref_point=situation.reference,
        X_baseline=incumbents,
        sampler=situation.sampler(incumbents),
        objective=situation.front,
        constraints=situation.constraints,
        X_pending=situation.flying,
        prune_baseline=False,
    )


class _OfPoint(logei.qLogNoisyExpectedHypervolumeImprovement):
    """The same for single points only: the sum over the boxes beyond the front of what a point takes of each. With
    tails that fall no faster than a power there is a gradient everywhere, and no logarithm is needed before the last
    one, which makes it several times as fast."""

    def _compute_log_qehvi(self, samples: Tensor, X: Tensor | None = None) -> Tensor:
        own: Any = self  # whose attributes torch takes to be tensors or modules
        values = own.objective(samples, X=X)  # (samples, batch, 1, objectives)
        lower, upper = own.cell_lower_bounds.unsqueeze(1), own.cell_upper_bounds.unsqueeze(1)
        inside = fatplus(values - lower, tau=_SMOOTH)
        sides = (inside - fatplus(values - upper.clamp_max(_FAR), tau=_SMOOTH)).clamp_min(0.0)
        volume = sides.prod(dim=-1).sum(dim=-1).clamp_min(_LEAST).log()
        if self.constraints is not None:
            volume = volume + compute_smoothed_feasibility_indicator(
                self.constraints, samples, eta=1e-3, log=True, fat=True
            ).squeeze(-1)
        expected: Tensor = logmeanexp(volume, dim=0)
        return expected
