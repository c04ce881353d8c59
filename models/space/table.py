"""Points as one array: a row a point, a column a parameter, in lab units.

A category is its place among the categories; what a point does not have (an inactive parameter, a context that
was not reported) is nan. What is done to thousands of points at once is done here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labqueue.problem import (
    TOLERANCE,
    Among,
    Categorical,
    Constraint,
    Context,
    Excluded,
    Fixed,
    Integer,
    Linear,
    Mixture,
    Parameter,
    Problem,
    Value,
)

from .operations import margins, scale

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: The share of a tolerance that is used here, so that what holds here also holds for `Problem.check_point`,
#: which sums in another order.
_STRICTER = 0.9
_STRICT = 1e-12


@dataclass(frozen=True)
class Table:
    """The columns of one problem, in its own order, fixed parameters and context among them."""

    problem: Problem

    @cached_property
    def places(self) -> Mapping[str, int]:
        return {name: place for place, name in enumerate(self.problem.names)}

    @cached_property
    def _codes(self) -> tuple[Mapping[str, float], ...]:
        """For each parameter the places of its categories; nothing for numbers."""
        return tuple(
            {name: float(place) for place, name in enumerate(names)}
            for each in self.problem.parameters
            for names in [each.categories if isinstance(each, (Categorical, Context)) else ()]
        )

    def read(self, points: Sequence[Mapping[str, Any]]) -> Array:
        """Checked or actual points as rows."""
        rows = np.full((len(points), len(self.problem.parameters)), math.nan)
        for place, (parameter, codes) in enumerate(zip(self.problem.parameters, self._codes, strict=True)):
            name = parameter.name
            if isinstance(parameter, Fixed):
                rows[:, place] = 0.0 if isinstance(parameter.value, str) else float(parameter.value)
            elif codes:
                rows[:, place] = [codes.get(point.get(name, ""), math.nan) for point in points]
            else:
                rows[:, place] = [point.get(name, math.nan) for point in points]
        return rows

    def write(self, rows: Array) -> list[dict[str, Value]]:
        """Planned points: without the context and what is not active there, in the types of `Problem.normal`."""
        active = self.active(rows)
        columns = [
            (each.name, self._written(each, rows[:, place]), active[:, place].tolist())
            for place, each in enumerate(self.problem.parameters)
            if not isinstance(each, Context)
        ]
        return [
            {name: values[row] for name, values, there in columns if there[row]} for row in range(len(rows))
        ]

    def _written(self, parameter: Parameter, column: Array) -> Sequence[Value]:
        if isinstance(parameter, Fixed):
            return [parameter.value] * len(column)
        if isinstance(parameter, Categorical):
            names = parameter.categories
            return [names[int(place)] for place in np.nan_to_num(column).tolist()]
        if isinstance(parameter, Integer):
            return [int(each) for each in np.nan_to_num(column).tolist()]
        numbers: list[Value] = column.tolist()
        return numbers

    def active(self, rows: Array) -> Mask:
        """Which parameters exist at each row: a conditional one only where its condition holds."""
        found = np.ones(rows.shape, dtype=np.bool_)
        for place, parameter in enumerate(self.problem.parameters):
            if parameter.when is None:
                continue
            parent = self.places[parameter.when.parameter]
            other = self.problem.parameters[parent]
            if isinstance(other, Fixed):
                met: Any = other.value in parameter.when.values
            else:
                met = np.isin(rows[:, parent], self.numbers(parent, parameter.when.values))
            found[:, place] = found[:, parent] & met
        return found

    def numbers(self, place: int, values: Sequence[Value]) -> list[float]:
        """Values of a parameter as they stand in its column."""
        codes = self._codes[place]
        return [codes[str(each)] for each in values] if codes else [float(each) for each in values]

    def amounts(self, rows: Array) -> dict[str, Array]:
        """What each number counts as in a constraint: 0 where it is not active."""
        there = np.where(self.active(rows) & ~np.isnan(rows), rows, 0.0)
        return {name: there[:, place] for name, place in self.places.items()}

    def holds(self, rows: Array) -> Mask:
        """Whether every constraint holds, for each row. Bounds are for the caller."""
        good = np.ones(len(rows), dtype=np.bool_)
        if not self.problem.constraints or not len(rows):
            return good
        amounts, active = self.amounts(rows), self.active(rows)
        for each in self.problem.constraints:
            good &= self._holds(each, rows, amounts, active)
        return good

    def _holds(self, rule: Constraint, rows: Array, amounts: Mapping[str, Array], active: Mask) -> Mask:
        if isinstance(rule, Linear):
            return _linear(rule, amounts)
        if isinstance(rule, Mixture):
            return _linear(rule.sum, amounts) & _used(rule, amounts)
        if isinstance(rule, Excluded):
            return ~self._excluded(rule, rows, active)
        gap = margins(rule, amounts)
        size = scale(rule, amounts)
        if rule.comparison in ("<", ">"):
            return np.asarray(gap > _STRICT * size)
        return np.asarray(gap >= -_STRICTER * TOLERANCE * size)

    def _excluded(self, rule: Excluded, rows: Array, active: Mask) -> Mask:
        hit = np.ones(len(rows), dtype=np.bool_)
        for name, condition in rule.conditions:
            place = self.places[name]
            column = rows[:, place]
            if isinstance(condition, Among):
                met = np.isin(column, self.numbers(place, condition.values))
            else:
                low = -math.inf if condition.low is None else condition.low
                high = math.inf if condition.high is None else condition.high
                met = (column >= low) & (column <= high)
            hit &= met & active[:, place]
        return hit


def _linear(rule: Linear, amounts: Mapping[str, Array]) -> Mask:
    terms = np.stack([factor * amounts[name] for name, factor in rule.coefficients])
    total = terms.sum(axis=0)
    size = np.maximum(np.abs(terms).max(axis=0), max(1.0, abs(rule.bound)))
    slack = _STRICTER * TOLERANCE * size
    if rule.operator == "==":
        return np.asarray(np.abs(total - rule.bound) <= slack)
    return np.asarray(total <= rule.bound + slack if rule.operator == "<=" else total >= rule.bound - slack)


def _used(rule: Mixture, amounts: Mapping[str, Array]) -> Mask:
    parts = np.stack([amounts[name] for name in rule.parameters])
    slack = TOLERANCE * max(1.0, abs(rule.total))
    used = parts > _STRICTER * slack
    good = (~used | (parts >= rule.least - _STRICTER * slack)).all(axis=0)
    return np.asarray(good if rule.at_most is None else good & (used.sum(axis=0) <= rule.at_most))
