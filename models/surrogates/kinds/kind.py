"""The face that every kind of model shows: fit rows, write what was found, read it, predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from botorch.models.gpytorch import GPyTorchModel
from torch import Tensor

from models.surrogates.data import Data
from models.surrogates.encoding import Array
from models.surrogates.warps import Warp


@dataclass(frozen=True)
class Part:
    """A model of one number: a joint Gaussian over any points in standardised units, and the way back to lab units.

    model   BoTorch's: `posterior(inputs)` is a GPyTorchPosterior without the noise of a measurement
    smooth  can the way from the inputs to the posterior be differentiated?
    others  models that explain the rows nearly as well: a choice is made by what all of them promise
    """

    model: GPyTorchModel
    warp: Warp
    smooth: bool = True
    others: tuple[Part, ...] = ()


class Labels(Protocol):
    """A model of one class output. `smooth` as in `Part`."""

    @property
    def smooth(self) -> bool: ...
    def draws(self, inputs: Tensor) -> Tensor:
        """Probabilities of the labels, (draws, ..., classes), at rows (..., columns): each draw is one that the rows
        seen allow. The same draws at each call."""


@dataclass(frozen=True)
class Foretold:
    """What each row of an output was foretold as by a model that had not seen it.

    z, mean, variance   the value and the prediction in standardised units, a measurement's noise included
    lab                 the prediction in lab units
    slope               dz/dy at the value
    """

    z: Array
    mean: Array
    variance: Array
    lab: Array
    slope: Array

    @classmethod
    def of(cls, data: Data, warp: Warp, mean: Array, variance: Array) -> Foretold:
        return cls(
            warp.forward(data.values), mean, variance, warp.lab(mean), np.asarray(warp.slope(data.values))
        )


class Fit(Protocol):
    """What a fit found for one output: frozen, and all that is kept of it."""

    def to_json(self) -> dict[str, Any]: ...
    def describe(self) -> dict[str, Any]:
        """For people: what was found, plain numbers and words."""

    def part(self, data: Data, device: str) -> Part | Labels:
        """Conditioned on the rows, also those that the fit had not seen. Raises LearningError."""

    def foretell(self, data: Data, seed: int, device: str) -> Foretold | Array:
        """Each row as foretold without it; for a class output the probabilities (rows, classes)."""


class Kind(Protocol):
    """A module of this package."""

    def fit(self, data: Data, warm: Fit | None, seed: int, device: str) -> Fit:
        """`warm`: an earlier fit of this kind to fewer rows of the same output; it may shorten the search. Raises
        LearningError where no fit succeeds."""

    def read(self, body: Mapping[str, Any], width: int, classes: int) -> Fit:
        """What `to_json` wrote, checked. Raises LearningError, ValueError, KeyError or TypeError where it cannot
        have been written by a fit of rows of this width and so many classes."""
