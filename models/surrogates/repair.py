"""The nearest point that keeps every constraint, in lab units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from labqueue.problem import Categorical, Continuous, Discrete, Integer, Linear, Problem, Value

#: The solver keeps a constraint to about 1e-7 of its scale; `Problem.check_point` asks for 1e-9.
_MARGINS = (1e-6, 0.0)
_POLISH = 100


def nearest_valid(problem: Problem, point: Mapping[str, Value]) -> dict[str, Value] | None:
    """A valid point near this one; None where none is found. Categories stay as they are.

    Continuous parameters move alone where that is enough. Else a small mixed-integer linear program finds the
    least sum of changes, each relative to its range: whole numbers stay whole, discrete parameters keep to their
    values, and as few as possible move.
    """
    moved = dict(point)
    _polish(problem, moved)
    if not problem.check_point(moved):
        return moved
    for margin in _MARGINS:
        found = _solve(problem, point, margin)
        if found is not None:
            _polish(problem, found)
            if not problem.check_point(found):
                return found
    return None


@dataclass(frozen=True)
class _Axis:
    """A numeric parameter as a variable of the program: value = base + step * variable, variable in [0, reach].

    An integer's step is 1, so that the solver can keep it whole; a discrete parameter has a switch a value.
    """

    parameter: Continuous | Integer | Discrete
    base: float
    step: float
    reach: float
    switch: int  # index of its first switch

    @classmethod
    def of(cls, parameter: Continuous | Integer | Discrete, switch: int) -> _Axis:
        if isinstance(parameter, Integer):
            return cls(parameter, parameter.low, 1.0, parameter.high - parameter.low, switch)
        if isinstance(parameter, Discrete):
            low, high = min(parameter.values), max(parameter.values)
        else:
            low, high = parameter.low, parameter.high
        return cls(parameter, low, (high - low) or 1.0, 1.0, switch)

    @property
    def values(self) -> tuple[float, ...]:
        return self.parameter.values if isinstance(self.parameter, Discrete) else ()

    def lab(self, variable: float) -> float | int:
        value = self.base + self.step * variable
        if isinstance(self.parameter, Discrete):
            return min(self.parameter.values, key=lambda allowed: abs(allowed - value))
        if isinstance(self.parameter, Integer):
            value = round(value)
        return min(max(value, self.parameter.low), self.parameter.high)


def _axes(problem: Problem) -> list[_Axis]:
    numeric = [each for each in problem.parameters if not isinstance(each, Categorical)]
    axes: list[_Axis] = []
    switch = 2 * len(numeric)  # after each axis's value and its change
    for each in numeric:
        axes.append(_Axis.of(each, switch))
        switch += len(axes[-1].values)
    return axes


def _solve(problem: Problem, point: Mapping[str, Value], margin: float) -> dict[str, Value] | None:
    axes = _axes(problem)
    count = len(axes)
    total = 2 * count + sum(len(axis.values) for axis in axes)
    high, whole, cost = np.ones(total), np.zeros(total), np.zeros(total)
    whole[2 * count :] = 1
    rows = [_rule(each, axes, total, margin) for each in problem.constraints]
    for number, axis in enumerate(axes):
        high[number], high[count + number] = axis.reach, np.inf
        whole[number] = isinstance(axis.parameter, Integer)
        cost[count + number] = 1 / axis.reach
        target = (float(point[axis.parameter.name]) - axis.base) / axis.step
        for sign in (1.0, -1.0):  # change >= |variable - target|
            row = _row(total, {number: sign, count + number: -1.0})
            rows.append(LinearConstraint(row, -np.inf, sign * target))
        if axis.values:
            switches = {
                axis.switch + place: (value - axis.base) / axis.step
                for place, value in enumerate(axis.values)
            }
            rows.append(LinearConstraint(_row(total, dict.fromkeys(switches, 1.0)), 1, 1))
            rows.append(LinearConstraint(_row(total, {**switches, number: -1.0}), 0, 0))
    answer = milp(cost, constraints=rows, bounds=Bounds(np.zeros(total), high), integrality=whole)
    if answer.x is None:
        return None
    return {
        **point,
        **{axis.parameter.name: axis.lab(float(answer.x[number])) for number, axis in enumerate(axes)},
    }


def _rule(linear: Linear, axes: list[_Axis], total: int, margin: float) -> LinearConstraint:
    """A constraint over the variables, scaled; `margin` inside where a continuous parameter allows it."""
    place = {axis.parameter.name: number for number, axis in enumerate(axes)}
    row, bound, loose = np.zeros(total), linear.bound, False
    for name, factor in linear.coefficients:
        axis = axes[place[name]]
        row[place[name]] += factor * axis.step
        bound -= factor * axis.base
        loose = loose or isinstance(axis.parameter, Continuous)
    scale = float(np.abs(row).max()) or 1.0
    row, bound, slack = row / scale, bound / scale, margin if loose else 0.0
    if linear.operator == "<=":
        return LinearConstraint(row, -np.inf, bound - slack)
    if linear.operator == ">=":
        return LinearConstraint(row, bound + slack, np.inf)
    return LinearConstraint(row, bound, bound)


def _row(total: int, entries: Mapping[int, float]) -> NDArray[np.float64]:
    row = np.zeros(total)
    row[list(entries)] = list(entries.values())
    return row


def _polish(problem: Problem, point: dict[str, Value]) -> None:
    """Takes out what the solver's tolerance left: moves continuous values that have room, least change first."""
    free = {each.name: each for each in problem.parameters if isinstance(each, Continuous)}
    for _ in range(_POLISH):
        broken = [each for each in problem.constraints if each.check(point)]
        if not broken:
            return
        for each in broken:
            missing = each.bound - sum(factor * float(point[name]) for name, factor in each.coefficients)
            ways = [
                (name, factor)
                for name, factor in each.coefficients
                if name in free and _has_room(free[name], float(point[name]), missing * factor)
            ]
            power = sum(factor**2 for _, factor in ways)
            for name, factor in ways:
                moved = float(point[name]) + missing * factor / power
                point[name] = min(max(moved, free[name].low), free[name].high)


def _has_room(parameter: Continuous, value: float, direction: float) -> bool:
    return value < parameter.high if direction > 0 else value > parameter.low
