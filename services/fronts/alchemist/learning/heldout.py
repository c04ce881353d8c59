"""Measured values and what the model foretells of each without it: what the plots of a model's quality draw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from services.fronts.alchemist.visit import Visit

from .asking import answer


@dataclass(frozen=True)
class HeldOut:
    """Of one target, in the order in which the rows came; `sd` of a prediction of the measured value."""

    true: tuple[float, ...]
    predicted: tuple[float, ...]
    sd: tuple[float, ...]

    @property
    def scores(self) -> list[float]:
        """Residuals in standard deviations."""
        return [
            (true - told) / sd if sd > 0 else 0.0
            for true, told, sd in zip(self.true, self.predicted, self.sd, strict=True)
        ]

    @property
    def spread(self) -> float:
        """Standard deviation of the scores: 1 where the model is as sure as it may be."""
        scores = self.scores
        middle = fmean(scores)
        return math.sqrt(fmean((each - middle) ** 2 for each in scores))

    def calibrated(self) -> HeldOut:
        """With spreads that make the scores' standard deviation 1."""
        factor = self.spread
        return self if factor == 0 else replace(self, sd=tuple(factor * each for each in self.sd))

    def metrics(self) -> dict[str, float]:
        """rmse, mae, r2 and mape (per cent); what these rows do not give is left out."""
        errors = [true - told for true, told in zip(self.true, self.predicted, strict=True)]
        found = {"rmse": math.sqrt(fmean(each**2 for each in errors)), "mae": fmean(map(abs, errors))}
        middle = fmean(self.true)
        variance = fmean((each - middle) ** 2 for each in self.true)
        if variance > 0:
            found["r2"] = 1 - found["rmse"] ** 2 / variance
        shares = [abs(error / true) for error, true in zip(errors, self.true, strict=True) if true]
        if shares:
            found["mape"] = 100 * fmean(shares)
        return {name: value for name, value in found.items() if math.isfinite(value)}


async def held_out(visit: Visit, session_id: str, sizes: list[int]) -> dict[str, list[HeldOut]]:
    """By target: of all rows, then of the first so many each. The session must have a model. Raises Refusal (400)."""
    found = await answer(visit, session_id, "validate", {"sizes": sizes})
    outputs: Mapping[str, Any] = found["outputs"]
    return {
        name: [HeldOut(*(tuple(each[word]) for word in ("observed", "predicted", "sd"))) for each in pieces]
        for name, pieces in outputs.items()
    }
