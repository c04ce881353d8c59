"""get_optimized_parameters: the conditions that a model expects to be best, beyond those measured and in flight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from labqueue.client import Client
from labqueue.errors import ConflictError, LabqueueError

from . import grid, models
from .campaign import SUGGESTION, Held
from .choosing import ranked
from .const import REACTIONS_DATA_FILENAME
from .desk import Desk, desk_for
from .files import read_candidates
from .scope import Scope, Value
from .telling import Told, answered, read_told
from .training import check_open, settle

PHASE, OURS = "optimization", "labqueue"
BATCH_LIMIT = 1000
#: Candidates that are predicted at once.
CHUNK = 100_000
#: How many suggestions the server answers at once, how long a question about them waits, and a training, in seconds.
ASK_LIMIT, WAIT, PATIENCE = 100, 30.0, 120.0


def get_optimized_parameters(
    exp_dir: Any, config: Mapping[str, Any], parameters_list: Sequence[Any] = ((),),
    objectives_list: Sequence[Any] = ((),), model: str = "gb", filename: str = REACTIONS_DATA_FILENAME,
    batch_size: int = 1, termination: bool = False,
) -> list[list[Any]] | None:  # fmt: skip
    """Takes the results of conditions that were handed out, and hands out the `batch_size` that look best.

    A condition is a list of floats and category names; fewer come only where the grid ends. None with `termination`.
    model: one of labqueue_amlro.models.NAMES, or "labqueue": the server's own. Raises as generate_training_data does.
    """
    desk = desk_for(exp_dir, config, filename)
    if model != OURS:
        models.kind_of(model)
    whole = isinstance(batch_size, (int, np.integer)) and not isinstance(batch_size, bool)
    if not whole or not 0 < batch_size <= BATCH_LIMIT:
        raise ValueError(f"batch_size: {batch_size!r} must be a whole number from 1 to {BATCH_LIMIT}.")
    told, count = _read(desk.scope, parameters_list, objectives_list), int(batch_size)
    with desk.turn():
        items, held = settle(desk, told)
        if termination:
            return None
        final = bool(items)  # the same call once more
        items = items or _waiting(desk, held, count)
        final = final or len(items) == count
        answered(desk, items)
    while not final:
        # Nobody waits for a fit: what the others were handed meanwhile is left out when it is done.
        choice = _by_server(desk, count - len(items)) if model == OURS else _by_model(desk, held, model)
        with desk.turn():
            found = choice.take(desk, count - len(items))
            items = [*items, *found]
            final = len(items) == count or choice.whole or not found
            if final and not items:
                items = desk.again(PHASE, count)
            answered(desk, items)
    return [_shown(desk.scope, each["planned"]) for each in items]


@dataclass(frozen=True)
class Choice:
    """What a model makes of the candidates. `places`: theirs in the grid. `predicted`: shape (candidates, objectives), or
    None where they stand in their order. `whole`: whether these are all that there are."""

    model: str
    places: Any
    predicted: Any
    whole: bool

    def take(self, desk: Desk, count: int) -> list[dict[str, Any]]:
        """Stages and leases the best of those that are neither measured nor in flight."""
        scope, held = desk.scope, desk.campaign.look()
        table = np.array([scope.encode(each.planned) for each in held.experiments])
        taken = grid.places(scope, table) if len(table) else np.array([], dtype=np.int64)
        free = np.flatnonzero(~np.isin(self.places, taken))
        if not len(free):
            return []
        best = free[:count]
        reasons = [f"{SUGGESTION} by {self.model}"] * len(best)
        if self.predicted is not None:
            best = free[ranked(self.predicted[free], scope.directions, count)]
            reasons = [f"{reasons[0]}: expects {_expected(scope, self.predicted[each])}" for each in best]
        return desk.stage([grid.condition(scope, int(each)) for each in self.places[best]], reasons, PHASE)


def _by_model(desk: Desk, held: Held, name: str) -> Choice:
    scope, rows = desk.scope, held.rows
    fitted = models.fit(
        name, np.array([scope.encode(row.actual) for row in rows]), np.array([row.outputs for row in rows])
    )
    given = read_candidates(desk.folder, scope)
    places = np.arange(scope.size) if given is None else np.unique(grid.places(scope, given))
    predicted = np.vstack(
        [
            np.asarray(fitted.predict(grid.encoded_at(scope, part))).reshape(len(part), -1)
            for part in np.array_split(places, len(places) // CHUNK + 1)
            if len(part)
        ]
    )
    return Choice(name, places, predicted, whole=True)


def _by_server(desk: Desk, count: int) -> Choice:
    """The server's own model, once it has seen what was told; its initial design before there is one."""
    client, name = desk.campaign.client, desk.campaign.name
    with suppress(ConflictError):  # every result is learnt already, or there are too few
        _answer(client, client.await_training(name, seconds=PATIENCE, wait=WAIT))
    asked = _answer(client, client.suggest(name, min(count, ASK_LIMIT), wait=WAIT))
    if asked["state"] != "answered":
        raise LabqueueError(f"The server suggests nothing: {asked['message']}")
    points = [
        desk.scope.encode([each["parameters"][one] for one in desk.scope.features])
        for each in asked["answer"]["candidates"]
    ]
    places = grid.places(desk.scope, np.array(points)) if points else np.array([], dtype=np.int64)
    return Choice(OURS, places, None, whole=False)


def _answer(client: Client, inquiry: dict[str, Any]) -> dict[str, Any]:
    while inquiry["state"] in ("open", "running"):
        inquiry = client.inquiry(inquiry["id"], wait=WAIT)
    return inquiry


def _waiting(desk: Desk, held: Held, count: int) -> list[dict[str, Any]]:
    """What former processes left, and what failed and is to be run again."""
    items = desk.left(PHASE, count)
    again = [
        each.id for each in held.experiments if each.state == "staged" and each.reason.startswith(SUGGESTION)
    ][: count - len(items)]
    if again:
        found, reason = desk.claim(again, PHASE)
        if not found:
            check_open(desk, again[0], reason)
        items = [*items, *found]
    return items


def _read(scope: Scope, parameters: Sequence[Any], objectives: Sequence[Any]) -> list[Told]:
    """The shorter list wins, as in AMLRO; empty conditions are none."""
    told = []
    for condition, values in zip(parameters, objectives):
        if np.ndim(condition) == 0:
            raise ValueError(
                f"parameters_list: {condition!r} must be a list of values; give a list of conditions."
            )
        if len(condition):
            told.append(read_told(scope, condition, values))
    return told


def _expected(scope: Scope, predicted: Any) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in zip(scope.objectives, predicted))


def _shown(scope: Scope, planned: Sequence[Value]) -> list[Any]:
    numbers = [float(value) for value in planned[: len(scope.continuous)]]
    rest = planned[len(scope.continuous) :]
    return [*numbers, *(each.values[each.place(value)] for each, value in zip(scope.categorical, rest))]
