"""generate_training_data: the training set, condition by condition."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labqueue.errors import LabqueueError

from .campaign import SUGGESTION, TRAINING, Held
from .const import REACTIONS_DATA_FILENAME
from .desk import Desk, desk_for
from .files import read_training
from .project import take_in, write_data
from .scope import Scope, Value
from .telling import Told, answered, read_told, same_call, tell

PHASE = "training"


def generate_training_data(
    exp_dir: Any, config: Mapping[str, Any], parameters: Sequence[Any] = (), obj_values: Any = (),
    filename: str = REACTIONS_DATA_FILENAME, termination: bool = False,
) -> list[Any] | None:  # fmt: skip
    """Takes the result of the condition that was handed out last, and hands out the next one.

    A condition is a list: an int where bounds and resolution are ints, else a numpy.float64, and category names.
    None with `termination`, and when nothing of the training set is left. Raises ValueError that names the field
    (nothing is written then), FileNotFoundError without training_combo.csv, labqueue.UnavailableError when the server
    stays away: what was told is kept in exp_dir and sent by the next call.
    """
    desk = desk_for(exp_dir, config, filename)
    told = [read_told(desk.scope, parameters, obj_values)] if len(parameters) else []
    with desk.turn():
        items, held = settle(desk, told)
        if termination:
            return None
        items = items or _next(desk, held)
        answered(desk, items)
    return _shown(desk.scope, items[0]["planned"]) if items else None


def settle(desk: Desk, told: Sequence[Told]) -> tuple[list[dict[str, Any]], Held]:
    """Files and results are brought up to date. For a call that was made before, the conditions that answered it; and
    what the server holds now."""
    take_in(desk)
    answer = same_call(desk, told)
    if answer is None:
        tell(desk, told)
    held = desk.campaign.look()
    write_data(desk, held)
    return [item for _, item in desk.items() if item["experiment"] in (answer or ())], held


def _next(desk: Desk, held: Held) -> list[dict[str, Any]]:
    rows = read_training(desk.folder, desk.scope)
    found = desk.left(PHASE, 1)
    if found:
        return found
    missing = [each for each in rows if each not in held.by_plan]
    if missing:
        key = hashlib.sha256(json.dumps(missing).encode()).hexdigest()[:32]
        desk.campaign.stage(missing, [TRAINING] * len(missing), key)
        held = desk.campaign.look()
    wanted, reason = set(rows), ""
    for each in held.experiments:
        if each.state == "staged" and _mine(each.reason, each.planned in wanted):
            found, reason = desk.claim([each.id], PHASE)
            if found:
                return found
            check_open(desk, each.id, reason)
    return desk.again(PHASE, 1)


def _mine(reason: str, wanted: bool) -> bool:
    """The training set as the file has it now, and whatever people stage beside it."""
    return wanted if reason == TRAINING else not reason.startswith(SUGGESTION)


def check_open(desk: Desk, experiment: int, reason: str) -> None:
    """Raises LabqueueError where an experiment that waits to be claimed cannot be: something is paused."""
    if desk.campaign.client.experiment(experiment)["state"] == "staged":
        raise LabqueueError(
            f"Nothing is handed out: {reason}. Once that is settled, start the program again."
        )


def _shown(scope: Scope, planned: Sequence[Value]) -> list[Any]:
    numbers = [
        int(value) if axis.whole else np.float64(value) for axis, value in zip(scope.continuous, planned)
    ]
    rest = planned[len(scope.continuous) :]
    return [*numbers, *(each.values[each.place(value)] for each, value in zip(scope.categorical, rest))]
