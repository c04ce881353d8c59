"""A model as bytes: UTF-8 JSON of its hyperparameters and a format version; checked when it is read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from labqueue.problem import Problem

from .encoding import Encoding
from .gp import Hyper
from .likelihood import MATERN, RBF
from .values import LearningError
from .warps import Warp

FORMAT = 1
_LIMIT = 1 << 24


@dataclass(frozen=True)
class State:
    """outputs: hyperparameters by output; rows: how many were fitted; chosen: rows when warps were compared."""

    outputs: Mapping[str, Hyper]
    rows: int
    chosen: int


def dump(state: State) -> bytes:
    body = {
        "format": FORMAT,
        "rows": state.rows,
        "chosen": state.chosen,
        "outputs": {name: asdict(hyper) for name, hyper in sorted(state.outputs.items())},
    }
    return json.dumps(body, sort_keys=True, allow_nan=False, ensure_ascii=False).encode()


def load(problem: Problem, data: bytes) -> State:
    """Raises LearningError where the bytes are no state of this format, or of another problem."""
    if len(data) > _LIMIT:
        raise LearningError(f"The model state has {len(data)} bytes; {_LIMIT} are allowed.")
    try:
        body = json.loads(data)
        if body["format"] != FORMAT:
            raise LearningError(
                f"The model state has format {body['format']!r}; this program reads {FORMAT}."
            )
        outputs = {str(name): _hyper(each) for name, each in body["outputs"].items()}
        state = State(outputs, int(body["rows"]), int(body["chosen"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LearningError("The model state cannot be read.") from error
    width = Encoding(problem).width
    wanted = {objective.output for objective in problem.objectives}
    if set(outputs) != wanted or any(len(each.lengthscales) != width for each in outputs.values()):
        raise LearningError("The model state belongs to another problem.")
    return state


def _hyper(body: Mapping[str, Any]) -> Hyper:
    hyper = Hyper(
        warp=Warp.from_json(body["warp"]),
        kernel=str(body["kernel"]),
        lengthscales=tuple(float(each) for each in body["lengthscales"]),
        outputscale=float(body["outputscale"]),
        noise=float(body["noise"]),
        mean=float(body["mean"]),
        evidence=float(body["evidence"]),
    )
    positive = (*hyper.lengthscales, hyper.outputscale, hyper.noise)
    sound = all(map(math.isfinite, (*positive, hyper.mean, hyper.evidence))) and min(positive) > 0
    if not sound or hyper.kernel not in (RBF, MATERN):
        raise LearningError("The model state holds numbers that no fit gives.")
    return hyper
