"""What a problem of the benchmark is made of: plain values of the standard library."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Value = float | int | str
Point = Mapping[str, Value]
Measure = Callable[[Point], "dict[str, float]"]

MINIMIZE, MAXIMIZE = "minimize", "maximize"


@dataclass(frozen=True)
class Real:
    """A real number in [low, high]."""

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class Whole:
    """A whole number from low to high."""

    name: str
    low: int
    high: int


@dataclass(frozen=True)
class Names:
    """One of some names, in no order."""

    name: str
    values: tuple[str, ...]


Parameter = Real | Whole | Names


@dataclass(frozen=True)
class Aim:
    """An output to be optimized. `reference`: its worst value that still counts, where there are two aims."""

    output: str
    goal: str = MINIMIZE
    reference: float | None = None

    @property
    def sign(self) -> float:
        """+1 where less is better."""
        return 1.0 if self.goal == MINIMIZE else -1.0


@dataclass(frozen=True)
class Problem:
    """One instance.

    limits   outputs that must not exceed a value
    best     the least value of the one aim within the limits, or the greatest hypervolume of two
    start    the regret of a campaign that has nothing valid yet
    floor    regrets below it count as it
    at       where the one aim is best, or the front lies, as values of the last parameters
    version  to be raised when the definition changes: earlier runs then no longer count
    """

    name: str
    parameters: tuple[Parameter, ...]
    measure: Measure
    aims: tuple[Aim, ...]
    budget: int
    best: float
    start: float = math.inf
    floor: float = 1e-6
    limits: tuple[tuple[str, float], ...] = ()
    at: tuple[tuple[float, ...], ...] = ()
    version: int = 1

    @property
    def outputs(self) -> tuple[str, ...]:
        return (*(aim.output for aim in self.aims), *(name for name, _ in self.limits))

    @property
    def boxed(self) -> bool:
        """Whether every parameter is a real number."""
        return all(isinstance(each, Real) for each in self.parameters)
