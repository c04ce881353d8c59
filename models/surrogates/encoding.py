"""Lab units <-> the unit cube: the only crossing. Nothing else knows both.

A continuous, integer or discrete parameter is one column, its range scaled to [0, 1] (on a log scale where the
problem says so). A categorical one is a column per category, of which one is 1. What comes back from the cube is
rounded, clipped and, where the constraints ask for it, repaired, so that it always passes `Problem.check_point`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from labqueue.problem import Categorical, Continuous, Discrete, Integer, Parameter, Problem, Value

from .repair import nearest_valid
from .values import LearningError, Point

Array = NDArray[np.float64]

#: An ordered parameter with more values than this is searched as if it were continuous, then rounded.
FEW = 16

_DIGITS = 6
_TINY = 1e-300


@dataclass(frozen=True)
class Encoding:
    """The crossing for one problem. Arrays are (rows, columns) of float64."""

    problem: Problem

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """The columns of each parameter, in the problem's order."""
        edges = [0, *itertools.accumulate(_width(each) for each in self.problem.parameters)]
        return tuple(slice(low, high) for low, high in itertools.pairwise(edges))

    @property
    def width(self) -> int:
        return self.slices[-1].stop if self.slices else 0

    @cached_property
    def smooth(self) -> tuple[int, ...]:
        """Columns that a gradient may move: continuous ones, and ordered ones with many values."""
        return tuple(
            columns.start
            for parameter, columns in zip(self.problem.parameters, self.slices, strict=True)
            if not isinstance(parameter, Categorical) and len(_values(parameter) or range(FEW + 1)) > FEW
        )

    @cached_property
    def size(self) -> int | None:
        """How many points there are, constraints aside; None where a parameter is continuous."""
        counts = [_values(each) for each in self.problem.parameters]
        return None if any(each is None for each in counts) else math.prod(len(each or ()) for each in counts)

    def encode(self, points: Sequence[Point]) -> Array:
        """Actual values may lie outside the range and are not clipped. Raises LearningError where one is missing."""
        rows = np.zeros((len(points), self.width))
        for row, point in zip(rows, points, strict=True):
            for parameter, columns in zip(self.problem.parameters, self.slices, strict=True):
                if parameter.name not in point:
                    raise LearningError(f"A row has no value for {parameter.name}.")
                row[columns] = _encode(parameter, point[parameter.name])
        return rows

    def decode(self, row: Array) -> Point | None:
        """The nearest point that can be staged; None where the constraints leave none."""
        point = {
            parameter.name: _decode(parameter, row[columns])
            for parameter, columns in zip(self.problem.parameters, self.slices, strict=True)
        }
        return self._valid(point)

    def spread(self, row: Array) -> Point | None:
        """A point from one number in [0, 1) a parameter, each value of a parameter equally likely.

        None where it breaks a constraint: a design rejects such points rather than moving them to an edge.
        """
        point: dict[str, Value] = {}
        for parameter, share in zip(self.problem.parameters, map(float, row), strict=True):
            values = _values(parameter)
            if values is None:
                point[parameter.name] = _decode(parameter, np.array([share]))
            else:
                point[parameter.name] = values[min(int(share * len(values)), len(values) - 1)]
        return None if self.problem.check_point(point) else point

    def every(self) -> Iterator[Point]:
        """All points of a finite space that can be staged, in order."""
        names = self.problem.names
        for values in itertools.product(*(_values(each) or () for each in self.problem.parameters)):
            point = dict(zip(names, values, strict=True))
            if not self.problem.check_point(point):
                yield point

    def neighbours(self, point: Point) -> Iterator[Point]:
        """Points that differ in one parameter of few values: any other category, the next value up or down."""
        for parameter in self.problem.parameters:
            values = _values(parameter)
            if values is None or len(values) > FEW:
                continue
            place = values.index(point[parameter.name])
            steps = range(len(values)) if isinstance(parameter, Categorical) else (place - 1, place + 1)
            for step in steps:
                if step != place and 0 <= step < len(values):
                    near = self._valid({**point, parameter.name: values[step]})
                    if near is not None:
                        yield near

    def constraints(self, row: Array) -> list[tuple[str, Array]]:
        """Each linear constraint at a row of the cube: ("ineq" or "eq", [value, *slope by column]).

        Valid where an "ineq" value is >= 0 and an "eq" value is 0. Scaled so that 1 is about the whole range.
        """
        found = []
        for each in self.problem.constraints:
            sign = 1.0 if each.operator == ">=" else -1.0
            value, slopes, scale = -sign * each.bound, np.zeros(self.width), 0.0
            for name, factor in each.coefficients:
                place = self.problem.names.index(name)
                column, parameter = self.slices[place].start, self.problem.parameters[place]
                lab, slope = _unscale(parameter, float(row[column]))
                value += sign * factor * lab
                slopes[column] += sign * factor * slope
                low, high = bounds(parameter)
                scale += abs(factor) * (high - low)
            packed = np.concatenate([[value], slopes]) / (scale or 1.0)
            found.append(("eq" if each.operator == "==" else "ineq", packed))
        return found

    def _valid(self, point: Point) -> Point | None:
        if not self.problem.check_point(point):
            return point
        repaired = nearest_valid(self.problem, point)
        if repaired is None:
            return None
        tidy = {
            each.name: _round(each, repaired[each.name])
            if isinstance(each, Continuous)
            else repaired[each.name]
            for each in self.problem.parameters
        }
        return tidy if not self.problem.check_point(tidy) else repaired


