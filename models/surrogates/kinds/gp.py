"""The exact Gaussian process: the map of the output and the kernel are chosen by evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.surrogates import gp
from models.surrogates.data import Data
from models.surrogates.gp import Hyper
from models.surrogates.likelihood import MATERN, RBF
from models.surrogates.values import LearningError
from models.surrogates.warps import candidates, refreshed

from .face import Fit, Foretold, Part

#: With more rows, maps and kernels are compared, and the search begins, on so many of them.
_COMPARED = 200


@dataclass(frozen=True)
class Exact:
    hyper: Hyper

    def to_json(self) -> dict[str, Any]:
        return self.hyper.to_json()

    def describe(self) -> dict[str, Any]:
        return {
            "warp": self.hyper.warp.kind,
            "kernel": self.hyper.kernel,
            "lengthscales": list(self.hyper.lengthscales),
            "noise": self.hyper.noise,
        }

    def part(self, data: Data, device: str) -> Part:
        return Part(gp.build(data, self.hyper, device), self.hyper.warp)

    def foretell(self, data: Data, seed: int, device: str) -> Foretold:
        return Foretold.of(data, self.hyper.warp, *gp.leave_one_out(gp.build(data, self.hyper, device)))


def fit(data: Data, warm: Fit | None, seed: int, device: str) -> Exact:
    if isinstance(warm, Exact):
        found = _onwards(data, warm.hyper, device)
        if found is not None and not _beaten(found, data, device):
            return Exact(found)
    if len(data) > _COMPARED:
        places = np.sort(np.random.default_rng(seed).choice(len(data), _COMPARED, replace=False))
        found = _onwards(data, _compared(data.take(places), device), device)
    else:
        found = _compared(data, device)
    if found is None:
        raise LearningError("The model could not be fitted to these rows.")
    return Exact(found)


def _compared(data: Data, device: str) -> Hyper | None:
    """The best map with the smoother kernel, then the better kernel with that map."""
    found = max((gp.fit(data, warp, RBF, None, device) for warp in candidates(data.values)), key=_evidence)
    if found is None:
        return None
    return max(found, gp.fit(data, found.warp, MATERN, None, device), key=_evidence)


def _onwards(data: Data, start: Hyper | None, device: str) -> Hyper | None:
    """The same map and kernel, searched from where an earlier fit ended."""
    if start is None:
        return None
    return gp.fit(data, refreshed(start.warp, data.values), start.kernel, start, device)


def _beaten(found: Hyper, data: Data, device: str) -> bool:
    """Does another map explain the rows better even with what was found for this one? A single value may end a
    map's use: one close to 0 that of the logarithm."""
    others = [warp for warp in candidates(data.values) if warp.kind != found.warp.kind]
    return any(gp.evidence(data, replace(found, warp=warp), device) > found.evidence for warp in others)


def read(body: Mapping[str, Any], width: int, classes: int) -> Exact:
    return Exact(Hyper.from_json(body, width))


def _evidence(found: Hyper | None) -> float:
    return -np.inf if found is None else found.evidence
