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
        columns = [
            mean + self.normal[:, place] @ root.T
            for place, (mean, root) in enumerate(zip(self._means, self._roots, strict=True))
        ]
        return torch.stack(columns, dim=-1)

    def at(self, rows: Tensor) -> Tensor:
        """Rows (batch, columns), each alone beside the others: (draws, places, batch, outputs)."""
        whole = torch.cat([self.points.expand(len(rows), *self.points.shape), rows[:, None, :]], dim=1)
        means, spreads = [], []
        for place, each in enumerate(self.models):
            known = each.posterior(whole).distribution
            mean, own = known.mean[:, -1].expand(len(self.normal), -1), known.variance[:, -1]
            if len(self.points):
                cross = known.covariance_matrix[:, -1, :-1].T
                half = torch.linalg.solve_triangular(self._roots[place], cross, upper=False)
                mean, own = mean + self.normal[:, place] @ half, own - half.square().sum(0)
            means.append(mean)
            spreads.append(own.clamp_min(_JITTER).sqrt())
        return torch.stack(means, dim=-1)[:, None] + self.steps * torch.stack(spreads, dim=-1)

    @cached_property
    def _known(self) -> list[tuple[Tensor, Tensor]]:
        found = []
        for each in self.models:
            if not len(self.points):
                found.append((self.points.new_zeros(0), self.points.new_zeros(0, 0)))
                continue
            with torch.no_grad():
                known = each.posterior(self.points).distribution
                jitter = torch.full_like(known.mean, _JITTER)
                found.append((known.mean, psd_safe_cholesky(known.covariance_matrix + torch.diag(jitter))))
        return found

    @property
    def _means(self) -> list[Tensor]:
        return [mean for mean, _ in self._known]

    @property
    def _roots(self) -> list[Tensor]:
        return [root for _, root in self._known]
