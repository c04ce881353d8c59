"""Four workers on a simulated clock, the same for every method. Standard library and numpy alone.

Two workers are ten times slower than the other two. A run's duration is log-normal and depends on the seed, the worker
and how many runs it has begun, so that every method meets the same durations; results come back out of order.
"""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from .vocabulary import Point, Problem

SPEEDS = (1.0, 1.0, 10.0, 10.0)  # median duration of each worker, in units of the fast ones'
SPREAD = 0.4  # of the logarithm of a duration
TRAINING = (
    0.05  # from the end of a run to the model that knows its result, where a method trains beside the runs
)
#: Raised when anything here changes that a result depends on: earlier runs then no longer count.
VERSION = 1

RESULT, MODEL = "result", "model"


class Side(Protocol):
    """A method in one campaign. A worker waits for what a claim computes, in no simulated time."""

    def claim(self, run: int) -> Point:
        """The parameters of run number `run` (0, 1, ...)."""

    def record(self, run: int, outputs: Mapping[str, float]) -> None:
        """The result of a run that was claimed earlier."""


@runtime_checkable
class Trainer(Protocol):
    """What a side has besides where it learns beside the runs."""

    def train(self) -> None:
        """Called after a result unless a training is going on; then once more when that is ready."""

    def ready(self) -> None:
        """What the last `train` made may be used from now on."""


@dataclass
class Costs:
    """Seconds of each call, with the number of results that were in. `cpu` counts this process alone."""

    n: list[int] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    @contextmanager
    def of(self, n: int) -> Iterator[None]:
        """Notes what runs inside."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.n.append(n)
        self.cpu.append(round(time.process_time() - cpu, 3))
        self.wall.append(round(time.perf_counter() - wall, 3))

    def to_json(self) -> dict[str, list[float]]:
        return {"n": [*self.n], "cpu": self.cpu, "wall": self.wall}


@dataclass
class Campaign:
    """What one campaign gave: the outputs in the order in which they came, and what the method's calls took.

    asks       what a claim leads to
    tells      what a result leads to at once
    trainings  what it leads to beside the runs: `train` and `ready`, each for itself
    """

    results: list[Mapping[str, float]] = field(default_factory=list)
    asks: Costs = field(default_factory=Costs)
    tells: Costs = field(default_factory=Costs)
    trainings: Costs = field(default_factory=Costs)


def run(problem: Problem, side: Side, seed: int) -> Campaign:
    """`problem.budget` results of one campaign."""
    found = Campaign()
    events: list[tuple[float, int, str, int, int]] = []
    ties, runs = itertools.count(), itertools.count()
    begun = dict.fromkeys(range(len(SPEEDS)), 0)
    points: dict[int, Point] = {}
    trainer = side if isinstance(side, Trainer) else None
    training = due = False

    def start(worker: int, now: float) -> None:
        number = next(runs)
        with found.asks.of(len(found.results)):
            points[number] = side.claim(number)
        took = duration(seed, worker, begun[worker])
        begun[worker] += 1
        heapq.heappush(events, (now + took, next(ties), RESULT, worker, number))

    for worker in begun:
        start(worker, 0.0)
    while True:
        now, _, kind, worker, number = heapq.heappop(events)
        if kind == RESULT:
            outputs = problem.measure(points.pop(number))
            found.results.append(outputs)
            if len(found.results) == problem.budget:
                return found
            with found.tells.of(len(found.results)):
                side.record(number, outputs)
            start(worker, now)
            due = True
        elif trainer:
            with found.trainings.of(len(found.results)):
                trainer.ready()
            training = False
        # One training at a time: what arrives meanwhile is coalesced into one more.
        if trainer and due and not training:
            with found.trainings.of(len(found.results)):
                trainer.train()
            training, due = True, False
            heapq.heappush(events, (now + TRAINING, next(ties), MODEL, 0, 0))


def duration(seed: int, worker: int, begun: int) -> float:
    """How long the run takes that this worker begins after `begun` others."""
    noise = np.random.default_rng([VERSION, seed, worker, begun]).standard_normal()
    return SPEEDS[worker] * math.exp(SPREAD * float(noise))
