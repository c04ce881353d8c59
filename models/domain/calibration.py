"""Whether what was expected of experiments came true: stored expectations against measured values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

#: Half widths of the central 50 % and 95 % of a normal distribution, in standard deviations.
_HALF, _MOST = 0.67449, 1.95996


@dataclass(frozen=True)
class Calibration:
    """Of one output; lab units.

    n           values that were foretold and measured
    coverage50, coverage95  the share that came within the central 50 and 95 % of what was expected: near 0.5 and 0.95
                where the model is honest, lower where it is too sure of itself
    z_mean, z_sd  mean and standard deviation of (measured - mean) / sd: 0 and 1 where it is honest; None of too few
                or where the model claimed to know exactly
    rmse        of the expected means
    """

    n: int
    coverage50: float | None
    coverage95: float | None
    z_mean: float | None
    z_sd: float | None
    rmse: float | None


def calibration(values: Iterable[tuple[float, float, float]]) -> Calibration:
    """Of (mean expected, standard deviation expected, measured); what is not finite is left out."""
    known = [each for each in values if all(map(math.isfinite, each)) and each[1] >= 0]
    if not known:
        return Calibration(0, None, None, None, None, None)
    z = [(measured - mean) / sd for mean, sd, measured in known if sd > 0]
    middle = math.fsum(z) / len(z) if z else None
    spread = None
    if middle is not None and len(z) > 1:
        spread = math.sqrt(math.fsum((each - middle) ** 2 for each in z) / (len(z) - 1))
    return Calibration(
        len(known),
        _within(known, _HALF),
        _within(known, _MOST),
        middle,
        spread,
        math.sqrt(math.fsum((measured - mean) ** 2 for mean, _, measured in known) / len(known)),
    )


def _within(known: list[tuple[float, float, float]], width: float) -> float:
    return sum(abs(measured - mean) <= width * sd for mean, sd, measured in known) / len(known)
