"""The operations of `labqueue.problem.expression` on arrays, and on arrays that carry their slopes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labqueue.problem import Expression
from labqueue.problem.expression import Operation, evaluate

Array = NDArray[np.float64]


def _power(base: Any, exponent: Any) -> Any:
    """As `labqueue.problem.plain.power` has it."""
    found = np.float_power(base, exponent)
    wrong = np.isnan(base) | np.isnan(exponent) | ((base < 0) & (exponent != np.floor(exponent)))
    return np.where(wrong, np.nan, found)


#: On arrays, by the rules of `labqueue.problem.plain`.
ARRAYS: Mapping[str, Operation] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": _power,
    "negate": np.negative,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "log10": np.log10,
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
}


def margins(rule: Expression, amounts: Mapping[str, Array]) -> Array:
    """By how much the rule holds (below 0: is broken) for each row; nan where it is no real number."""
    with np.errstate(all="ignore"):
        left, right = (evaluate(side, amounts, ARRAYS) for side in (rule.left, rule.right))
        gap = np.asarray(right - left if rule.comparison in ("<", "<=") else left - right, dtype=np.float64)
        return np.where(np.isfinite(left) & np.isfinite(right), gap, np.nan)


def scale(rule: Expression, amounts: Mapping[str, Array]) -> Array:
    """The size of both sides, which tolerances are relative to."""
    with np.errstate(all="ignore"):
        left, right = (np.abs(evaluate(side, amounts, ARRAYS)) for side in (rule.left, rule.right))
        return np.asarray(np.maximum(1.0, np.maximum(left, right)), dtype=np.float64)


def margin_and_slope(rule: Expression, amounts: Mapping[str, float]) -> tuple[float, dict[str, float]]:
    """The margin at one point and its slope along each name, 0 where that is not finite; (nan, {}) where the margin is
    no real number."""
    order = list(rule.names)
    values = {
        name: _Dual(np.float64(amounts[name]), np.eye(len(order))[place]) for place, name in enumerate(order)
    }
    with np.errstate(all="ignore"):
        left, right = (_lift(evaluate(side, values, _DUALS)) for side in (rule.left, rule.right))
        gap = right - left if rule.comparison in ("<", "<=") else left - right
    if not math.isfinite(gap.value):
        return math.nan, {}
    slopes = np.nan_to_num(np.zeros(len(order)) + gap.slope, nan=0.0, posinf=0.0, neginf=0.0)
    return float(gap.value), dict(zip(order, map(float, slopes), strict=True))


@dataclass(frozen=True)
class _Dual:
    """A value and its slope along every name (forward differentiation)."""

    value: Any
    slope: Any

    def __sub__(self, other: _Dual) -> _Dual:
        return _Dual(self.value - other.value, self.slope - other.slope)


def _lift(value: Any) -> _Dual:
    return value if isinstance(value, _Dual) else _Dual(np.float64(value), 0.0)


def _two(function: Callable[[Any, Any], Any], slope: Callable[[_Dual, _Dual], Any]) -> Operation:
    def apply(one: Any, other: Any) -> _Dual:
        left, right = _lift(one), _lift(other)
        return _Dual(function(left.value, right.value), slope(left, right))

    return apply


def _one(function: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Operation:
    def apply(one: Any) -> _Dual:
        part = _lift(one)
        return _Dual(function(part.value), slope(part.value) * part.slope)

    return apply


def _power_slope(base: _Dual, exponent: _Dual) -> Any:
    own = exponent.value * np.float_power(base.value, exponent.value - 1.0) * base.slope
    if not np.any(exponent.slope):  # a negative base has no logarithm, and needs none here
        return own
    return own + np.float_power(base.value, exponent.value) * np.log(base.value) * exponent.slope


_DUALS: Mapping[str, Operation] = {
    "+": _two(np.add, lambda a, b: a.slope + b.slope),
    "-": _two(np.subtract, lambda a, b: a.slope - b.slope),
    "*": _two(np.multiply, lambda a, b: a.slope * b.value + a.value * b.slope),
    "/": _two(np.divide, lambda a, b: (a.slope - a.value / b.value * b.slope) / b.value),
    "^": _two(_power, _power_slope),
    "negate": _one(np.negative, lambda _: -1.0),
    "sqrt": _one(np.sqrt, lambda a: 0.5 / np.sqrt(a)),
    "exp": _one(np.exp, np.exp),
    "log": _one(np.log, lambda a: 1.0 / a),
    "log10": _one(np.log10, lambda a: 1.0 / (a * math.log(10))),
    "abs": _one(np.abs, np.sign),
    "min": _two(np.minimum, lambda a, b: a.slope if a.value <= b.value else b.slope),
    "max": _two(np.maximum, lambda a, b: a.slope if a.value >= b.value else b.slope),
}
