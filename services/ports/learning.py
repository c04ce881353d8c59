"""The learner, and what it is asked and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from labqueue.problem import Problem
from labqueue.strategy import Strategy
from models.domain import records as r


@dataclass(frozen=True)
class Snapshot:
    """What a suggestion is a pure function of. Parameters in lab units.

    pending  points in flight that keep their places; staged  candidates that may give way, in their order
    failed   points whose experiments were given up: as if each had been reported to be infeasible
    count    candidates wanted beside the staged ones
    """

    problem: Problem
    strategy: Strategy
    seed: int
    number: int
    rows: tuple[r.TrainingRow, ...]
    pending: tuple[Mapping[str, Any], ...]
    drawn: int  # of the initial design, so far
    model: bytes | None
    count: int
    device: str = "cpu"
    deadline_seconds: float | None = None
    staged: tuple[Mapping[str, Any], ...] = ()
    failed: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Chosen:
    """A candidate: where, why in a plain sentence, and what the model expects (mean and sd, lab units).

    staged  the place in `Snapshot.staged` of the candidate that this one is; None: a new one
    """

    parameters: Mapping[str, Any]
    reason: str
    origin: str  # design, suggester
    expected: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    staged: int | None = None


@dataclass(frozen=True)
class Suggested:
    """candidates  in the order in which they should be claimed; staged ones that are not among them give way
    gain        what the first of them is expected to improve the score by; None where no model chose"""

    candidates: tuple[Chosen, ...]
    effort: Mapping[str, Any]
    device: str
    versions: Mapping[str, str]
    gain: float | None = None


@dataclass(frozen=True)
class Fitted:
    state: bytes
    metrics: Mapping[str, Any]
    device: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class HeldOut:
    """Measured values of one output and what a model foretold that had not seen them: mean and sd of a measurement.
    Lab units; in the order in which they came. `rows`: how many values there were.
    """

    rows: int
    observed: tuple[float, ...]
    predicted: tuple[float, ...]
    sd: tuple[float, ...]


class Learner(Protocol):
    """Torch and everything behind it. Pure: equal arguments, equal answer."""

    def device(self, rows: int) -> str:
        """Where a problem of so many rows is computed best on this machine: cpu, cuda."""

    def fit(
        self,
        problem: Problem,
        strategy: Strategy,
        rows: Sequence[r.TrainingRow],
        warm: bytes | None,
        seed: int,
        device: str,
    ) -> Fitted:
        """`warm`: the state of the last fit of this campaign, a hint."""

    def suggest(self, snapshot: Snapshot) -> Suggested: ...
    def predict(
        self,
        problem: Problem,
        rows: Sequence[r.TrainingRow],
        model: bytes,
        points: Sequence[Mapping[str, Any]],
        device: str,
    ) -> list[Mapping[str, tuple[float, float]]]: ...
    def validate(
        self,
        problem: Problem,
        strategy: Strategy,
        rows: Sequence[r.TrainingRow],
        model: bytes,
        sizes: Sequence[int],
        seed: int,
        device: str,
    ) -> Mapping[str, Sequence[HeldOut]]:
        """By output that is a number: all its rows as the model foretells each without it, then the first so many as
        models of these do; sizes that no model can be made of are left out."""
