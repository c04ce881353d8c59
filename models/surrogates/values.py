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
    """One experiment as training sees it, in lab units.

    parameters  actual ones where reported, planned ones else, the context among them; {"row": id} of a pool
    outputs     what was measured; outputs that are outstanding are left out. A label is its place among the classes
    noise       standard deviations that came with the result
    replicates  further values of the same output from the same experiment
    outcome     `measured` or `infeasible`; `suspect` and withdrawn results are not handed in
    planned     the point that was asked for; None: as `parameters`
    """

    parameters: Point
    outputs: Mapping[str, float]
    noise: Mapping[str, float] = field(default_factory=dict)
    outcome: str = "measured"
    replicates: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    planned: Point | None = None

    @property
    def asked(self) -> Point:
        """What is not to be run again; a context may be among it."""
        return self.parameters if self.planned is None else self.planned


@dataclass(frozen=True)
class Snapshot:
    """Everything that a suggestion is a function of.

    seed      the campaign's; number is the suggestion's: the only randomness
    pending   points staged, proposed, leased, held or partial that keep their places
    staged    candidates that may give way to better ones, in the order in which they would be claimed
    designed  points of the initial design that were drawn already
    model     state from an earlier `fit`, or None: then suggesting fits one itself
    count     candidates wanted beside those in `staged`
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
    staged: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """A point to run, why, and what the model expects there: name -> (mean, standard deviation).

    staged  the place in `Snapshot.staged` of the candidate that this one is: it is kept, with what the model expects
            of it now; None: a new one
    """

    parameters: Point
    reason: str
    expected: Mapping[str, tuple[float, float]]
    origin: str
    staged: int | None = None


@dataclass(frozen=True)
class Suggestion:
    """candidates: in the order in which they should be claimed, at most len(staged) + count of them; a staged
    candidate that is not among them gives way.

    effort: `raw` points looked at, `starts` of climbs, `evaluations` of acquisition functions (of many points each),
    `cut` by a deadline or not
    gain: the expected improvement of the score that the first candidate promises (score units; of the hypervolume
    where a front is wanted); None where no model chose
    """

    candidates: tuple[Candidate, ...]
    effort: Mapping[str, Any]
    device: str
    versions: Mapping[str, str] = field(default_factory=dict)
    gain: float | None = None


@dataclass(frozen=True)
class Fitted:
    """state: small JSON that `suggest` and `predict` read; metrics: how good the model is, plain numbers."""

    state: bytes
    metrics: Mapping[str, Any]
    device: str
