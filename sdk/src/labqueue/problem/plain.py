"""Arithmetic on plain numbers as IEEE 754 has it, which arrays follow too: nothing raises.

What is too large is infinite, as is a number divided by zero and the logarithm's pole; what is no real number (0 / 0,
infinity - infinity, a root or a power of a negative number that has none) is nan, and whatever is made of nan is nan.
"""

from __future__ import annotations

import math
from typing import Callable


def divide(one: float, other: float) -> float:
    try:
        return one / other
    except ZeroDivisionError:
        if one == 0 or math.isnan(one):
            return math.nan
        return math.copysign(math.inf, one) * math.copysign(1.0, other)


def power(base: float, exponent: float) -> float:
    """Unlike `math.pow`, nan ** 0 and 1 ** nan are nan, and so is a negative infinity to no whole power."""
    if math.isnan(base) or math.isnan(exponent) or (base < 0 and not _whole(exponent)):
        return math.nan
    try:
        return math.pow(base, exponent)
    except (OverflowError, ValueError):  # too large, or 0 to a negative power
        odd = math.isfinite(exponent) and exponent % 2 == 1
        return math.copysign(math.inf, base) if odd else math.inf


def _whole(exponent: float) -> bool:
    return math.isinf(exponent) or exponent == math.floor(exponent)


def root(value: float) -> float:
    return math.nan if value < 0 else math.sqrt(value)


def exponential(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def logarithm(of: Callable[[float], float]) -> Callable[[float], float]:
    """`of`: math.log or math.log10."""

    def apply(value: float) -> float:
        if value == 0:
            return -math.inf
        return math.nan if value < 0 else of(value)

    return apply


def least(one: float, other: float) -> float:
    return math.nan if math.isnan(one) or math.isnan(other) else min(one, other)


def greatest(one: float, other: float) -> float:
    return math.nan if math.isnan(one) or math.isnan(other) else max(one, other)
