"""Outputs that could not be paired with items: kept, listed, and assigned to items by a person."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid5

from models.domain import records as r
from services.fronts.alchemist.experiments import items
from services.fronts.alchemist.experiments.results import Measured, record_in
from services.fronts.alchemist.experiments.rows import SPACE, noise_of, outputs_of
from services.fronts.alchemist.refusals import VALUE, Refusal
from services.fronts.alchemist.sessions import audit
from services.fronts.alchemist.sessions.keeping import UNPAIRED, find, hold, note, text_of
from services.fronts.alchemist.sessions.locking import require
from services.fronts.alchemist.sessions.opening import Act
from services.fronts.alchemist.visit import Visitor
from services.ports import Store, Transaction

Json = dict[str, Any]

KEPT = "results_unpaired"
ASSIGNED = "results_assigned"


def keep(
    tx: Transaction, session_id: str, visitor: Visitor, outputs: Sequence[Any], about: Mapping[str, Any]
) -> str:
    """Under what name they are kept; the same again is kept once. `about`: what else the request said, and why."""
    said = {"caller": visitor.key, "outputs": list(outputs), **about}
    name = str(uuid5(SPACE, f"{session_id} {json.dumps(said, sort_keys=True)}"))
    body = {**said, "actor": visitor.actor, "received_at": text_of(tx.now()), "assigned": None}
    if tx.documents.add(r.Document(UNPAIRED, session_id, name, body)):
        shown = {"name": name, "outputs": list(outputs), "why": about.get("why", "")}
        audit.record(tx, session_id, KEPT, shown, "", visitor.actor)
    return name


def listed(store: Store, session_id: str) -> list[Json]:
    """Those that nobody has assigned yet, in the order in which they came. Raises Refusal (404)."""
    with store.begin() as tx:
        find(tx, session_id)
        found = tx.documents.all(UNPAIRED, session_id)
    return [_shown(each) for each in found if each.body["assigned"] is None]


def settle(
    tx: Transaction, session_id: str, visitor: Visitor, outputs: Sequence[Any], ids: Sequence[str]
) -> None:
    """The caller has completed these items with the very outputs that were kept before: they are paired now."""
    for each in tx.documents.all(UNPAIRED, session_id):
        said = each.body
        if said["assigned"] is None and (said["caller"], said["outputs"]) == (visitor.key, list(outputs)):
            note(tx, UNPAIRED, session_id, each.name, {**said, "assigned": list(ids)})


def assign(act: Act, name: str, item_ids: Sequence[str]) -> Json:
    """Completes these items with the outputs, in order; the same again is one effect.

    Raises Refusal (404; 400 for another number of items; 409 for items that have ended, or other ones before).
    """
    with act.store.begin() as tx:
        session = hold(tx, act.session_id)
        require(tx, act.session_id, act.visitor, act.token)
        found = tx.documents.lock(UNPAIRED, act.session_id, name)
        if found is None:
            raise Refusal(f"Unknown unpaired results: {name[:100]}", status=404)
        body, outputs = found.body, found.body["outputs"]
        if body["assigned"] is not None:
            if body["assigned"] == list(item_ids):
                return _shown(found)
            raise Refusal("These results were assigned to other items before.", status=409)
        if len(item_ids) != len(outputs) or len(set(item_ids)) != len(item_ids):
            raise Refusal(
                f"Number of item_ids ({len(item_ids)}) must match number of outputs ({len(outputs)}), each once",
                VALUE,
            )
        numbers = [items.experiment_id(act.session_id, each) for each in item_ids]
        locked = items.lock(tx, act.session_id, [each for each in numbers if each is not None])
        pairs = []
        for place, (item, number) in enumerate(zip(item_ids, numbers, strict=True)):
            experiment = locked.get(number or 0)
            if experiment is None:
                raise items.unknown(item)
            if items.status(experiment) not in (items.PENDING, items.RUNNING):
                raise items.illegal("complete", item, experiment)
            noises = body.get("noises")
            measured = Measured(
                outputs_of(session, outputs[place]),
                noise_of(session, noises[place] if noises else None),
                iteration=body.get("iteration"),
                reason=body.get("reason"),
            )
            pairs.append((experiment, measured))
        record_in(tx, act.ids, session, pairs, act.actor)
        body = {**body, "assigned": list(item_ids)}
        note(tx, UNPAIRED, act.session_id, name, body)
        audit.record(tx, act.session_id, ASSIGNED, {"name": name, "item_ids": list(item_ids)}, "", act.actor)
        return _shown(r.Document(UNPAIRED, act.session_id, name, body))


def _shown(found: r.Document) -> Json:
    return {"name": found.name, **found.body}
