"""Hammersley's points: radical inverses in the first primes, and the point's own place as the last coordinate.

Hammersley, Ann. N. Y. Acad. Sci. 86 (1960) 844.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.fronts.alchemist.refusals import INFEASIBLE, Refusal
from services.fronts.alchemist.sessions.session import Constraint

from .factors import Factor, Point, keeps

_MOST = 100_000
_GROWTH = 1.2


def points(factors: Sequence[Factor], count: int, rules: Sequence[Constraint]) -> list[Point]:
    """So many that keep the rules: of ever larger sets. Raises Refusal (400) where hardly any point does."""
    size = count
    while size <= _MOST:
        found = [each for each in _set(factors, size) if keeps(each, rules)]
        if len(found) >= count:
            return found[:count]
        size = int(min(max(size * _GROWTH * count / max(len(found), 1), size * 1.1 + 1), 10 * size))
    raise Refusal(
        "The constraints leave so little of the ranges that no hammersly design lands there. Use lhs or sobol, which "
        "go inside.",
        INFEASIBLE,
    )


def _set(factors: Sequence[Factor], size: int) -> list[Point]:
    bases = _primes(len(factors) - 1)
    return [
        {
            each.name: each.share(_inverse(number, base) if base else number / size)
            for each, base in zip(factors, [*bases, 0], strict=True)
        }
        for number in range(size)
    ]


def _inverse(number: int, base: int) -> float:
    """The digits mirrored behind the point."""
    found, step = 0.0, 1 / base
    while number:
        number, digit = divmod(number, base)
        found += digit * step
        step /= base
    return found


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % each for each in found):
            found.append(number)
        number += 1
    return found
