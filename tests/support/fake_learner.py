"""A learner without torch: its answers depend on nothing but its arguments, and it can be made to fail."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labqueue.problem import Categorical, Continuous, Discrete, Fixed, Integer, Parameter, Problem
from labqueue.strategy import DESIGN, Strategy
from models.domain import records as r
from services.ports import Chosen, Fitted, HeldOut, Snapshot, Suggested

VERSIONS = {"fake": "1"}


def nothing() -> None:
    """What happens while a model is at work, unless a test says otherwise."""


class FakeLearner:
    """`services.ports.Learner`. Until a test says otherwise every staged candidate gives way to a new one.

    meanwhile  runs once in the middle of the next fit or suggestion: it may raise, claim, wait or kill
    repeats    are suggested before anything else, once
    order      the answer's order: the place of a staged candidate that is kept, or None for a new one
    most       no more candidates than this, as where a finite space is used up
    gain       what the first candidate is said to improve the score by
    metrics    of the next fits; effort  of the next suggestions
    """

    def __init__(self) -> None:
        self.meanwhile: Callable[[], object] = nothing
        self.repeats: list[Mapping[str, Any]] = []
        self.order: Sequence[int | None] | None = None
        self.most: int | None = None
        self.gain: float | None = None
        self.metrics: Mapping[str, Any] = {}
        self.effort: Mapping[str, Any] = {"iterations": 1}
        self.fits = 0
        self.snapshots: list[Snapshot] = []

    def device(self, rows: int) -> str:
        return "cpu"

    def fit(
        self,
        problem: Problem,
        strategy: Strategy,
        rows: Sequence[r.TrainingRow],
        warm: bytes | None,
        seed: int,
        device: str,
    ) -> Fitted:
        self.fits += 1
        self._meanwhile()
        state = _digest(problem.to_json(), strategy.surrogate, _data(rows), warm, seed)
        return Fitted(state, {"rows": len(rows), **self.metrics}, device, VERSIONS)

    def suggest(self, snapshot: Snapshot) -> Suggested:
        self.snapshots.append(snapshot)
        self._meanwhile()
        given, self.repeats = self.repeats, []
        chosen = [Chosen(point, "it was asked for", "suggester") for point in given]
        order = self.order
        if order is None or not snapshot.staged:
            order = [None] * (len(snapshot.staged) + snapshot.count - len(chosen))
        chosen += [
            _choose(snapshot, place) if staged is None else _keep(snapshot, staged)
            for place, staged in enumerate(order)
        ]
        return Suggested(tuple(chosen[: self.most]), self.effort, snapshot.device, VERSIONS, self.gain)

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
        """Every row is foretold 0.5 too high at first, and ever better with more rows."""
        self._meanwhile()
        found: dict[str, list[HeldOut]] = {}
        for output in problem.outputs:
            known = [row.outputs[output.name] for row in rows if output.name in row.outputs]
            pieces = [known, *(known[:size] for size in sizes if size <= len(known))]
            found[output.name] = [
                HeldOut(
                    len(each),
                    tuple(each),
                    tuple(value + 0.5 / len(each) for value in each),
                    (0.1,) * len(each),
                )
                for each in pieces
                if each
            ]
        return found

    def _meanwhile(self) -> None:
        act, self.meanwhile = self.meanwhile, nothing
        act()


def _choose(snapshot: Snapshot, place: int) -> Chosen:
    """Differs with everything that a snapshot holds."""
    known = [
        _data(snapshot.rows),
        list(snapshot.pending),
        list(snapshot.staged),
        snapshot.seed,
        snapshot.number,
        snapshot.drawn,
        place,
    ]
    luck = random.Random(_digest(known, snapshot.model))
    values = {each.name: _somewhere(each, luck) for each in snapshot.problem.planned}
    point = {each.name: values[each.name] for each in snapshot.problem.active(values)}
    if snapshot.strategy.method == DESIGN:
        return Chosen(point, f"number {snapshot.drawn + place + 1} of the design", "design")
    if snapshot.model is None or snapshot.drawn + place < snapshot.strategy.initial:
        return Chosen(point, f"number {snapshot.drawn + place + 1} of the initial design", "design")
    expected = {each.name: (luck.random(), 0.1) for each in snapshot.problem.outputs}
    return Chosen(point, "the model expects the most of it", "suggester", expected)


def _keep(snapshot: Snapshot, place: int) -> Chosen:
    """A staged candidate, and what this model expects of it now."""
    point = snapshot.staged[place]
    luck = random.Random(_digest(point, snapshot.model))
    expected = {each.name: (luck.random(), 0.1) for each in snapshot.problem.outputs}
    return Chosen(point, "it is still the best that is known", "suggester", expected, staged=place)


def _somewhere(parameter: Parameter, luck: random.Random) -> Any:
    if isinstance(parameter, Fixed):
        return parameter.value
    if isinstance(parameter, Categorical):
        return luck.choice([each for each in parameter.categories if each not in parameter.unavailable])
    if isinstance(parameter, Discrete):
        return luck.choice(parameter.values)
    if isinstance(parameter, Integer):
        return luck.randint(int(parameter.low), int(parameter.high))
    assert isinstance(parameter, Continuous), "a planned point has no context"
    return parameter.nearest(luck.uniform(parameter.low, parameter.high))


def _data(rows: Sequence[r.TrainingRow]) -> list[Any]:
    return [[row.parameters, dict(row.outputs), dict(row.noise), str(row.outcome)] for row in rows]


def _digest(*parts: Any) -> bytes:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=bytes.hex).encode()).digest()


def _number(digest: bytes) -> float:
    return int.from_bytes(digest[:4], "big") / 2**32
