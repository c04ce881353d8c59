"""Numbers of thousands of rows by inducing points, and classes by a variational bound.

A class has a latent process of its own (two classes share one), seen through a logistic function; the bound of Jaakkola
and Jordan (2000; the same as Polya-Gamma augmentation, Wenzel et al. AAAI 2019) makes each label a Gaussian
pseudo-value with a noise, so that what fits numbers fits classes: bound and process are improved in turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.surrogates import gp, inducing, sobol
from models.surrogates.blend import Moments
from models.surrogates.data import Data, tensor
from models.surrogates.encoding import Array
from models.surrogates.gp import Hyper
from models.surrogates.inducing import Sparse
from models.surrogates.likelihood import LEAST_NOISE, MATERN, Peak, Task, climb
from models.surrogates.packing import pack, unpack
from models.surrogates.values import LearningError
from models.surrogates.warps import refreshed

from . import gp as exact
from .folds import held_out
from .kind import Fit, Foretold, Labels, Part

_POINTS = 256
#: Hyperparameters are first found on so many rows, then polished on all for so many steps.
_FIRST, _POLISHED = 400, 15
#: Latent values are modelled over this: the logit of a probability is within a few units.
_LOGIT = 3.0
_ROUNDS, _SETTLED, _CLIMBED = 4, 12, 30
_DRAWS = 64


@dataclass(frozen=True)
class Numbers:
    hyper: Hyper
    points: Array

    def to_json(self) -> dict[str, Any]:
        return {"hyper": self.hyper.to_json(), "points": pack(self.points, "<f8")}

    def describe(self) -> dict[str, Any]:
        return {**exact.describe(self.hyper), "inducing": len(self.points)}

    def part(self, data: Data, device: str) -> Part:
        return Part(Moments(self._posterior(data, device), self.hyper.noise), self.hyper.warp)

    def foretell(self, data: Data, seed: int, device: str) -> Foretold:
        def foretold(seen: Data, others: Data) -> Array:
            with torch.no_grad():
                mean, variance = self._posterior(seen, device)(tensor(others.inputs, device)[:, None, :])
            noisy = variance.reshape(-1).cpu().numpy() + gp.noise_of(others, self.hyper)
            return np.column_stack([mean.reshape(-1).cpu().numpy(), noisy])

        found = held_out(data, foretold)
        return Foretold.of(data, self.hyper.warp, found[:, 0], found[:, 1])

    def _posterior(self, data: Data, device: str) -> Sparse:
        task = gp.task(data, self.hyper.warp, self.hyper.kernel, device)
        return Sparse(task, tensor(self.points, device), self.hyper.peak)


@dataclass(frozen=True)
class Classes:
    """A process a class, or one of the second class where there are two."""

    peaks: tuple[Peak, ...]
    classes: int
    points: Array

    def to_json(self) -> dict[str, Any]:
        rows = [[*each.lengthscales, each.outputscale, each.mean] for each in self.peaks]
        return {"peaks": pack(np.array(rows), "<f8"), "points": pack(self.points, "<f8")}

    def describe(self) -> dict[str, Any]:
        return {"kernel": MATERN, "classes": self.classes, "inducing": len(self.points)}

    def part(self, data: Data, device: str) -> Labels:
        return Latents(_settled(data, self.peaks, self.points, device), self.classes)

    def foretell(self, data: Data, seed: int, device: str) -> Array:
        def foretold(seen: Data, others: Data) -> Array:
            part = self.part(seen, device)
            with torch.no_grad():
                return part.draws(tensor(others.inputs, device)).mean(0).cpu().numpy()

        return held_out(data, foretold)


@dataclass(frozen=True)
class Latents:
    """Probabilities from the latent processes' posteriors."""

    processes: tuple[Sparse, ...]
    classes: int
    smooth: bool = True

    def draws(self, inputs: Tensor) -> Tensor:
        found = [each(inputs.unsqueeze(-2)) for each in self.processes]
        mean = torch.stack([each[0].squeeze(-1) for each in found], dim=-1)
        spread = torch.stack([each[1][..., 0, 0].clamp_min(0).sqrt() for each in found], dim=-1)
        steps = self._steps.to(mean).reshape(_DRAWS, *[1] * (mean.dim() - 1), len(self.processes))
        shares = torch.sigmoid(_LOGIT * (mean + steps * spread))
        if self.classes == 2:
            return torch.cat([1 - shares, shares], dim=-1)
        return shares / shares.sum(-1, keepdim=True).clamp_min(1e-12)

    @cached_property
    def _steps(self) -> Tensor:
        return sobol.normal(_DRAWS, len(self.processes), seed=0)


