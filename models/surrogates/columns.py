"""The columns of one parameter in the model's cube, for each kind: the way there and back, many rows at once.

Lab values come as in `models.space.table`: numbers, and a category as its place among the categories.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from labqueue.problem import Categorical, Context, Continuous, Discrete, Fixed, Integer, Numeric, Parameter
from models.space.rounding import levels, readable

from . import descriptors

Array = NDArray[np.float64]

#: A parameter with more values in order than this is searched as if it were continuous, then rounded.
FEW = 16

_TINY = 1e-300


class Columns(Protocol):
    """width  of columns
    count     of values that may be chosen; None where they are not countable
    ordered   one column along which the values rise
    absent    what the columns hold where the parameter is not active, or its value is not known
    """

    @property
    def width(self) -> int: ...
    @property
    def count(self) -> int | None: ...
    @property
    def ordered(self) -> bool: ...
    @property
    def absent(self) -> Array: ...

    def encode(self, values: Array) -> Array:
        """(n,) -> (n, width); values outside the range keep their place outside [0, 1]."""
        ...

    def decode(self, rows: Array) -> Array:
        """(n, width) -> (n,): the nearest value that may be chosen."""
        ...

    def choose(self, shares: Array) -> Array:
        """(n,) numbers in [0, 1) -> (n,): each value equally likely, or evenly along the scale."""
        ...

    def listed(self) -> Array:
        """All values that may be chosen, where they are countable."""
        ...


@dataclass(frozen=True)
class Line:
    """Numbers in order, on a linear or a logarithmic scale: a numeric parameter, or ordered categories.

    levels  the values that may be chosen, rising; None: every number, or every whole one where `number` is an Integer
    """

    low: float
    high: float
    log: bool
    levels: Array | None
    number: Numeric | None = None
    width = 1
    ordered = True

    @property
    def absent(self) -> Array:
        return np.array([0.5])

    @property
    def count(self) -> int | None:
        if self.levels is not None:
            return len(self.levels)
        if isinstance(self.number, Integer):
            return self.number.high - self.number.low + 1
        if isinstance(self.number, Continuous) and self.number.step is not None:
            return self.number.steps + 1
        return None

    def encode(self, values: Array) -> Array:
        low, high = self._ends()
        places = np.log(np.maximum(values, _TINY)) if self.log else values
        return np.asarray((places - low) / ((high - low) or 1.0))[:, None]

    def decode(self, rows: Array) -> Array:
        return self._snap(self.unscale(np.clip(rows[:, 0], 0.0, 1.0))[0])

    def choose(self, shares: Array) -> Array:
        if self.levels is not None and (not self.log or len(self.levels) <= FEW):
            return _share(self.levels, shares)
        return self.decode(shares[:, None])

    def listed(self) -> Array:
        if self.levels is not None:
            return self.levels
        if isinstance(self.number, Integer):
            return np.arange(self.number.low, self.number.high + 1, dtype=np.float64)
        assert isinstance(self.number, Continuous) and self.number.step is not None, "countable"
        places = np.arange(self.number.steps + 1, dtype=np.float64)
        return readable(self.number, self.number.low + self.number.step * places)

    def unscale(self, shares: Array) -> tuple[Array, Array]:
        """Lab values and their slopes along the column."""
        low, high = self._ends()
        places = low + shares * (high - low)
        if self.log:
            values = np.exp(places)
            return values, values * (high - low)
        return places, np.full_like(places, high - low)

    def unscale_one(self, share: float) -> tuple[float, float]:
        """`unscale` of one share."""
        low, high = self._ends()
        place = low + share * (high - low)
        return (math.exp(place), math.exp(place) * (high - low)) if self.log else (place, high - low)

    def _ends(self) -> tuple[float, float]:
        return (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)

    def _snap(self, values: Array) -> Array:
        if self.levels is not None:
            places = np.clip(np.searchsorted(self.levels, values), 1, max(len(self.levels) - 1, 1))
            before, after = self.levels[places - 1], self.levels[np.minimum(places, len(self.levels) - 1)]
            return np.where(values - before <= after - values, before, after)
        if isinstance(self.number, Integer):
            return np.clip(np.round(values), self.low, self.high)
        assert isinstance(self.number, Continuous)
        return readable(self.number, values)


@dataclass(frozen=True)
class Places:
    """Categories as points: a column each, of which one is 1 (one-hot), or their descriptors.

    points    (categories, width)
    allowed   the places of those that may be chosen
    absent    (width,) the row where there is no value
    together  do the columns only say how far apart the categories are?
    """

    points: Array
    allowed: Array
    absent: Array
    together: bool = True
    ordered = False

    @property
    def width(self) -> int:
        return int(self.points.shape[1])

    @property
    def count(self) -> int:
        return len(self.allowed)

    def encode(self, values: Array) -> Array:
        known = ~np.isnan(values)
        rows = np.tile(self.absent, (len(values), 1))
        rows[known] = self.points[values[known].astype(int)]
        return rows

    def decode(self, rows: Array) -> Array:
        near = self.points[self.allowed.astype(int)]
        far = ((rows**2).sum(axis=1)[:, None] - 2 * rows @ near.T) + (near**2).sum(axis=1)
        return np.asarray(self.allowed[far.argmin(axis=1)])

    def choose(self, shares: Array) -> Array:
        return _share(self.allowed, shares)

    def listed(self) -> Array:
        return self.allowed


@dataclass(frozen=True)
class Nothing:
    """A fixed parameter: no column, one value."""

    value: float
    width = 0
    count = 1
    ordered = False

    @property
    def absent(self) -> Array:
        return np.zeros(0)

    def encode(self, values: Array) -> Array:
        return np.zeros((len(values), 0))

    def decode(self, rows: Array) -> Array:
        return np.full(len(rows), self.value)

    def choose(self, shares: Array) -> Array:
        return np.full(len(shares), self.value)

    def listed(self) -> Array:
        return np.array([self.value])


def _share(values: Array, shares: Array) -> Array:
    """Each value for an equal part of [0, 1)."""
    return np.asarray(values[np.minimum((shares * len(values)).astype(int), len(values) - 1)])


def columns(parameter: Parameter) -> Columns:
    if isinstance(parameter, Fixed):
        return Nothing(0.0 if isinstance(parameter.value, str) else float(parameter.value))
    if isinstance(parameter, Categorical):
        return _categorical(parameter)
    if isinstance(parameter, Context):
        if parameter.categories:
            count = len(parameter.categories)
            return Places(np.eye(count), np.arange(float(count)), np.full(count, 1.0 / count))
        return Line(parameter.low, parameter.high, False, None)
    if isinstance(parameter, Discrete):
        return Line(min(parameter.values), max(parameter.values), parameter.log, levels(parameter), parameter)
    return Line(float(parameter.low), float(parameter.high), parameter.log, levels(parameter), parameter)


def _categorical(parameter: Categorical) -> Columns:
    names = parameter.categories
    allowed = np.array([float(names.index(each)) for each in parameter.available])
    if parameter.ordered:
        return Line(0.0, float(len(names) - 1), False, allowed)
    if parameter.descriptors:
        points, together = descriptors.reduce(parameter)
        if points.shape[1]:
            return Places(points, allowed, np.full(points.shape[1], 0.5), together)
    return Places(np.eye(len(names)), allowed, np.zeros(len(names)))
