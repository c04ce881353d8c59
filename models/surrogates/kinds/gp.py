"""The exact Gaussian process: the map of the output and the kernel are chosen by evidence, several where it leaves
them open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.surrogates import gp
from models.surrogates.data import Data
from models.surrogates.gp import Hyper
from models.surrogates.values import LearningError
from models.surrogates.warps import candidates, refreshed

from .kind import Fit, Foretold, Part

#: With more rows, maps and kernels are compared, and the search begins, on so many of them.
_COMPARED = 200
#: Maps and kernels are as good as the best where their evidence is within so many nats of its, but no more than so many:
#: with few rows the evidence says little, and a choice that all of them like is a safer one.
APART, KEPT = 3.0, 4


@dataclass(frozen=True)
class Exact:
    """Fits that explain the rows nearly as well, the best first."""

    hypers: tuple[Hyper, ...]

    @property
    def hyper(self) -> Hyper:
        return self.hypers[0]

    def to_json(self) -> dict[str, Any]:
        return {"fits": [each.to_json() for each in self.hypers]}

    def describe(self) -> dict[str, Any]:
        return describe(self.hyper)

    def part(self, data: Data, device: str) -> Part:
        first, *others = (Part(gp.build(data, each, device), each.warp) for each in self.hypers)
        return replace(first, others=tuple(others))

    def foretell(self, data: Data, seed: int, device: str) -> Foretold:
        return Foretold.of(data, self.hyper.warp, *gp.build(data, self.hyper, device).leave_one_out())


def describe(hyper: Hyper) -> dict[str, Any]:
    return {
        "warp": hyper.warp.kind,
        "kernel": hyper.kernel,
        "lengthscales": list(hyper.lengthscales),
        "noise": hyper.noise,
    }


def fit(data: Data, warm: Fit | None, seed: int, device: str) -> Exact:
    if isinstance(warm, Exact):
        found = _near([_onwards(data, each, device) for each in warm.hypers if each.kernel in data.kernels])
        if found and not _beaten(found[0], data, device):
            return Exact(found)
    if len(data) > _COMPARED:
        places = np.sort(np.random.default_rng(seed).choice(len(data), _COMPARED, replace=False))
        firsts = _near(_compared(data.take(places), device))
        found = _near([_onwards(data, each, device) for each in firsts[:1]])
    else:
        found = _near(_compared(data, device))
    if not found:
        raise LearningError("The model could not be fitted to these rows.")
    return Exact(found)


def _compared(data: Data, device: str) -> list[Hyper | None]:
    """Every map with every kernel."""
    maps = candidates(data.values)
    return [gp.fit(data, warp, kernel, None, device) for warp in maps for kernel in data.kernels]


def _near(found: Iterable[Hyper | None]) -> tuple[Hyper, ...]:
    """The best and those that the evidence does not set far apart from it, the best first."""
    sound = sorted((each for each in found if each is not None), key=lambda each: -each.evidence)
    return tuple(each for each in sound[:KEPT] if each.evidence >= sound[0].evidence - APART)


def _onwards(data: Data, start: Hyper, device: str) -> Hyper | None:
    """The same map and kernel, searched from where an earlier fit ended."""
    return gp.fit(data, refreshed(start.warp, data.values), start.kernel, start, device)


def _beaten(found: Hyper, data: Data, device: str) -> bool:
    """Does another map explain the rows better even with what was found for this one? A single value may end a
    map's use: one close to 0 that of the logarithm."""
    others = [warp for warp in candidates(data.values) if warp.kind != found.warp.kind]
    return any(gp.evidence(data, replace(found, warp=warp), device) > found.evidence for warp in others)


def read(body: Mapping[str, Any], width: int, classes: int) -> Exact:
    """As `Kind.read`."""
    hypers = tuple(Hyper.from_json(each, width) for each in body["fits"])
    if not 0 < len(hypers) <= KEPT:
        raise LearningError("The model state holds numbers that no fit gives.")
    return Exact(hypers)
