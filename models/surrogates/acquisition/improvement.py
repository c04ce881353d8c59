"""Log expected improvement of the score: over the best as it may be (log_nei), or as it was measured (log_ei)."""

from __future__ import annotations

from typing import Any

from botorch.acquisition.logei import qLogExpectedImprovement, qLogNoisyExpectedImprovement
from torch import Tensor

from .situation import Situation


def log_nei(situation: Situation) -> Any:
    """In steps of the score; points in flight may turn out to be the best (Ament et al., arXiv 2310.20708)."""
    incumbents = situation.incumbents(situation.baseline)
    return qLogNoisyExpectedImprovement(
        model=situation.model,
        X_baseline=incumbents,
        sampler=situation.sampler(incumbents),
        objective=situation.objective,
        X_pending=situation.flying,
        constraints=situation.constraints,
        prune_baseline=False,
    )


def log_ei(situation: Situation) -> Any:
    """Over the best measured score, which is right where measurements have no noise, and over the points in flight."""
    given = {
        "model": situation.model,
        "sampler": situation.sampler(situation.measured[:0]),
        "objective": situation.objective,
        "constraints": situation.constraints,
    }
    if not len(situation.pending):
        return qLogExpectedImprovement(best_f=0.0, **given)
    return _OverMeasured(X_baseline=situation.pending, prune_baseline=False, **given)


class _OverMeasured(qLogNoisyExpectedImprovement):
    """The baseline is what is in flight; the best measured score, 0 by its scale, is certain."""

    def compute_best_f(self, obj: Tensor) -> Tensor:
        best: Tensor = super().compute_best_f(obj)
        return best.clamp_min(0.0)
