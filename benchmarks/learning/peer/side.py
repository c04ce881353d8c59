"""What the peers have in common: each computes a point when a worker asks for it, with all results in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from benchmarks.learning.vocabulary import Names, Point, Problem, Value, Whole


class Peer(ABC):
    """A `clock.Side`. The first points are those of every method; after them the peer chooses.

    packages   what is installed of it and makes its stamp, beside `revision`
    revision   raised when the way in which we use it changes: its earlier runs then no longer count
    left_out   problems that it has no means for or is not asked
    """

    packages: ClassVar[tuple[str, ...]]
    revision: ClassVar[int] = 1
    left_out: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, problem: Problem, seed: int, first: Sequence[Point]) -> None:
        self.problem, self.seed, self.first = problem, seed, first

    def claim(self, run: int) -> Point:
        if run < len(self.first):
            point = self.first[run]
            self.given(run, point)
            return point
        return self.valid(self.ask(run))

    @abstractmethod
    def given(self, run: int, point: Point) -> None:
        """A run begins at a point that the peer did not choose."""

    @abstractmethod
    def ask(self, run: int) -> Point:
        """The point that the peer chooses for a run that begins now."""

    @abstractmethod
    def record(self, run: int, outputs: Mapping[str, float]) -> None:
        """The result of a run."""

    def valid(self, point: Mapping[str, object]) -> Point:
        """The point in the problem's order and types, clipped to its box."""
        found: dict[str, Value] = {}
        for each in self.problem.parameters:
            value = point[each.name]
            if isinstance(each, Names):
                found[each.name] = str(value)
            elif isinstance(each, Whole):
                found[each.name] = min(max(round(float(str(value))), each.low), each.high)
            else:
                found[each.name] = min(max(float(str(value)), each.low), each.high)
        return found


class WithTables(Peer):
    """A peer that is handed every result and every pending point at each ask."""

    def __init__(self, problem: Problem, seed: int, first: Sequence[Point]) -> None:
        super().__init__(problem, seed, first)
        self.measured: list[tuple[Point, Mapping[str, float]]] = []
        self.pending: dict[int, Point] = {}

    def given(self, run: int, point: Point) -> None:
        self.pending[run] = point

    def ask(self, run: int) -> Point:
        point = self.pending[run] = self.valid(self.choose(run))
        return point

    @abstractmethod
    def choose(self, run: int) -> Point:
        """The point for this run, from `measured` and `pending`."""

    def record(self, run: int, outputs: Mapping[str, float]) -> None:
        self.measured.append((self.pending.pop(run), outputs))
