"""The operations of `labqueue.problem.expression` on intervals: what an expression can be at most and at least
while its names move over a box. A bound that is not known is infinite; what is no real number anywhere is EMPTY.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from labqueue.problem.expression import Operation

Interval = tuple[float, float]

EVERYTHING: Interval = (-math.inf, math.inf)
EMPTY: Interval = (math.inf, -math.inf)


def of(value: Interval | float) -> Interval:
    """An interval as it is; a number as one without width."""
    return value if isinstance(value, tuple) else (float(value), float(value))


def _span(values: list[float]) -> Interval:
    """From the least to the greatest; everything where one of them is no number."""
    return EVERYTHING if any(math.isnan(each) for each in values) else (min(values), max(values))


def _two(function: Callable[[Interval, Interval], Interval]) -> Operation:
    def apply(one: Interval | float, other: Interval | float) -> Interval:
        left, right = of(one), of(other)
        return EMPTY if EMPTY in (left, right) else function(left, right)

    return apply


def _one(function: Callable[[Interval], Interval]) -> Operation:
    def apply(one: Interval | float) -> Interval:
        part = of(one)
        return EMPTY if part == EMPTY else function(part)

    return apply


def _sum(a: Interval, b: Interval) -> Interval:
    # Infinity less infinity is not known: what is infinite at one place need not be so at another.
    low, high = a[0] + b[0], a[1] + b[1]
    return -math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high


def _negative(a: Interval) -> Interval:
    return -a[1], -a[0]


def _times(a: Interval, b: Interval) -> Interval:
    # 0 times infinity is 0 here: the infinite end stands for every finite number up to it.
    return _span([0.0 if 0.0 in (x, y) else x * y for x in a for y in b])


def _over(a: Interval, b: Interval) -> Interval:
    if b[0] <= 0 <= b[1]:
        if a == b == (0.0, 0.0):
            return EMPTY
        if b == (0.0, 0.0) and (a[0] > 0 or a[1] < 0):  # as IEEE 754 has it
            end = math.copysign(math.inf, a[0]) * math.copysign(1.0, b[0])
            return end, end
        return EVERYTHING
    return _span([0.0 if math.isinf(y) else x / y for x in a for y in b])


def _power(a: Interval, b: Interval) -> Interval:
    if b[0] == b[1] and math.isfinite(b[0]):
        whole = b[0] == math.floor(b[0])
        if whole and abs(b[0]) <= 64:
            return _whole_power(a, int(b[0]))
        if not whole and a[1] < 0:
            return EMPTY
    if a[0] <= 0:
        return EVERYTHING
    return _span([_raised(x, y) for x in a for y in b])


def _whole_power(a: Interval, power: int) -> Interval:
    if power < 0:
        return _over((1.0, 1.0), _whole_power(a, -power))
    if power == 0:
        return 1.0, 1.0
    ends = [_raised(each, power) for each in a]
    if power % 2 == 0 and a[0] <= 0 <= a[1]:
        return 0.0, max(ends)
    return min(ends), max(ends)


def _raised(base: float, power: float) -> float:
    try:
        return math.pow(base, power)
    except OverflowError:
        return math.inf if base > 0 or power % 2 == 0 else -math.inf


def _rising(function: Callable[[float], float], least: float) -> Operation:
    """A rising function of numbers from `least` on; infinite at its pole and beyond what a float holds."""

    def value(at: float) -> float:
        try:
            return function(at)
        except OverflowError:
            return math.inf
        except ValueError:  # a logarithm at 0
            return -math.inf

    def apply(part: Interval) -> Interval:
        return EMPTY if part[1] < least else (value(max(part[0], least)), value(part[1]))

    return _one(apply)


def _absolute(a: Interval) -> Interval:
    ends = abs(a[0]), abs(a[1])
    return (0.0 if a[0] <= 0 <= a[1] else min(ends)), max(ends)


INTERVALS: Mapping[str, Operation] = {
    "+": _two(_sum),
    "-": _two(lambda a, b: _sum(a, _negative(b))),
    "*": _two(_times),
    "/": _two(_over),
    "^": _two(_power),
    "negate": _one(_negative),
    "sqrt": _rising(math.sqrt, 0.0),
    "exp": _rising(math.exp, -math.inf),
    "log": _rising(math.log, 0.0),
    "log10": _rising(math.log10, 0.0),
    "abs": _one(_absolute),
    "min": _two(lambda a, b: (min(a[0], b[0]), min(a[1], b[1]))),
    "max": _two(lambda a, b: (max(a[0], b[0]), max(a[1], b[1]))),
}
