"""A model as bytes: UTF-8 JSON of what was found for each output and a format version; checked when it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from labqueue.problem import Problem

from .data import modelled, needed
from .kinds.kind import Fit
from .kinds.registry import KINDS
from .values import LearningError

FORMAT = 2
LIMIT = 1 << 24


@dataclass(frozen=True)
class Found:
    """kind: the name of the kind that fitted; rows: how many there were, those of the outputs that it learns together
    included, when everything was last compared."""

    kind: str
    fit: Fit
    rows: int


@dataclass(frozen=True)
class State:
    """outputs: what was found for each; asked: the surrogate that the strategy named."""

    outputs: Mapping[str, Found]
    asked: str


def dump(state: State) -> bytes:
    """Raises LearningError where it is larger than is kept."""
    body = {
        "format": FORMAT,
        "asked": state.asked,
        "outputs": {
            name: {"kind": each.kind, "rows": each.rows, "fit": each.fit.to_json()}
            for name, each in sorted(state.outputs.items())
        },
    }
    data = json.dumps(body, sort_keys=True, allow_nan=False, ensure_ascii=False).encode()
    if len(data) > LIMIT:
        raise LearningError(f"The model has {len(data)} bytes; {LIMIT} can be kept.")
    return data


def load(problem: Problem, width: int, data: bytes) -> State:
    """Raises LearningError where the bytes are no state of this format, or of another problem."""
    if len(data) > LIMIT:
        raise LearningError(f"The model state has {len(data)} bytes; {LIMIT} are allowed.")
    try:
        body = json.loads(data)
        if body["format"] != FORMAT:
            raise LearningError(
                f"The model state has format {body['format']!r}; this program reads {FORMAT}."
            )
        every = {each.name for each in modelled(problem)}
        if not body["outputs"] or not needed(problem) <= set(body["outputs"]) <= every:
            raise LearningError("The model state belongs to another problem.")
        outputs = {
            each.name: _found(body["outputs"][each.name], width, len(each.classes))
            for each in modelled(problem)
            if each.name in body["outputs"]
        }
        return State(outputs, str(body["asked"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise LearningError("The model state cannot be read.") from error


def _found(body: Mapping[str, object], width: int, classes: int) -> Found:
    kind, fitted = str(body["kind"]), body["fit"]
    if kind not in KINDS or not isinstance(fitted, dict):
        raise LearningError("The model state names a kind of model that is not known here.")
    rows = body["rows"]
    if not isinstance(rows, int) or rows < 0:
        raise LearningError("The model state holds numbers that no fit gives.")
    return Found(kind, KINDS[kind].read(fitted, width, classes), rows)
