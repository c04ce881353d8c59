"""How good a model is: each row foretold by a model that had not seen it, compared with what came."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from .data import Data
from .encoding import Array
from .kinds.kind import Foretold
from .state import Found

#: Half widths of the central 50 % and 95 % of a normal distribution.
_HALF, _MOST = 0.67449, 1.95996
_LEAST_PROBABILITY = 1e-12


def quality(data: Data, found: Found, seed: int, device: str) -> dict[str, Any]:
    """Plain numbers of one output: how its rows were foretold, and what the fit found."""
    foretold = found.fit.foretell(data, seed, device)
    figures = of_labels(foretold, data) if isinstance(foretold, np.ndarray) else of_numbers(foretold, data)
    return {"kind": found.kind, "n": len(data), **figures, **found.fit.describe()}


def of_numbers(foretold: Foretold, data: Data) -> dict[str, float | None]:
    """rmse in lab units; r2 against the mean of all rows (None where they are all the same); nll: mean negative log
    density in lab units; coverage: the share inside the central 50 and 95 %; rank: Spearman's correlation."""
    error = foretold.lab - data.values
    gap = np.abs(foretold.z - foretold.mean) / np.sqrt(foretold.variance)
    density = -0.5 * (gap**2 + np.log(2 * np.pi * foretold.variance)) + np.log(foretold.slope)
    spread = float(np.var(data.values))
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "r2": 1 - float(np.mean(error**2)) / spread if spread > 0 else None,
        "nll": float(-np.mean(density)),
        "coverage50": float(np.mean(gap <= _HALF)),
        "coverage95": float(np.mean(gap <= _MOST)),
        "rank": _rank(foretold.lab, data.values),
    }


def of_labels(probabilities: Array, data: Data) -> dict[str, float]:
    """accuracy: the share whose label was the most likely one; nll: mean negative log probability of the label."""
    places = data.values.astype(int)
    own = probabilities[np.arange(len(places)), places]
    return {
        "accuracy": float(np.mean(probabilities.argmax(axis=1) == places)),
        "nll": float(-np.mean(np.log(np.maximum(own, _LEAST_PROBABILITY)))),
    }


def _rank(left: Array, right: Array) -> float | None:
    """None where one side is all the same."""
    if np.ptp(left) <= 0 or np.ptp(right) <= 0:
        return None
    value = float(spearmanr(left, right).statistic)
    return value if math.isfinite(value) else None
