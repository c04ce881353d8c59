"""Rows that a program brings: of runs that were never staged, and of items, several in one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.domain import records as r
from services.fronts.alchemist.experiments import items, rows
from services.fronts.alchemist.experiments.provenance import record
from services.fronts.alchemist.experiments.results import Measured, id_of, log, record_in
from services.fronts.alchemist.refusals import VALUE, Refusal
from services.fronts.alchemist.sessions.opening import Act, Opened, opened
from services.fronts.alchemist.sessions.session import Session
from services.fronts.alchemist.staged import beliefs

LIMIT = 1000

Json = dict[str, Any]


@dataclass(frozen=True)
class Given:
    """A row as it is sent; `item`: of the work queue, which it completes."""

    inputs: Mapping[str, Any]
    output: Any
    noise: Any = None
    iteration: int | None = None
    reason: str | None = None
    item: str | None = None


@dataclass(frozen=True)
class Added:
    count: int
    completed: tuple[str, ...]
    total: int


def add(act: Act, given: Sequence[Given], key: str = "") -> Added:
    """Rows of runs elsewhere, all or none. `key`: the same request again adds nothing. Raises Refusal (400)."""
    with opened(act) as here:
        if len(given) > LIMIT:
            raise Refusal(f"At most {LIMIT} experiments can be added at once, not {len(given)}", VALUE)
        new = []
        for place, each in enumerate(given, 1):
            try:
                new.append(_new(here.session, each))
            except Refusal as error:
                where = f"experiment {place}: " if len(given) > 1 else ""
                raise Refusal(where + error.body["detail"], VALUE) from error
        put(here, act, new, key)
        return Added(len(new), (), rows.count(here.tx, act.session_id))


def record_batch(act: Act, given: Sequence[Given], key: str = "") -> Added:
    """Rows of items and of runs elsewhere, all or none; the same request again is one effect where it names items only
    or has a `key`. Raises Refusal (400 for values, 409 for items that cannot be completed)."""
    with opened(act) as here:
        if len(given) > LIMIT:
            raise Refusal(f"Nothing was recorded. At most {LIMIT} entries at once, not {len(given)}")
        named = [each for each in given if each.item is not None]
        direct = [each for each in given if each.item is None]
        new = {id(each): _checked(here.session, place, each) for place, each in enumerate(given, 1)}
        pairs = _pairs(here, given, new, again=bool(key) or not direct)
        begun = [items.begun(here.tx, experiment) for experiment, _ in pairs]
        if pairs:
            record_in(here.tx, act.ids, here.session, pairs, act.actor)
        put(here, act, [new[id(each)] for each in direct], key)
        for (experiment, _), at in zip(pairs, begun, strict=True):
            beliefs.has_ended(here.tx, act.session_id, act.visitor, experiment.id, at)
        completed = tuple(str(each.item) for each in named)
        return Added(len(given), completed, rows.count(here.tx, act.session_id))


def _pairs(
    here: Opened, given: Sequence[Given], new: Mapping[int, rows.NewRow], *, again: bool
) -> list[tuple[r.Experiment, Measured]]:
    """The items with their results; none where all of them were recorded before by this very request."""
    session = here.session
    numbers = [items.experiment_id(session.id, each.item) if each.item else None for each in given]
    locked = items.lock(here.tx, session.id, [each for each in numbers if each is not None])
    pairs, known, faults, seen = [], [], [], set()
    for place, (each, number) in enumerate(zip(given, numbers, strict=True), 1):
        if each.item is None:
            continue
        experiment = locked.get(number or 0)
        if experiment is None:
            faults.append(f"entry {place}: unknown queue item {each.item[:100]}")
            continue
        if experiment.id in seen:
            faults.append(f"entry {place}: queue item {each.item} appears twice")
            continue
        seen.add(experiment.id)
        row = new[id(each)]
        result = Measured(
            row.outputs, row.noise, dict(each.inputs), each.iteration, each.reason, instead=True
        )
        if here.tx.results.get([id_of(session.id, experiment.id, result)]):
            known.append(f"entry {place}: queue item {each.item} is already done")
        elif items.status(experiment) in (items.PENDING, items.RUNNING):
            pairs.append((experiment, result))
        else:
            faults.append(f"entry {place}: queue item {each.item} is already {items.status(experiment)}")
    if known and (pairs or not again):
        faults += known
    if faults:
        raise Refusal("Nothing was recorded. " + "; ".join(faults[:10]), status=409)
    return pairs


def _checked(session: Session, place: int, given: Given) -> rows.NewRow:
    try:
        return _new(session, given)
    except Refusal as error:
        raise Refusal(f"Nothing was recorded. entry {place}: {error.body['detail']}") from error


def _new(session: Session, given: Given) -> rows.NewRow:
    wrong = rows.check_inputs(session, given.inputs)
    if wrong:
        raise Refusal(wrong, VALUE)
    return rows.NewRow(
        given.inputs,
        rows.outputs_of(session, given.output),
        rows.noise_of(session, given.noise),
        given.iteration,
        given.reason,
    )


def put(here: Opened, act: Act, new: Sequence[rows.NewRow], key: str) -> None:
    """Adds them, with an entry in the audit log for each."""
    made = rows.add(here.tx, act.ids, here.session, here.campaign, new, act.actor, key)
    said = [
        record(
            items.item_id(act.session_id, experiment),
            each.iteration,
            each.reason,
            None,
            each.inputs,
            items.of_targets(here.session, each.outputs),
            items.of_targets(here.session, each.noise),
            here.tx.now(),
        )
        for experiment, each in zip(made, new, strict=True)
        if experiment is not None
    ]
    if said:
        log(here.tx, act.session_id, said, act.actor)
