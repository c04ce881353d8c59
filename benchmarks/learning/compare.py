"""Two methods side by side over the same seeds: differences of log regret with bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from . import quality, runs

AHEAD, LEVEL, BEHIND = "ahead", "level", "behind"
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Comparison:
    """The first method beside the second: mean of log10(regret) differences over common seeds, 95 % interval."""

    seeds: int
    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """`ahead` or `behind` only where the whole interval is."""
        return AHEAD if self.high < 0 else BEHIND if self.low > 0 else LEVEL


def compare(first: Mapping[int, float], second: Mapping[int, float]) -> Comparison | None:
    """Regrets by seed. None without two seeds that both have."""
    common = sorted(first.keys() & second.keys())
    if len(common) < 2:
        return None
    return interval([math.log10(first[seed]) - math.log10(second[seed]) for seed in common])


def interval(differences: Sequence[float]) -> Comparison:
    """The percentile bootstrap of their mean, always from the same random numbers."""
    values = np.asarray(differences, dtype=np.float64)
    places = np.random.default_rng(0).integers(0, len(values), size=(_RESAMPLES, len(values)))
    low, high = np.percentile(values[places].mean(axis=1), [2.5, 97.5])
    return Comparison(len(values), float(values.mean()), float(low), float(high))


def current(found: Sequence[runs.Run], made: Mapping[str, str]) -> list[runs.Run]:
    """Of each method only the newest stamp, made with the present definitions (`made`: of each problem)."""
    newest = {run.method: run.stamp for run in found}
    return [
        run
        for run in found
        if run.stamp == newest[run.method] and run.made == made.get(run.problem, run.made)
    ]


def final(found: Sequence[runs.Run]) -> dict[tuple[str, str], dict[int, float]]:
    """The regret at the end of each run: (method, problem) -> seed -> regret."""
    regrets: dict[tuple[str, str], dict[int, float]] = {}
    for run in found:
        regrets.setdefault((run.method, run.problem), {})[run.seed] = quality.last(run.improved)
    return regrets
