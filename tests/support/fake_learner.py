"""A learner without torch: its answers depend on nothing but its arguments, and it can be made to fail."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labqueue.problem import Categorical, Continuous, Discrete, Parameter, Problem
from models.domain import records as r
from services.ports import Chosen, Fitted, Snapshot, Suggested

VERSIONS = {"fake": "1"}


def nothing() -> None:
    """What happens while a model is at work, unless a test says otherwise."""


class FakeLearner:
    """`services.ports.Learner`. `meanwhile` runs once in the middle of the next fit or suggestion: it may raise,
    claim, wait or kill. `repeats` are suggested before anything else, once."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], object] = nothing
        self.repeats: list[Mapping[str, Any]] = []
        self.fits = 0
        self.snapshots: list[Snapshot] = []

    def device(self) -> str:
        return "cpu"

    def fit(
        self, problem: Problem, rows: Sequence[r.TrainingRow], warm: bytes | None, seed: int, device: str
    ) -> Fitted:
        self.fits += 1
        self._meanwhile()
        state = _digest(problem.to_json(), _data(rows), warm, seed)
        return Fitted(state, {"rows": len(rows)}, device, VERSIONS)

    def suggest(self, snapshot: Snapshot) -> Suggested:
        self.snapshots.append(snapshot)
        self._meanwhile()
        given, self.repeats = self.repeats, []
        chosen = [Chosen(point, "it was asked for", "suggester") for point in given]
        chosen += [_choose(snapshot, place) for place in range(snapshot.count - len(chosen))]
        return Suggested(tuple(chosen), {"iterations": 1}, snapshot.device, VERSIONS)

    def predict(
        self,
        problem: Problem,
        rows: Sequence[r.TrainingRow],
        model: bytes,
        points: Sequence[Mapping[str, Any]],
        device: str,
    ) -> list[Mapping[str, tuple[float, float]]]:
        self._meanwhile()
        return [
            {output.name: (_number(_digest(point, output.name)), 0.1) for output in problem.outputs}
            for point in points
        ]

    def _meanwhile(self) -> None:
        act, self.meanwhile = self.meanwhile, nothing
        act()


def _choose(snapshot: Snapshot, place: int) -> Chosen:
    """Differs with everything that a snapshot holds."""
    known = [
        _data(snapshot.rows),
        list(snapshot.pending),
        snapshot.seed,
        snapshot.number,
        snapshot.drawn,
        place,
    ]
    luck = random.Random(_digest(known, snapshot.model))
    point = {each.name: _somewhere(each, luck) for each in snapshot.problem.parameters}
    if snapshot.model is None or snapshot.drawn + place < snapshot.strategy.initial:
        return Chosen(point, f"number {snapshot.drawn + place + 1} of the initial design", "design")
    expected = {each.name: (luck.random(), 0.1) for each in snapshot.problem.outputs}
    return Chosen(point, "the model expects the most of it", "suggester", expected)


def _somewhere(parameter: Parameter, luck: random.Random) -> Any:
    if isinstance(parameter, Categorical):
        return luck.choice(parameter.categories)
    if isinstance(parameter, Discrete):
        return luck.choice(parameter.values)
    if isinstance(parameter, Continuous):
        return luck.uniform(parameter.low, parameter.high)
    return luck.randint(parameter.low, parameter.high)


def _data(rows: Sequence[r.TrainingRow]) -> list[Any]:
    return [[row.parameters, dict(row.outputs), dict(row.noise), str(row.outcome)] for row in rows]


def _digest(*parts: Any) -> bytes:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=bytes.hex).encode()).digest()


def _number(digest: bytes) -> float:
    return int.from_bytes(digest[:4], "big") / 2**32
