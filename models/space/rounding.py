"""Values that an instrument can set and a person can read."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labqueue.problem import Continuous, Discrete, Integer, Numeric, Value

Array = NDArray[np.float64]

#: A continuous value is rounded to about a millionth of its range, on a log scale to six digits.
DIGITS = 6
#: More decimals than this are none.
_FINEST = 300
#: So many values are listed at most; beyond, each is reckoned when it is needed.
LISTED = 10_000


def levels(parameter: Numeric) -> Array | None:
    """The values that it may have, rising; None where they are not countable or too many to list."""
    if isinstance(parameter, Integer):
        few = parameter.high - parameter.low < LISTED
        return np.arange(parameter.low, parameter.high + 1, dtype=np.float64) if few else None
    if isinstance(parameter, Continuous):
        if parameter.step is None or parameter.steps >= LISTED:
            return None
        raw = (parameter.low + place * parameter.step for place in range(parameter.steps + 1))
        return np.array([parameter.nearest(each) for each in raw])
    return np.array(parameter.values)


def readable(parameter: Continuous, values: Array) -> Array:
    """Rounded, and never out of bounds; on its step where it has one."""
    if parameter.step is not None:
        return np.array([parameter.nearest(float(each)) for each in values])
    if parameter.log:
        rounded = np.array([float(f"{each:.{DIGITS}g}") for each in values])
    else:
        places = decimals(parameter)
        rounded = values if places > _FINEST else np.round(values, places)
    return np.asarray(np.clip(rounded, parameter.low, parameter.high), dtype=np.float64)


def decimals(parameter: Continuous) -> int:
    """How many decimals a value on a linear scale is rounded to (below 0: to tens, hundreds, ...)."""
    return DIGITS - math.floor(math.log10(parameter.high - parameter.low))


def span(parameter: Numeric) -> tuple[float, float]:
    if isinstance(parameter, Discrete):
        return min(parameter.values), max(parameter.values)
    return float(parameter.low), float(parameter.high)


def numeric(parameter: Any) -> Numeric:
    assert isinstance(parameter, (Continuous, Integer, Discrete)), "numbers only"
    return parameter


def allowed(parameter: Numeric, value: float) -> Value:
    """The nearest value that the parameter may have."""
    if isinstance(parameter, Integer):
        return min(max(round(value), parameter.low), parameter.high)
    if isinstance(parameter, Discrete):
        return min(parameter.values, key=lambda each: abs(each - value))
    return parameter.nearest(value)
