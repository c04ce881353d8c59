"""A problem's linear, mixture and excluded constraints as one mixed-integer linear program.

Each parameter that a constraint or a condition mentions is an axis. An axis is cut into pieces wherever a rule
begins or ends to hold, with a switch a piece, of which one is on where the parameter is active and none elsewhere.
So conditions, exclusions, values of a discrete parameter and the zero of a mixture's amount are all sums of
switches. Expressions are not part of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from labqueue.problem import (
    Among,
    Categorical,
    Context,
    Continuous,
    Discrete,
    Excluded,
    Expression,
    Fixed,
    Integer,
    Linear,
    Mixture,
    Parameter,
    Problem,
    Value,
    Within,
)

#: A cut leaves so much of a continuous parameter's range free on the outside of a rule: rounding stays inside it.
_MARGIN = 2e-6
#: How exactly a place is reckoned on an axis, and on one of whole numbers.
_TINY, _WHOLE = 1e-9, 1e-6
_INFEASIBLE = 2  # the solver's word for: proven

Span = tuple[float, float]


class Impossible(Exception):
    """Proven: no point satisfies these constraints."""


@dataclass(frozen=True)
class Piece:
    """Part of an axis: variable in [low, high]; of a categorical axis, the categories that the rules do not tell
    apart there."""

    low: float = 0.0
    high: float = 0.0
    categories: tuple[str, ...] = ()


@dataclass
class _Axis:
    """amount = base * active + unit * variable; the variable is whole where `whole`, in [0, reach]."""

    parameter: Parameter
    base: float = 0.0
    unit: float = 0.0
    reach: float = 0.0
    whole: bool = False
    pieces: list[Piece] = field(default_factory=list)
    number: int = -1  # of the variable, the change of which is the next one
    switches: list[int] = field(default_factory=list)

    def place(self, value: float) -> float:
        return (value - self.base) / self.unit

    def value(self, variable: float) -> Value:
        if isinstance(self.parameter, Integer):
            return min(max(round(self.base + variable), self.parameter.low), self.parameter.high)
        amount = self.base + self.unit * (round(variable) if self.whole else variable)
        if isinstance(self.parameter, Discrete):
            return min(self.parameter.values, key=lambda allowed: abs(allowed - amount))
        assert isinstance(self.parameter, Continuous)
        if self.whole:
            return self.parameter.nearest(amount)
        return min(max(amount, self.parameter.low), self.parameter.high)


def solve(problem: Problem, wanted: Mapping[str, Value], margin: float = 0.0) -> dict[str, Value] | None:
    """`wanted` with the least change (as shares of ranges, 1 for another category) that satisfies the rules.

    wanted  a value for each chosen parameter, also for one that is not active there
    margin  how far inside of linear bounds to stay, as a share, where a continuous parameter allows it
    None where the solver gave up. Raises Impossible where it proved that there is no such point.
    """
    program = _Program(problem, wanted)
    for each in problem.constraints:
        program.rule(each, margin)
    return program.best()


class _Program:
    def __init__(self, problem: Problem, wanted: Mapping[str, Value]) -> None:
        self._problem, self._wanted = problem, wanted
        self._cost: list[float] = []
        self._high: list[float] = []
        self._whole: list[bool] = []
        self._rows: list[dict[int, float]] = []
        self._least: list[float] = []
        self._most: list[float] = []
        self._axes = {each.name: self._axis(each) for each in _involved(problem)}
        for axis in self._axes.values():
            self._place(axis)

    def _axis(self, parameter: Parameter) -> _Axis:
        axis = _empty(parameter)
        for rule in self._problem.constraints:
            if isinstance(rule, Excluded) and parameter.name in rule.names:
                _cut(axis, _spans(dict(rule.conditions)[parameter.name]))
            elif isinstance(rule, Mixture) and parameter.name in rule.names:
                _cut_zero(axis, rule)
        for child in self._problem.planned:
            if child.when is not None and child.when.parameter == parameter.name:
                _cut(axis, _spans(Among(child.when.values)))
        return axis

    def _place(self, axis: _Axis) -> None:
        """Gives the axis its variables: value, change, and a switch a piece where one is needed."""
        numeric = not isinstance(axis.parameter, Categorical)
        if numeric:
            axis.number = self._variable(0.0, axis.reach, axis.whole)
            self._variable(1.0 / (axis.reach or 1.0), math.inf, False)
        active, certain = self._active(axis.parameter)
        if len(axis.pieces) != 1 or active or not certain:
            axis.switches = [
                self._variable(0.0 if self._here(axis, each) else 1.0, 1.0, True) for each in axis.pieces
            ]
            row = dict.fromkeys(axis.switches, 1.0)
            self._row({**row, **{number: -1.0 for number in active}}, certain, certain)
        if not numeric:
            return
        low, high = {axis.number: 1.0}, {axis.number: 1.0}
        for switch, piece in zip(axis.switches, axis.pieces, strict=False):
            low[switch], high[switch] = -piece.low, -piece.high
        if axis.switches:
            self._row(low, 0.0, math.inf)
            self._row(high, -math.inf, 0.0)
        else:
            self._row({axis.number: 1.0}, axis.pieces[0].low, axis.pieces[0].high)
        target = axis.place(float(self._wanted[axis.parameter.name]))
        for sign in (1.0, -1.0):  # change >= |variable - target * active|
            row = {axis.number: sign, axis.number + 1: -1.0}
            for number in active:
                row[number] = -sign * target
            self._row(row, -math.inf, sign * target * certain)

    def _here(self, axis: _Axis, piece: Piece) -> bool:
        """Does the wanted value lie in this piece (or is its change reckoned anyhow)?"""
        return not piece.categories or self._wanted[axis.parameter.name] in piece.categories

    def _active(self, parameter: Parameter) -> tuple[list[int], float]:
        """Whether the parameter is active: the sum of these switches, plus a constant."""
        when = parameter.when
        if when is None:
            return [], 1.0
        parent = self._problem.parameter(when.parameter)
        if isinstance(parent, Fixed):
            return self._active(parent) if parent.value in when.values else ([], 0.0)
        axis = self._axes[parent.name]  # placed already: parents come first
        met = [_inside(axis, piece, Among(when.values)) for piece in axis.pieces]
        if not axis.switches:
            return [], float(all(met))
        return [switch for switch, inside in zip(axis.switches, met, strict=True) if inside], 0.0

    def rule(self, rule: Linear | Mixture | Excluded | Expression, margin: float) -> None:
        if isinstance(rule, Linear):
            self._linear(rule, margin)
        elif isinstance(rule, Mixture):
            self._linear(rule.sum, margin)
            if rule.at_most is not None:
                used = [number for name in rule.parameters for number in self._used(self._axes[name])]
                self._row(dict.fromkeys(used, 1.0), -math.inf, rule.at_most)
        elif isinstance(rule, Excluded):
            self._exclude(rule)

    def _linear(self, rule: Linear, margin: float) -> None:
        row: dict[int, float] = {}
        bound, loose = rule.bound, False
        for name, factor in rule.coefficients:
            parameter = self._problem.parameter(name)
            active, certain = self._active(parameter)
            if isinstance(parameter, Fixed):
                base = float(parameter.value)
            else:
                axis = self._axes[name]
                base = axis.base
                row[axis.number] = row.get(axis.number, 0.0) + factor * axis.unit
                loose = loose or (isinstance(parameter, Continuous) and not axis.whole)
            bound -= factor * base * certain
            for number in active:
                row[number] = row.get(number, 0.0) + factor * base
        size = max((abs(each) for each in row.values()), default=0.0) or 1.0
        row, bound = {number: each / size for number, each in row.items()}, bound / size
        slack = margin if loose else 0.0
        least = -math.inf if rule.operator == "<=" else bound + slack * (rule.operator == ">=")
        most = math.inf if rule.operator == ">=" else bound - slack * (rule.operator == "<=")
        self._row(row, least, most)

    def _used(self, axis: _Axis) -> list[int]:
        return [
            switch
            for switch, piece in zip(axis.switches, axis.pieces, strict=False)
            if axis.base + axis.unit * piece.high > 0
        ]

    def _exclude(self, rule: Excluded) -> None:
        row: dict[int, float] = {}
        always = 0
        for name, condition in rule.conditions:
            axis = self._axes[name]
            inside = [number for number, piece in enumerate(axis.pieces) if _inside(axis, piece, condition)]
            if axis.switches:
                row.update(dict.fromkeys((axis.switches[number] for number in inside), 1.0))
            else:
                always += len(inside)
        self._row(row, -math.inf, len(rule.conditions) - 1 - always)

    def best(self) -> dict[str, Value] | None:
        if any(not row and not least - _TINY <= 0.0 <= most + _TINY for row, least, most in self._bounded()):
            raise Impossible
        kept = [each for each in self._bounded() if each[0]]
        if not self._cost:
            return dict(self._wanted)
        matrix = np.zeros((len(kept), len(self._cost)))
        for number, (row, _, _) in enumerate(kept):
            matrix[number, list(row)] = list(row.values())
        rules = (
            [LinearConstraint(matrix, [each[1] for each in kept], [each[2] for each in kept])] if kept else []
        )
        answer = milp(
            self._cost,
            constraints=rules,
            bounds=Bounds(np.zeros(len(self._high)), np.array(self._high)),
            integrality=np.array(self._whole, dtype=int),
            # It gains nothing on programs as small as these, and writes to the standard output.
            options={"presolve": False},
        )
        if answer.status == _INFEASIBLE:
            raise Impossible
        return None if answer.x is None else self._read(answer.x)

    def _read(self, solution: Sequence[float]) -> dict[str, Value]:
        found = dict(self._wanted)
        for name, axis in self._axes.items():
            on = [place for place, number in enumerate(axis.switches) if solution[number] > 0.5]
            if axis.switches and not on:
                continue  # not active: as it was wanted
            if isinstance(axis.parameter, Categorical):
                piece = axis.pieces[on[0] if on else 0]
                if not self._here(axis, piece):
                    found[name] = _next(axis.parameter, str(self._wanted[name]), piece)
            else:
                found[name] = axis.value(float(solution[axis.number]))
        return found

    def _variable(self, cost: float, high: float, whole: bool) -> int:
        self._cost.append(cost)
        self._high.append(high)
        self._whole.append(whole)
        return len(self._cost) - 1

    def _row(self, row: dict[int, float], least: float, most: float) -> None:
        self._rows.append(row)
        self._least.append(least)
        self._most.append(most)

    def _bounded(self) -> Iterable[tuple[dict[int, float], float, float]]:
        return zip(self._rows, self._least, self._most, strict=True)


def _involved(problem: Problem) -> list[Parameter]:
    """Parameters that the rules mention, and those on which the existence of one of them hangs."""
    names = {name for each in problem.constraints if not isinstance(each, Expression) for name in each.names}
    for parameter in reversed(problem.parameters):
        if parameter.name in names and parameter.when is not None:
            names.add(parameter.when.parameter)
    return [each for each in problem.planned if each.name in names and not isinstance(each, Fixed)]


def _empty(parameter: Parameter) -> _Axis:
    """The axis before any cut."""
    assert not isinstance(parameter, (Fixed, Context)), "nothing to choose"
    if isinstance(parameter, Categorical):
        return _Axis(parameter, pieces=[Piece(categories=parameter.available)])
    if isinstance(parameter, Integer):
        axis = _Axis(parameter, parameter.low, 1.0, parameter.high - parameter.low, True)
    elif isinstance(parameter, Discrete):
        low, high = min(parameter.values), max(parameter.values)
        axis = _Axis(parameter, low, (high - low) or 1.0, 1.0)
        axis.pieces = [Piece(axis.place(each), axis.place(each)) for each in parameter.values]
        return axis
    elif parameter.step is not None:
        axis = _Axis(parameter, parameter.low, parameter.step, parameter.steps, True)
    else:
        axis = _Axis(parameter, parameter.low, parameter.high - parameter.low, 1.0)
    axis.pieces = [Piece(0.0, axis.reach)]
    return axis


def _spans(condition: Among | Within) -> list[Span] | tuple[str, ...]:
    """Where a condition holds: closed intervals, or categories."""
    if isinstance(condition, Within):
        low = -math.inf if condition.low is None else condition.low
        return [(low, math.inf if condition.high is None else condition.high)]
    if any(isinstance(each, str) for each in condition.values):
        return tuple(str(each) for each in condition.values)
    return [(float(each), float(each)) for each in condition.values]


def _cut(axis: _Axis, spans: list[Span] | tuple[str, ...]) -> None:
    """Each piece becomes what is inside and what is outside."""
    if isinstance(spans, tuple):
        parts = [
            tuple(each for each in piece.categories if (each in spans) == inside)
            for piece in axis.pieces
            for inside in (True, False)
        ]
        axis.pieces = [Piece(categories=each) for each in parts if each]
        return
    for low, high in spans:
        _split(axis, axis.place(low), axis.place(high), 0.0)


def _cut_zero(axis: _Axis, rule: Mixture) -> None:
    """Nothing, or at least the least."""
    zero, least = axis.place(0.0), axis.place(rule.least)
    if isinstance(axis.parameter, Discrete):
        axis.pieces = [each for each in axis.pieces if each.low <= zero or each.low >= least - _TINY]
    elif rule.at_most is not None or rule.least:
        _split(axis, zero, zero, least - zero)


def _split(axis: _Axis, low: float, high: float, gap: float) -> None:
    """Cuts at [low, high]; above it the next piece begins `gap` or more further on."""
    if axis.whole:
        low = math.ceil(low - _WHOLE) if low > -math.inf else low
        below, above = low - 1, math.inf
        if high < math.inf:
            above = max(math.floor(high + _WHOLE) + 1, math.ceil(high + gap - _WHOLE))
            high = math.floor(high + _WHOLE)
    else:
        step = 0.0 if isinstance(axis.parameter, Discrete) else _MARGIN
        below, above = low - step, high + max(gap, step)
    found = []
    for piece in axis.pieces:
        if piece.low == piece.high and not axis.whole:  # a single value is inside or outside
            found.append(piece)
            continue
        for part in (
            Piece(piece.low, min(piece.high, below)),
            Piece(max(piece.low, low), min(piece.high, high)),
            Piece(max(piece.low, above), piece.high),
        ):
            if part.low <= part.high:
                found.append(part)
    axis.pieces = found


def _inside(axis: _Axis, piece: Piece, condition: Among | Within) -> bool:
    spans = _spans(condition)
    if isinstance(spans, tuple):
        return piece.categories[0] in spans
    tiny = _WHOLE if axis.whole else _TINY
    return any(
        axis.place(low) - tiny <= piece.low and piece.high <= axis.place(high) + tiny for low, high in spans
    )


def _next(parameter: Categorical, wanted: str, piece: Piece) -> str:
    """The next category of the piece after the wanted one, around the end."""
    names = parameter.categories
    start = names.index(wanted)
    around = [*names[start:], *names[:start]]
    return next(each for each in around if each in piece.categories)
