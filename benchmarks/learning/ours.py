"""Labqueue's side: the product's triggers around its pure functions, with the default strategy and nothing set.

Candidates are kept staged ahead; a free worker takes the next one at once, and the queue is filled again. A training
follows each result, and when its model is ready the candidates that a model had chosen are put in order again: they stay,
move or give way to better ones. What belongs to the initial design keeps its place.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import labqueue
from labqueue.problem import Problem
from labqueue.strategy import Strategy
from models import surrogates
from models.domain import staging_depth
from models.surrogates import design, learner
from models.surrogates.encoding import Encoding
from models.surrogates.seeds import seed_for
from models.surrogates.values import DESIGN, Candidate, Observation, Point, Snapshot
from services.flow.planning import FEWEST_ROWS

from . import clock, points, vocabulary
from .problems import NAMES, make
from .vocabulary import Names, Whole

METHOD = "labqueue"


def translated(problem: vocabulary.Problem) -> Problem:
    """The problem in Labqueue's own words."""
    several = len(problem.aims) > 1
    return Problem.from_json(
        {
            "parameters": [_parameter(each) for each in problem.parameters],
            "outputs": [{"name": name} for name in problem.outputs],
            "objectives": [
                {
                    "output": aim.output,
                    "goal": aim.goal,
                    **({"reference": aim.reference} if several else {}),
                }
                for aim in problem.aims
            ],
            **({"combine": "pareto"} if several else {}),
            "outcome_constraints": [
                {"output": name, "operator": "<=", "bound": most} for name, most in problem.limits
            ],
        }
    )


def _parameter(parameter: vocabulary.Parameter) -> dict[str, Any]:
    if isinstance(parameter, Names):
        return {"name": parameter.name, "kind": "categorical", "categories": list(parameter.values)}
    kind = "integer" if isinstance(parameter, Whole) else "continuous"
    return {"name": parameter.name, "kind": kind, "low": parameter.low, "high": parameter.high}


def write_first_points() -> None:
    """The file of first points, made again; the same bytes as long as design and problems stay the same."""
    count = Strategy().initial
    found = {
        name: {str(seed): _designed(make(name, seed), seed, count) for seed in range(points.SEEDS)}
        for name in NAMES
    }
    points.FILE.write_text(json.dumps(found) + "\n", encoding="utf-8")


def _designed(problem: vocabulary.Problem, seed: int, count: int) -> list[Point]:
    return design.points(Encoding(translated(problem)), seed_for("design", seed), 0, count)


def fingerprint() -> str:
    """Changes with any source of the learning code: models/surrogates, models/space, the SDK's problem and strategy."""
    sdk, models = Path(labqueue.__file__).parent, Path(surrogates.__path__[0]).parent
    folders = (models / "surrogates", models / "space", sdk / "problem")
    digest = hashlib.sha256()
    for path in sorted([*(each for folder in folders for each in folder.rglob("*.py")), sdk / "strategy.py"]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


class Labqueue:
    """What stands in the product's queue and when that changes. A `clock.Side`."""

    def __init__(self, problem: Problem, seed: int, strategy: Strategy | None = None) -> None:
        self.problem, self.seed, self.strategy = problem, seed, strategy or Strategy()
        # One instrument for each worker, which asks for one run; durations do not make it more.
        loads = [staging_depth.Load(1, 1)] * len(clock.SPEEDS)
        self.depth = self.strategy.depth or staging_depth.depth(loads, (), late=0.0)
        self.rows: list[Observation] = []
        self.leased: dict[int, Point] = {}
        self.queue: list[Candidate] = []
        self.model: bytes | None = None
        self.trained: bytes | None = None
        self.designed = 0
        self.numbers = itertools.count()
        self.fill([])

    def claim(self, run: int) -> Point:
        point = self.leased[run] = self.queue.pop(0).parameters
        self.fill([])
        return point

    def record(self, run: int, outputs: Mapping[str, float]) -> None:
        self.rows.append(Observation(self.leased.pop(run), outputs))

    def train(self) -> None:
        if len(self.rows) >= FEWEST_ROWS:
            fitted = learner.fit(self.problem, self.strategy, self.rows, self.model, self.seed)
            self.trained = fitted.state

    def ready(self) -> None:
        self.model = self.trained
        if self.model is not None:
            self.fill([each for each in self.queue if each.origin != DESIGN])

    def fill(self, waiting: list[Candidate]) -> None:
        """As many as are missing are staged. Those `waiting` are put in order with them, or give way."""
        missing = self.depth - len(self.queue)
        if missing <= 0 and not waiting:
            return
        kept = [each for each in self.queue if each not in waiting]
        snapshot = Snapshot(
            self.problem,
            self.strategy,
            self.seed,
            next(self.numbers),
            rows=tuple(self.rows),
            pending=(*self.leased.values(), *(each.parameters for each in kept)),
            designed=self.designed,
            model=self.model,
            count=max(missing, 0),
            staged=tuple(each.parameters for each in waiting),
        )
        found = learner.suggest(snapshot).candidates
        self.designed += sum(each.origin == DESIGN for each in found)
        self.queue = [*kept, *found]
