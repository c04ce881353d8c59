"""Monotone maps that make an output's distribution easier for a Gaussian process, and the way back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import yeojohnson_normmax
from torch import Tensor

from .encoding import Array
from .values import LearningError

IDENTITY, LOG, POWER = "identity", "log", "power"

#: Model space is clipped this many standard deviations beyond the data before the way back: exp() runs away.
_REACH = 6.0


@dataclass(frozen=True)
class Warp:
    """lab -> standardised model space: z = (w((y - center) / spread) - mean) / scale.

    kind    identity; log of y itself (positive outputs only); power: Yeo-Johnson with exponent `power` in [0, 2]
    low, high   the reach of the data in z, for the way back
    """

    kind: str
    center: float
    spread: float
    power: float
    mean: float
    scale: float
    low: float
    high: float

    def forward(self, values: Array) -> Array:
        return np.asarray((self._bend((values - self.center) / self.spread) - self.mean) / self.scale)

    def slope(self, values: Array) -> Array:
        """dz/dy."""
        x = (values - self.center) / self.spread
        if self.kind == LOG:
            bend = 1 / np.maximum(x, _SMALL)
        elif self.kind == POWER:
            bend = np.where(
                x >= 0,
                (np.maximum(x, 0) + 1) ** (self.power - 1),
                (1 - np.minimum(x, 0)) ** (1 - self.power),
            )
        else:
            bend = np.ones_like(x)
        return np.asarray(bend / (self.spread * self.scale))

    def back(self, z: Tensor) -> Tensor:
        """Differentiable way back to lab units."""
        x = z * self.scale + self.mean
        if self.kind != IDENTITY:
            x = z.clamp(self.low - _REACH, self.high + _REACH) * self.scale + self.mean
        if self.kind == LOG:
            x = x.exp()
        elif self.kind == POWER:
            # Both branches are one function of |x|; near an exponent of 0 it goes over into exp.
            own = x.new_tensor([self.power, 2 - self.power]).clamp_min(_LEAST_POWER)
            power = torch.where(x >= 0, own[0], own[1])
            x = x.sign() * torch.expm1(torch.log1p(x.abs() * power) / power)
        return x * self.spread + self.center

    def lab(self, z: Array) -> Array:
        """The way back of an array."""
        return np.asarray(self.back(torch.as_tensor(z)).numpy())

    def _bend(self, x: Array) -> Array:
        if self.kind == LOG:
            return np.asarray(np.log(np.maximum(x, _SMALL)))
        if self.kind == POWER:
            p, up, down = self.power, np.maximum(x, 0), -np.minimum(x, 0)
            rise = np.log1p(up) if p < _EDGE else ((up + 1) ** p - 1) / p
            fall = np.log1p(down) if p > 2 - _EDGE else ((down + 1) ** (2 - p) - 1) / (2 - p)
            return np.where(x >= 0, rise, -fall)
        return x

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Warp:
        """Raises LearningError where the state was not written by this program."""
        try:
            warp = cls(str(body["kind"]), *(float(body[name]) for name in _NUMBERS))
        except (KeyError, TypeError, ValueError) as error:
            raise LearningError("The model state has no usable output transform.") from error
        numbers = [getattr(warp, name) for name in _NUMBERS]
        sound = warp.kind in (IDENTITY, LOG, POWER) and all(map(math.isfinite, numbers))
        if not sound or warp.spread <= 0 or warp.scale <= 0:
            raise LearningError("The model state has no usable output transform.")
        return warp


_NUMBERS = ("center", "spread", "power", "mean", "scale", "low", "high")
_SMALL = 1e-12
_ROUNDING = 1e-14  # of a value: what differs by less is the same number
_STRAY, _LEAST_SPREAD = 6.0, 0.1  # times the middle half's width on a log scale
_GAP = math.log(1e3)  # between neighbours, where it is also wider than all others together
_EDGE = 1e-6
_LEAST_POWER = 1e-9


def candidates(values: Array) -> list[Warp]:
    """The maps worth comparing for these values, the plainest first."""
    found = [_standardised(IDENTITY, values, 0.0, 1.0, 1.0)]
    if len(values) < 3 or np.ptp(values) <= 0:
        return found
    if values.min() > 0 and _even(np.log(values)):
        found.append(_standardised(LOG, values, 0.0, float(np.median(values)), 1.0))
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    spread = float(high - low) or float(np.std(values))
    power = float(np.clip(yeojohnson_normmax((values - middle) / spread), 0.0, 2.0))
    found.append(_standardised(POWER, values, float(middle), spread, power))
    return found


def _even(logs: Array) -> bool:
    """Is no value far from all others on a log scale, nor a group of them? Those next to 0 (a solver's 1e-17 for 0) would
    be all that counts there: the density of a value in lab units grows without bound as it nears 0."""
    low, middle, high = np.quantile(logs, [0.25, 0.5, 0.75])
    reach = _STRAY * max(float(high - low), _LEAST_SPREAD)
    gap = float(np.diff(np.sort(logs)).max())
    apart = gap > max(_GAP, float(np.ptp(logs)) - gap)
    return bool(middle - logs.min() <= reach) and not apart


def refreshed(warp: Warp, values: Array) -> Warp:
    """The same kind of map, standardised for these values."""
    return next((each for each in candidates(values) if each.kind == warp.kind), candidates(values)[0])


def _standardised(kind: str, values: Array, center: float, spread: float, power: float) -> Warp:
    raw = Warp(kind, center, spread, power, 0.0, 1.0, 0.0, 0.0).forward(values)
    mean = float(np.mean(raw))
    scale = float(np.std(raw, ddof=1)) if len(raw) > 1 else 0.0
    scale = scale if scale > _ROUNDING * float(np.abs(raw).max()) else 1.0
    return Warp(
        kind,
        center,
        spread,
        power,
        mean,
        scale,
        float((raw.min() - mean) / scale),
        float((raw.max() - mean) / scale),
    )