def bounds(parameter: Parameter) -> tuple[float, float]:
    """The least and the greatest value of a numeric parameter."""
    if isinstance(parameter, Discrete):
        return min(parameter.values), max(parameter.values)
    assert not isinstance(parameter, Categorical), "a category has no bounds"
    return float(parameter.low), float(parameter.high)


def _width(parameter: Parameter) -> int:
    return len(parameter.categories) if isinstance(parameter, Categorical) else 1


def _values(parameter: Parameter) -> Sequence[Value] | None:
    if isinstance(parameter, Continuous):
        return None
    if isinstance(parameter, Integer):
        return range(parameter.low, parameter.high + 1)
    return parameter.categories if isinstance(parameter, Categorical) else parameter.values


def _encode(parameter: Parameter, value: Value) -> Array:
    if isinstance(parameter, Categorical):
        return np.array([float(value == each) for each in parameter.categories])
    low, high = bounds(parameter)
    number = float(value)
    if isinstance(parameter, Continuous) and parameter.log:
        low, high, number = math.log(low), math.log(high), math.log(max(number, _TINY))
    return np.array([(number - low) / ((high - low) or 1.0)])


def _unscale(parameter: Parameter, unit: float) -> tuple[float, float]:
    """The lab value of a numeric parameter and its slope along the column."""
    low, high = bounds(parameter)
    if isinstance(parameter, Continuous) and parameter.log:
        ratio = math.log(high / low)
        value = low * math.exp(unit * ratio)
        return value, value * ratio
    return low + unit * (high - low), high - low


def _decode(parameter: Parameter, columns: Array) -> Value:
    if isinstance(parameter, Categorical):
        return parameter.categories[int(np.argmax(columns))]
    number, _ = _unscale(parameter, min(max(float(columns[0]), 0.0), 1.0))
    if isinstance(parameter, Integer):
        return min(max(round(number), parameter.low), parameter.high)
    if isinstance(parameter, Discrete):
        return min(parameter.values, key=lambda each: abs(each - number))
    return _round(parameter, number)


def _round(parameter: Continuous, value: Value) -> float:
    """To about a millionth of the range: an instrument cannot set more, and a person can read it."""
    number = float(value)
    if parameter.log:
        number = float(f"{number:.{_DIGITS}g}")
    else:
        number = round(number, _DIGITS - math.floor(math.log10(parameter.high - parameter.low)))
    return min(max(number, parameter.low), parameter.high)