def fit(data: Data, warm: Fit | None, seed: int, device: str) -> Numbers | Classes:
    return _fit_classes(data, warm, seed, device) if data.classes else _fit_numbers(data, warm, seed, device)


def read(body: Mapping[str, Any], width: int, classes: int) -> Numbers | Classes:
    points = unpack(body["points"], (None, width), "<f8")
    if not classes:
        return Numbers(Hyper.from_json(body["hyper"], width), points)
    rows = unpack(body["peaks"], (1 if classes == 2 else classes, width + 2), "<f8")
    if (rows[:, : width + 1] <= 0).any():
        raise LearningError("The model state holds numbers that no fit gives.")
    return Classes(tuple(_peak(row) for row in rows), classes, points)


def _fit_numbers(data: Data, warm: Fit | None, seed: int, device: str) -> Numbers:
    points = inducing.choose(data.inputs, _POINTS, seed)
    if isinstance(warm, Numbers):
        start = warm.hyper
    else:
        start = exact.fit(data.take(_some(len(data), seed)), None, seed, device).hyper
    warp = refreshed(start.warp, data.values)
    task = gp.task(data, warp, start.kernel, device)
    peak = inducing.polish(task, tensor(points, device), start.peak, _POLISHED)
    found = Hyper(
        warp, start.kernel, peak.lengthscales, peak.outputscale, max(peak.noise, LEAST_NOISE), peak.mean,
        peak.density,
    )  # fmt: skip
    return Numbers(found, points)


def _fit_classes(data: Data, warm: Fit | None, seed: int, device: str) -> Classes:
    points = inducing.choose(data.inputs, _POINTS, seed)
    some = data.take(_some(len(data), seed))
    earlier = warm.peaks if isinstance(warm, Classes) else (None,) * len(_signs(data))
    peaks = tuple(
        _fit_latent(some, signs, start, points, device)
        for signs, start in zip(_signs(some), earlier, strict=True)
    )
    return Classes(peaks, data.classes, points)


def _some(rows: int, seed: int) -> NDArray[np.int64]:
    """The places of the rows that hyperparameters are first found on."""
    return np.sort(np.random.default_rng(seed).permutation(rows)[:_FIRST])


def _fit_latent(data: Data, signs: Array, start: Peak | None, points: Array, device: str) -> Peak:
    """The process and the bound in turn; `signs` are +1 and -1."""
    peak = start or Peak((0.3 * np.sqrt(data.inputs.shape[1]),) * data.inputs.shape[1], 1.0, 1.0, 0.0, 0.0)
    for _ in range(_ROUNDS):
        found = climb(_bound(data, signs, peak, points, device), [peak], _CLIMBED)
        if found is None:
            raise LearningError("The model could not be fitted to these rows.")
        peak = found
    return peak


def _settled(data: Data, peaks: tuple[Peak, ...], points: Array, device: str) -> tuple[Sparse, ...]:
    return tuple(
        Sparse(_bound(data, signs, peak, points, device), tensor(points, device), peak)
        for signs, peak in zip(_signs(data), peaks, strict=True)
    )


def _bound(data: Data, signs: Array, peak: Peak, points: Array, device: str) -> Task:
    """The labels as pseudo-values with a noise each, where the bound is tight for this process."""
    inputs, labels, places = (tensor(each, device) for each in (data.inputs, signs, points))
    size = torch.full_like(labels, 1.0)  # the root mean square of each row's logit
    task = _pseudo(inputs, labels, size, data.groups)
    with torch.no_grad():
        for _ in range(_SETTLED):
            mean, variance = Sparse(task, places, peak)(inputs[:, None, :])
            size = _LOGIT * (mean.reshape(-1).square() + variance.reshape(-1).clamp_min(0)).sqrt()
            task = _pseudo(inputs, labels, size, data.groups)
    return task


def _pseudo(inputs: Tensor, labels: Tensor, size: Tensor, groups: tuple[int, ...]) -> Task:
    safe = size.clamp_min(1e-6)
    weight = torch.tanh(safe / 2) / (2 * safe)
    return Task(MATERN, inputs, labels / (2 * weight) / _LOGIT, 1 / weight / _LOGIT**2, groups)


def _signs(data: Data) -> list[Array]:
    """For each process, +1 where the row has its class, -1 where not."""
    first = 1 if data.classes == 2 else 0
    return [np.where(data.values == place, 1.0, -1.0) for place in range(first, data.classes)]


def _peak(row: Array) -> Peak:
    return Peak(tuple(map(float, row[:-2])), float(row[-2]), 1.0, float(row[-1]), 0.0)
