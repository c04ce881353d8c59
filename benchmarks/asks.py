"""What a model costs in processor time: from a result to a queue in order, an ask alone, and 500 candidates in order.

The problem is Hartmann6; a third of its rows lie around the best of the others, as a campaign leaves them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.figures import Figure, percentile
from benchmarks.learning import ours
from benchmarks.learning.problems import make
from labqueue.strategy import Strategy
from models.surrogates import design, learner
from models.surrogates.encoding import Encoding
from models.surrogates.values import Observation, Point, Snapshot

NAME, SEED = "hartmann6", 3
TIMES = 10
FLYING, STAGED, MANY = 3, 4, 500


class Campaign:
    """A model of `count` rows, less those of the results that are to come."""

    def __init__(self, count: int) -> None:
        task = make(NAME, SEED)
        self.problem, self.strategy = ours.translated(task), Strategy()
        self.encoding = Encoding(self.problem)
        (self.output,) = task.outputs
        drawn = design.points(self.encoding, SEED, 0, count - count // 3)
        rows = [self._measured(task.measure, point) for point in drawn]
        best = min(rows, key=lambda row: row.outputs[self.output])
        near = [self._measured(task.measure, point) for point in self.around(best.parameters, count // 3)]
        self.rows = [*rows, *near]
        self.further = [self._measured(task.measure, each) for each in self.around(best.parameters, TIMES, 2)]
        self.staged = tuple(self.around(best.parameters, MANY, 3))
        self.model = self.fit(self.rows, None)

    def _measured(self, measure: Callable[[Point], Mapping[str, Any]], point: Point) -> Observation:
        return Observation(point, measure(point))

    def around(self, point: Point, count: int, seed: int = 1) -> list[Point]:
        steps = 0.1 * np.random.default_rng(seed).standard_normal((count, self.encoding.width))
        rows = np.clip(self.encoding.encode([point]) + steps, 0, 1)
        return [each for each in self.encoding.decode_many(rows) if each is not None]

    def fit(self, rows: list[Observation], warm: bytes | None) -> bytes:
        return learner.fit(self.problem, self.strategy, rows, warm, SEED).state

    def ask(self, rows: list[Observation], model: bytes, number: int, count: int, staged: int) -> None:
        learner.suggest(
            Snapshot(
                self.problem,
                self.strategy,
                SEED,
                number,
                rows=tuple(rows),
                pending=self.staged[-FLYING:],
                designed=len(rows),
                model=model,
                count=count,
                staged=self.staged[:staged],
            )
        )

    def alone(self, number: int) -> None:
        self.ask(self.rows, self.model, number, 1, 0)

    def refreshed(self, number: int) -> None:
        """One result more, its model, and the queue in the order that this one gives."""
        rows = [*self.rows, self.further[number]]
        self.ask(rows, self.fit(rows, self.model), number, 1, STAGED)

    def in_order(self, number: int) -> None:
        self.ask(self.rows, self.model, number, 0, MANY)


def run() -> list[Figure]:
    torch.set_num_threads(1)
    few, some, many = Campaign(50), Campaign(200), Campaign(1000)
    return [
        _figure("ask at 50 rows", few.alone, 0.5),
        _figure("ask at 1,000 rows", many.alone, 1.0),
        _figure("result to refreshed queue at 50 rows", few.refreshed, 2.0),
        _figure("result to refreshed queue at 200 rows", some.refreshed, 2.0),
        _figure("result to refreshed queue at 1,000 rows", many.refreshed, 5.0),
        _figure(f"{MANY} staged put in order at 200 rows", some.in_order, 0.3),
    ]


def _figure(name: str, step: Callable[[int], None], most: float) -> Figure:
    seconds = [_cpu(partial(step, number)) for number in range(TIMES)]
    middle = f"median {percentile(seconds, 0.5):.2f} s of {TIMES}"
    return Figure(f"{name}, processor time p95", percentile(seconds, 0.95), "s", most=most, baseline=middle)


def _cpu(step: Callable[[], None]) -> float:
    began = time.process_time()
    step()
    return time.process_time() - began
