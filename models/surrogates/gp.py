"""An exact Gaussian process for one output: made from hyperparameters, or fitted to rows.

Inputs are rows of the unit cube, outputs are warped and standardised, everything is float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from .data import Data, tensor
from .encoding import Array
from .likelihood import KERNELS, LEAST_NOISE, Peak, Task, climb, density_of, position_of
from .process import Process
from .values import LearningError
from .warps import Warp

#: A second place to start a fit from: length scales as long as the range, some noise.
_SMOOTH_START = (1.0, 1e-2)


@dataclass(frozen=True)
class Hyper:
    """What a fit found. `noise` is a variance in standardised units, for the rows whose noise is not known;
    `evidence` is the log density of the data in lab units, comparable between warps and kernels."""

    warp: Warp
    kernel: str
    lengthscales: tuple[float, ...]
    outputscale: float
    noise: float
    mean: float
    evidence: float

    @property
    def peak(self) -> Peak:
        return Peak(self.lengthscales, self.outputscale, self.noise, self.mean, self.evidence)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any], width: int) -> Hyper:
        """Raises LearningError, ValueError, KeyError or TypeError where no fit wrote this."""
        hyper = cls(
            warp=Warp.from_json(body["warp"]),
            kernel=str(body["kernel"]),
            lengthscales=tuple(float(each) for each in body["lengthscales"]),
            outputscale=float(body["outputscale"]),
            noise=float(body["noise"]),
            mean=float(body["mean"]),
            evidence=float(body["evidence"]),
        )
        positive = (*hyper.lengthscales, hyper.outputscale, hyper.noise)
        sound = all(map(math.isfinite, (*positive, hyper.mean, hyper.evidence))) and min(positive) > 0
        if not sound or hyper.kernel not in KERNELS:
            raise LearningError("The model state holds numbers that no fit gives.")
        if len(hyper.lengthscales) != width:
            raise LearningError("The model state belongs to another problem.")
        return hyper


def fit(
    data: Data, warp: Warp, kernel: str, warm: Hyper | None, device: str, sparsity: float | None = None
) -> Hyper | None:
    """The hyperparameters of the greatest posterior density, searched from `warm` or from two usual places; None
    where there is none."""
    length, guess = _SMOOTH_START
    starts: Sequence[Peak | None] = (
        [warm.peak]
        if warm is not None
        else [None, Peak((length,) * data.inputs.shape[1], 1.0, guess, 0.0, 0.0)]
    )
    peak = climb(task(data, warp, kernel, device, sparsity), starts)
    if peak is None:
        return None
    return Hyper(
        warp=warp,
        kernel=kernel,
        lengthscales=peak.lengthscales,
        outputscale=peak.outputscale,
        noise=LEAST_NOISE if math.isnan(peak.noise) else peak.noise,
        mean=peak.mean,
        evidence=peak.density + float(np.log(warp.slope(data.values)).sum()),
    )


def evidence(data: Data, hyper: Hyper, device: str) -> float:
    """The log density of the data in lab units with these hyperparameters."""
    own = task(data, hyper.warp, hyper.kernel, device)
    found = density_of(own)(torch.as_tensor(position_of(own, hyper.peak), device=device))
    return -math.inf if found is None else found[0] + float(np.log(hyper.warp.slope(data.values)).sum())


def task(data: Data, warp: Warp, kernel: str, device: str, sparsity: float | None = None) -> Task:
    return Task(
        kernel,
        tensor(data.inputs, device),
        tensor(warp.forward(data.values), device),
        tensor(known_noise(data, warp), device),
        data.groups,
        sparsity,
        data.listed,
    )


def known_noise(data: Data, warp: Warp) -> Array:
    """Variance of each row in standardised units; NaN where it is not known."""
    return np.asarray(np.maximum((data.noise * warp.slope(data.values)) ** 2, LEAST_NOISE))


def noise_of(data: Data, hyper: Hyper, extra: Array | None = None) -> Array:
    """Variance of each row in standardised units: known, or else what the fit found; `extra` comes on top."""
    known = known_noise(data, hyper.warp)
    found = np.where(np.isnan(known), max(hyper.noise, LEAST_NOISE), known)
    return np.asarray(found if extra is None else found + extra)


def build(data: Data, hyper: Hyper, device: str, extra: Array | None = None) -> Process:
    """The process conditioned on the rows, ready to predict in standardised units."""
    return Process(
        hyper.kernel,
        tensor(data.inputs, device),
        tensor(hyper.warp.forward(data.values), device),
        tensor(noise_of(data, hyper, extra), device),
        hyper.lengthscales,
        hyper.outputscale,
        hyper.mean,
    )
