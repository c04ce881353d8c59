"""Calls a learner's methods with plain values, and makes plain values of what they return."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Union

from labqueue.errors import FieldError, InvalidError
from labqueue.problem import Problem

JSON_STATE, BYTES_STATE = b"labqueue-state json\n", b"labqueue-state bytes\n"

#: What a learner may keep from one training to the next: bytes, or JSON values.
State = Any
Point = Mapping[str, Any]


class LearnerError(Exception):
    """What a learner returned is not what was asked of it."""


@dataclass(frozen=True)
class Row:
    """One experiment that was done, in lab units.

    parameters  as they really were where that was reported, context included
    outputs     {name: number, or label}; empty where the conditions could not be run; an outstanding one is missing
    noise       {output: standard deviation} where one was reported
    outcome     "measured" or "infeasible"
    replicates  {output: further values}
    planned     the point that was asked for, which is not to be run again; left out: as `parameters`
    """

    experiment: int
    parameters: Mapping[str, Any]
    outputs: Mapping[str, Union[float, str]] = field(default_factory=dict)
    noise: Mapping[str, float] = field(default_factory=dict)
    outcome: str = "measured"
    replicates: Mapping[str, Sequence[Union[float, str]]] = field(default_factory=dict)
    planned: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.planned:
            object.__setattr__(self, "planned", dict(self.parameters))

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Row:
        """It shares nothing with `body`."""
        return cls(
            experiment=int(body["experiment"]),
            parameters=dict(body.get("parameters") or {}),
            outputs=dict(body.get("outputs") or {}),
            noise=dict(body.get("noise") or {}),
            outcome=str(body.get("outcome") or "measured"),
            replicates={name: list(values) for name, values in (body.get("replicates") or {}).items()},
            planned=dict(body.get("planned") or {}),
        )


class Pupil:
    """A learner as it is called here. Raises InvalidError where it cannot be one."""

    def __init__(self, learner: Any) -> None:
        self._learner = learner
        wrong = []
        if not callable(getattr(learner, "suggest", None)):
            wrong.append(
                FieldError(
                    "suggest", "is missing.", None, "suggest(problem, rows, pending, count, state, seed)"
                )
            )
        if not callable(getattr(learner, "train", lambda: None)):
            wrong.append(
                FieldError("train", "is no method.", None, "train(problem, rows, state), or none at all")
            )
        if wrong:
            kind = type(learner).__name__
            raise InvalidError(f"{kind} is no learner: it needs a method `suggest`.", errors=wrong)

    @property
    def trains(self) -> bool:
        return hasattr(self._learner, "train")

    def train(self, problem: Problem, rows: Sequence[Row], state: State) -> tuple[State, dict[str, Any]]:
        """The new state, and how well it fits. Raises LearnerError, and whatever the learner raises."""
        found = self._learner.train(problem, list(rows), deepcopy(state))
        if isinstance(found, tuple):
            if len(found) != 2 or not isinstance(found[1], Mapping):
                raise LearnerError("train must return a state, or (state, {metric: number}).")
            return found[0], plain(found[1])
        return found, {}

    def suggest(
        self,
        problem: Problem,
        rows: Sequence[Row],
        pending: Sequence[Point],
        count: int,
        state: State,
        seed: int,
    ) -> tuple[list[dict[str, Any]], Any]:
        """`count` candidates as the server takes them, and what the first of them is expected to improve the score by
        (None: the learner does not say). A learner that gives fewer at a time is asked for the rest, with what it gave
        as pending. Raises LearnerError, and whatever the learner raises."""
        found: list[dict[str, Any]] = []
        gain = None
        while len(found) < count:
            flying = [dict(each) for each in (*pending, *(one["parameters"] for one in found))]
            given = self._learner.suggest(
                problem, list(rows), flying, count - len(found), deepcopy(state), (seed + len(found)) % 2**31
            )
            points, said = _with_gain(given)
            if not isinstance(points, (list, tuple)) or not points:
                raise LearnerError(
                    "suggest must return a list of points, and at least one of them, or "
                    '{"candidates": that list, "gain": number}.'
                )
            gain = gain if found else plain(said)
            found += [candidate(each) for each in points]
        return found, gain


def _with_gain(given: Any) -> tuple[Any, Any]:
    if not isinstance(given, Mapping) or "candidates" not in given:
        return given, None
    unknown = [name for name in given if name not in ("candidates", "gain")]
    if unknown:
        raise LearnerError(f"A suggestion has candidates and a gain, but no {unknown[0]!r}.")
    return given["candidates"], given.get("gain")


def candidate(given: Any) -> dict[str, Any]:
    """A point, {name: value}, or {"parameters": point, "expected": {output: (mean, sd)}, "reason": text}."""
    if not isinstance(given, Mapping):
        raise LearnerError(f"A point must be a dict of name: value, not {type(given).__name__}.")
    if not isinstance(given.get("parameters"), Mapping):
        return {"parameters": plain(given)}
    unknown = [name for name in given if name not in ("parameters", "expected", "reason")]
    if unknown:
        raise LearnerError(f"A candidate has parameters, expected and reason, but no {unknown[0]!r}.")
    expected = {}
    for name, value in (given.get("expected") or {}).items():
        if isinstance(value, (list, tuple)) and len(value) == 2:
            value = {"mean": value[0], "sd": value[1]}
        expected[str(name)] = plain(value)
    return {
        "parameters": plain(given["parameters"]),
        "expected": expected,
        "reason": str(given.get("reason") or ""),
    }


def plain(value: Any) -> Any:
    """JSON that the server can judge: numbers of numpy and torch as plain ones, and what is no finite number as text."""
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each) for each in value]
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    for name in ("tolist", "item"):
        change = getattr(value, name, None)
        if callable(change):
            return plain(change())
    return str(value)


def write_state(state: State) -> bytes:
    """As it is kept; None is no state. Raises LearnerError."""
    if state is None:
        return b""
    if isinstance(state, (bytes, bytearray, memoryview)):
        return BYTES_STATE + bytes(state)
    try:
        return JSON_STATE + json.dumps(state, default=_listed).encode()
    except (TypeError, ValueError) as error:
        raise LearnerError(
            f"train must return bytes or JSON values (dicts, lists, numbers, text): {error}. Write anything else as bytes."
        ) from None


def read_state(kept: bytes) -> State:
    """What `train` returned (tuples as lists). Raises LearnerError."""
    if not kept:
        return None
    if kept.startswith(BYTES_STATE):
        return kept[len(BYTES_STATE) :]
    if kept.startswith(JSON_STATE):
        return json.loads(kept[len(JSON_STATE) :])
    raise LearnerError("The state was not written by this kind of program.")


def _listed(value: Any) -> Any:
    change = getattr(value, "tolist", None)
    if callable(change):
        return change()
    raise TypeError(f"{type(value).__name__} is neither")
