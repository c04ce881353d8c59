"""What goes into learning and what comes out: frozen, plain values in lab units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labqueue.problem import Problem, Value
from labqueue.strategy import Strategy

Point = Mapping[str, Value]

#: The name under which the weighted sum of the objectives appears beside the outputs.
SCORE = "score"

DESIGN, SUGGESTER = "design", "suggester"


class LearningError(Exception):
    """A model cannot be made or read; the message says why in plain words."""


@dataclass(frozen=True)
class Observation:
    """One trained-on row: the actual parameters and what was measured.

    outcome  `measured` or `infeasible`; `suspect` rows are not handed in
    """

    parameters: Point
    score: float | None
    outputs: Mapping[str, float]
    outcome: str = "measured"


@dataclass(frozen=True)
class Snapshot:
    """Everything that a suggestion is a function of.

    seed      the campaign's; number is the suggestion's: the only randomness
    pending   points staged, proposed, leased, held or partial
    designed  points of the initial design that were drawn already
    model     state from an earlier `fit`, or None: then suggesting fits one itself
    count     candidates wanted
    deadline_seconds  None: effort is counted in iterations alone, so that the answer can be repeated
    """

    problem: Problem
    strategy: Strategy
    seed: int
    number: int
    rows: tuple[Observation, ...] = ()
    pending: tuple[Point, ...] = ()
    designed: int = 0
    model: bytes | None = None
    count: int = 1
    device: str = "cpu"
    deadline_seconds: float | None = None


@dataclass(frozen=True)
class Candidate:
    """A point to run, why, and what the model expects there: name -> (mean, standard deviation)."""

    parameters: Point
    reason: str
    expected: Mapping[str, tuple[float, float]]
    origin: str


@dataclass(frozen=True)
class Suggestion:
    """effort: `raw` points scored, `starts` and `iterations` of the search, `cut` by a deadline or not."""

    candidates: tuple[Candidate, ...]
    effort: Mapping[str, Any]
    device: str
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fitted:
    """state: small JSON that `suggest` and `predict` read; metrics: how good the model is, plain numbers."""

    state: bytes
    metrics: Mapping[str, Any]
    device: str
