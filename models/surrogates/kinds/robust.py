"""An exact process for data with gross errors: rows that no smooth function explains are set aside.

They are found by relevance pursuit (Ament et al., arXiv 2410.24222): a variance of its own for each suspect
row, ever more suspects, and of these steps the one that the evidence supports best. (BoTorch's
RobustRelevancePursuitSingleTaskGP finds the same rows, twenty times slower: it fits the variances numerically, here they
have their closed form.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from models.surrogates import gp
from models.surrogates.data import Data, Mask, tensor
from models.surrogates.encoding import Array
from models.surrogates.gp import Hyper
from models.surrogates.likelihood import MATERN
from models.surrogates.packing import pack, unpack
from models.surrogates.values import LearningError
from models.surrogates.warps import IDENTITY, Warp

from . import gp as exact
from .gp import Exact
from .kind import Fit, Foretold, Part

#: Shares of the rows that may be set aside; the evidence chooses.
_SHARES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
#: What setting a row aside costs in log evidence: one row in twenty is expected to be wrong.
_COST = math.log(20)
#: With more rows the pursuit is made on so many of them.
_PURSUED = 200
_FEWEST = 6
#: Standard deviations from what the others foretell: from here on a row is set aside.
_FAR = 6.0
#: Median deviations from the median: what is further out is no further out for the pursuit.
_WILD = 30.0


@dataclass(frozen=True)
class Robust:
    """exact: fitted without the rows set aside, which are kept as (inputs, value) in a row each."""

    exact: Exact
    aside: Array

    def to_json(self) -> dict[str, Any]:
        return {"exact": self.exact.to_json(), "aside": pack(self.aside, "<f8")}

    def describe(self) -> dict[str, Any]:
        return {**self.exact.describe(), "set_aside": len(self.aside)}

    def part(self, data: Data, device: str) -> Part:
        return self.exact.part(data.take(self.kept(data)), device)

    def foretell(self, data: Data, seed: int, device: str) -> Foretold:
        mean, variance = _foretold(self.exact.hyper, data, self.kept(data), device)
        return Foretold.of(data, self.exact.hyper.warp, mean, variance)

    def kept(self, data: Data) -> Mask:
        """A mask of the rows that are not set aside."""
        rows = np.column_stack([data.inputs, data.values])
        return np.asarray(~(rows[:, None, :] == self.aside[None]).all(axis=-1).any(axis=-1))


def fit(data: Data, warm: Fit | None, seed: int, device: str) -> Robust:
    aside = np.zeros(len(data), dtype=bool)
    if len(data) >= _FEWEST:
        aside = _suspects(data, device) if len(data) <= _PURSUED else _of_many(data, seed, device)
    start = warm.exact if isinstance(warm, Robust) else None
    rows = np.column_stack([data.inputs, data.values])
    return Robust(exact.fit(data.take(~aside), start, seed, device), rows[aside])


def read(body: Mapping[str, Any], width: int, classes: int) -> Robust:
    return Robust(exact.read(body["exact"], width, classes), unpack(body["aside"], (None, width + 1), "<f8"))


def _of_many(data: Data, seed: int, device: str) -> Mask:
    """The pursuit on some rows, then all others that lie far from what those foretell."""
    some = np.zeros(len(data), dtype=bool)
    some[np.random.default_rng(seed).choice(len(data), _PURSUED, replace=False)] = True
    aside = np.zeros(len(data), dtype=bool)
    aside[some] = _suspects(data.take(some), device)
    found = exact.fit(data.take(some & ~aside), None, seed, device)
    return np.asarray(np.where(some, aside, _far(data, found.hyper, some & ~aside, device)))


def _foretold(hyper: Hyper, data: Data, kept: Mask, device: str) -> tuple[Array, Array]:
    """Of every row: by the other rows kept (standardised, with the noise of a measurement)."""
    own = data.take(kept)
    model = gp.build(own, hyper, device)
    mean, variance = np.zeros((2, len(data)))
    mean[kept], variance[kept] = model.leave_one_out()
    if not kept.all():
        others = data.take(~kept)
        with torch.no_grad():
            posterior = model.posterior(tensor(others.inputs, device)[:, None, :])
        mean[~kept] = posterior.mean.reshape(-1).cpu().numpy()
        variance[~kept] = posterior.variance.reshape(-1).cpu().numpy() + gp.noise_of(others, hyper)
    return mean, variance


def _suspects(data: Data, device: str) -> Mask:
    """A mask of the rows that deserve a variance of their own."""
    warp, hyper = _plain(data.values), None
    data = replace(data, values=warp.lab(warp.forward(data.values).clip(-_WILD, _WILD)))
    aside = np.zeros(len(data), dtype=bool)
    best: tuple[float, Mask, Hyper] | None = None
    for count in sorted({math.ceil(share * len(data)) for share in _SHARES}):
        if hyper is not None:
            aside = _farthest(data, hyper, aside, count, device)
        found = gp.fit(data.take(~aside), warp, MATERN, hyper, device)
        if found is None:
            continue
        hyper = found
        evidence = hyper.evidence - _COST * count + _own_density(data, hyper, aside, device)
        if best is None or evidence > best[0]:
            best = evidence, aside, hyper
    if best is None:
        raise LearningError("The model could not be fitted to these rows.")
    _, aside, hyper = best
    return aside & _far(data, hyper, ~aside, device)


def _far(data: Data, hyper: Hyper, kept: Mask, device: str) -> Mask:
    """A mask of the rows that the rows kept do not foretell."""
    mean, variance = _foretold(hyper, data, kept, device)
    return np.asarray(np.abs(hyper.warp.forward(data.values) - mean) > _FAR * np.sqrt(variance))


def _farthest(data: Data, hyper: Hyper, aside: Mask, count: int, device: str) -> Mask:
    """A mask of the `count` rows that lie farthest from what the rows kept so far foretell."""
    mean, variance = _foretold(hyper, data, ~aside, device)
    gap = np.abs(hyper.warp.forward(data.values) - mean) / np.sqrt(variance)
    found = np.zeros(len(data), dtype=bool)
    found[np.argsort(-gap, kind="stable")[:count]] = True
    return found


def _own_density(data: Data, hyper: Hyper, aside: Mask, device: str) -> float:
    """Log density of the rows set aside, each with the variance that suits it best: its squared distance."""
    mean, variance = _foretold(hyper, data, ~aside, device)
    square = np.maximum((hyper.warp.forward(data.values) - mean) ** 2, variance)[aside]
    slopes = np.log(hyper.warp.slope(data.values))[aside]
    return float((slopes - 0.5 * (1 + np.log(2 * np.pi * square))).sum())


def _plain(values: Array) -> Warp:
    """Standardised by figures that gross errors do not move."""
    middle = float(np.median(values))
    scale = 1.4826 * float(np.median(np.abs(values - middle))) or float(np.std(values)) or 1.0
    low, high = float(values.min() - middle) / scale, float(values.max() - middle) / scale
    return Warp(IDENTITY, 0.0, 1.0, 1.0, middle, scale, low, high)
