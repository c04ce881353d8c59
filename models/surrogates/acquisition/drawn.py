"""What one more point may give, with little chance in it.

Only what is not known of other points (the best rows, the points in flight) is drawn; given a draw, the new point's
outputs are taken at places that are spread evenly over what is still possible. With samples of all points at once the last
digits of an optimum drown.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from linear_operator.utils.cholesky import psd_safe_cholesky
from torch import Tensor

from models.surrogates import sobol
from models.surrogates.process import Beside, Conditioned

from .situation import Situation

#: Added to variances (standardised units), so that equal rows can be drawn.
_JITTER = 1e-8


@dataclass(frozen=True, eq=False)
class Drawn:
    """Standardised units. models: of each output; points: the others (points, columns).

    normal  what the draws are made of: (draws, outputs, points)
    steps   where the new point's outputs are taken, for each draw: (draws, places, 1, outputs)
    """

    models: tuple[Any, ...]
    points: Tensor
    normal: Tensor
    steps: Tensor

    @classmethod
    def of(cls, situation: Situation, points: Tensor, draws: int, least: int, places: int) -> Drawn:
        """`draws`, which the views of a surrogate share, but no fewer than `least`."""
        models = tuple(situation.model.models)
        draws = max(least, draws // len((situation.leader or situation).surrogate.views))
        wide = len(points) * len(models)
        normal = sobol.normal(draws, max(1, wide), situation.seed + situation.view)[:, :wide]
        shifts = sobol.uniform(draws, len(models), situation.seed + 1)[:, None, :]
        evenly = (sobol.uniform(places, len(models), situation.seed) + shifts).remainder(1)
        steps = torch.special.ndtri(evenly.clamp(1e-6, 1 - 1e-6))[:, :, None, :]
        return cls(
            models, points, normal.reshape(draws, len(models), len(points)).to(points), steps.to(points)
        )

    @cached_property
    def values(self) -> Tensor:
        """Of the others: (draws, points, outputs)."""
        return torch.stack([each.values for each in self._beside], dim=-1)

    def at(self, rows: Tensor) -> Tensor:
        """Rows (batch, columns), each alone beside the others: (draws, places, batch, outputs)."""
        means, variances = zip(*(each.given(rows) for each in self._beside), strict=True)
        spreads = torch.stack(variances, dim=-1).clamp_min(_JITTER).sqrt()
        return torch.stack(means, dim=-1)[:, None] + self.steps * spreads

    @cached_property
    def _beside(self) -> list[Beside | _Beside]:
        with torch.no_grad():
            return [
                (Beside if isinstance(each, Conditioned) else _Beside)(
                    each, self.points, self.normal[:, place]
                )
                for place, each in enumerate(self.models)
            ]


class _Beside:
    """As `process.Beside`, for any model that has a posterior."""

    def __init__(self, model: Any, points: Tensor, normal: Tensor) -> None:
        self._model, self._points, self._normal = model, points, normal
        if not len(points):
            self._root, self.values = points.new_zeros(0, 0), normal
            return
        known = model.posterior(points).distribution
        jitter = torch.full_like(known.mean, _JITTER)
        self._root = psd_safe_cholesky(known.covariance_matrix + torch.diag(jitter))
        self.values = known.mean + normal @ self._root.T

    def given(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        whole = torch.cat([self._points.expand(len(rows), *self._points.shape), rows[:, None, :]], dim=1)
        known = self._model.posterior(whole).distribution
        mean, own = known.mean[:, -1].expand(len(self._normal), -1), known.variance[:, -1]
        if not len(self._points):
            return mean, own
        cross = known.covariance_matrix[:, -1, :-1].T
        half = torch.linalg.solve_triangular(self._root, cross, upper=False)
        return mean + self._normal @ half, own - half.square().sum(0)
