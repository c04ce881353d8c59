"""What a program measured goes to the condition that it was measured for.

A program names its conditions by their values, and measured ones are never quite those that were planned. So what it
was handed last decides, and values only where that leaves a choice.
"""

from __future__ import annotations

import threading
import uuid
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .campaign import AS_GIVEN, Held
from .desk import Desk
from .files import line_of
from .scope import Scope, Value
from .slots import Slot


@dataclass(frozen=True)
class Told:
    """One measured condition as a program gave it. `values`: a number for each objective, None where it failed."""

    condition: tuple[Value, ...]
    values: tuple[Any, ...]

    @property
    def failed(self) -> bool:
        return None in self.values


def read_told(scope: Scope, parameters: Sequence[Any], objectives: Any) -> Told:
    """Raises ValueError that names the field."""
    return Told(scope.read(list(parameters)), scope.read_objectives(objectives))


def same_call(desk: Desk, told: Sequence[Told]) -> list[int] | None:
    """Is this the call that was told last, once more? Then the experiments that answered it, else None."""
    said = _as_json(told)
    known = [slot.journal.last for slot in desk.slots if slot.journal.last.get("told") == said]
    # A condition that failed and was handed out again is told a second time, rightly.
    if not told or not known or any(_exact(desk.scope, each, desk.items()) for each in told):
        return None
    answer: list[int] = known[0].get("answer") or []
    return answer


def tell(desk: Desk, told: Sequence[Told]) -> None:
    """Writes down what each is and which condition it belongs to, all in one write, then sends it."""
    left = list(told)
    for each in told:
        found = _exact(desk.scope, each, desk.items())
        if found is not None:
            left.remove(each)
            _put(desk, each, *found)
    held = desk.campaign.look() if left else None
    for each in left:
        assert held is not None, "looked at where something is left"
        if not _recorded(each, held):
            _place(desk, each, held)
    desk.slots[0].journal.last = {"told": _as_json(told), "answer": []}
    for slot in desk.slots[::-1]:
        slot.save()
    desk.catch_up()


def answered(desk: Desk, items: Sequence[dict[str, Any]]) -> None:
    """What the last call was answered: the same call again gets the same."""
    own = desk.slots[0]
    own.journal.last["answer"] = [each["experiment"] for each in items]
    own.save()


def elsewhere(scope: Scope, condition: Sequence[Value], cells: Sequence[str], id: str) -> dict[str, Any]:
    """A run that nobody was handed, as the nearest condition of the grid, for the outbox."""
    planned = dict(zip(scope.features, scope.planned(condition)))
    return {"kind": "elsewhere", "body": {**result(scope, condition, cells, id), "parameters": planned}}


def result(scope: Scope, condition: Sequence[Value], cells: Sequence[str], id: str) -> dict[str, Any]:
    """The body of a result; `cells`: the row as it was given, which files show again."""
    values = cells[len(scope.features) :]
    return {
        "id": id,
        "outputs": {name: float(value) for name, value in zip(scope.objectives, values)},
        "actual": dict(zip(scope.features, condition)),
        "comment": AS_GIVEN + line_of(cells),
    }


def _place(desk: Desk, told: Told, held: Held) -> None:
    """One whose values are not exactly those of a condition in hand."""
    mine = [pair for pair in desk.items() if pair[1]["experiment"] in desk.handed]
    if not mine:
        while desk.adopt():
            pass
        found = _exact(desk.scope, told, desk.items())
        if found is not None:
            return _put(desk, told, *found)
    found = _nearest(desk, told, _latest(desk, mine))
    if found is not None:
        return _put(desk, told, *found)
    planned = desk.scope.planned(told.condition)
    experiment = held.by_plan.get(planned) if desk.scope.on_grid(told.condition) else None
    found = _nearest(desk, told, desk.items()) if experiment is None else None
    if found is not None:
        return _put(desk, told, *found)
    own = desk.slots[0]
    if told.failed:
        shown = ", ".join(map(str, told.condition))
        warnings.warn(
            f"The run of ({shown}) failed, and nobody was handed it: nothing is recorded.", stacklevel=5
        )
        return None
    cells, id = [*map(str, (*told.condition, *told.values))], str(uuid.uuid4())
    if experiment is None:
        own.journal.outbox.append(elsewhere(desk.scope, told.condition, cells, id))
    else:
        body = {**result(desk.scope, told.condition, cells, id), "experiment": experiment.id}
        own.journal.outbox.append({"kind": "result", "body": body})
    return None


def _put(desk: Desk, told: Told, slot: Slot, item: dict[str, Any]) -> None:
    """From what is in hand to what is to be said."""
    slot.journal.items.remove(item)
    desk.handed.pop(item["experiment"], None)
    if told.failed:
        names = zip(desk.scope.objectives, told.values)
        reason = "the program gave " + ", ".join(f"{name}={value}" for name, value in names)
        slot.journal.outbox.append({"kind": "failed", "body": {"lease": item["lease"], "reason": reason}})
    else:
        cells = [*map(str, (*told.condition, *told.values))]
        body = result(desk.scope, told.condition, cells, str(uuid.uuid4()))
        body = {**body, "experiment": item["experiment"], "lease": item["lease"]}
        slot.journal.outbox.append({"kind": "result", "body": body})


def _exact(
    scope: Scope, told: Told, items: Sequence[tuple[Slot, dict[str, Any]]]
) -> tuple[Slot, dict[str, Any]] | None:
    if not scope.on_grid(told.condition):
        return None
    planned = list(scope.planned(told.condition))
    return next((pair for pair in items if pair[1]["planned"] == planned), None)


def _latest(desk: Desk, items: list[tuple[Slot, dict[str, Any]]]) -> list[tuple[Slot, dict[str, Any]]]:
    """Of what this process was handed: not what another of its threads is at, and of the rest the last answer's."""
    alive = {each.ident for each in threading.enumerate()} - {threading.get_ident()}
    free = [pair for pair in items if desk.handed[pair[1]["experiment"]] not in alive]
    last = [pair for pair in free if pair[1]["experiment"] in desk.slots[0].journal.last.get("answer", [])]
    return last or free


def _nearest(
    desk: Desk, told: Told, items: Sequence[tuple[Slot, dict[str, Any]]]
) -> tuple[Slot, dict[str, Any]] | None:
    """The one whose numbers are nearest, with the same categories: those are never a little different."""
    count = len(desk.scope.continuous)
    alike = [pair for pair in items if pair[1]["planned"][count:] == list(told.condition[count:])]
    spans = [max(axis.values[-1] - axis.values[0], 1e-12) for axis in desk.scope.continuous]

    def distance(pair: tuple[Slot, dict[str, Any]]) -> float:
        apart = [float(a) - float(b) for a, b in zip(pair[1]["planned"], told.condition[:count])]
        return float(np.linalg.norm(np.array(apart) / np.array(spans))) if spans else 0.0

    return min(alike, key=distance, default=None)


def _recorded(told: Told, held: Held) -> bool:
    """Whether this very row is there already: a call that was made again."""
    if told.failed:
        return False
    said = (told.condition, tuple(map(float, told.values)))
    return any((row.actual, row.outputs) == said for row in held.rows)


def _as_json(told: Sequence[Told]) -> list[Any]:
    return [[list(each.condition), list(each.values)] for each in told]
