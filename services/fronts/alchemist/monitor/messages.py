"""What a session's events are to those who watch it: ALchemist's messages, whoever made the events true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from labqueue.states import State
from models.domain import records as r
from models.domain.replacing import replace
from services.fronts.alchemist.experiments import items, rows
from services.fronts.alchemist.learning.training import metrics_of
from services.fronts.alchemist.sessions import control, locking
from services.fronts.alchemist.sessions.keeping import SESSION, find
from services.fronts.alchemist.sessions.session import Session
from services.fronts.alchemist.staged import queueing
from services.ports import Store, Transaction

Json = dict[str, Any]

QUEUE, ITEM, ROWS = "queue_updated", "queue_item_updated", "experiments_updated"
MODEL, LOCK, CONTROL = "model_trained", "lock_status_changed", "control_changed"
#: What changes which items there are, or their order, as `experiment.<kind>`.
_LISTED = {"proposed", "staged", "approved", "rejected", "cancelled", "superseded", "expired", "adjusted"}
#: What changes the status of one.
_MOVED = {
    "claimed",
    "released",
    "requeued",
    "attempt_failed",
    "lost",
    "held",
    "resumed",
    "failed",
    "replayed",
}
#: What changes rows.
_TAUGHT = {"result", "amended", "withdrawn"}


def begin(store: Store, session_id: str) -> int | None:
    """The number of the newest event; None where there is no such session."""
    with store.begin() as tx:
        return None if tx.documents.get(SESSION, "", session_id) is None else tx.events.last()


def messages(store: Store, session_id: str, events: Sequence[r.Event]) -> list[Json]:
    """Of events of this session, in order: items as they are after each of them, the list and the dataset once, as they
    are now. Raises Refusal (404)."""
    with store.begin() as tx:
        session = find(tx, session_id)
        experiments = _experiments(tx, events)
        found: list[Json] = []
        for event in events:
            found += _of_event(tx, session, event, experiments)
        kinds = {_kind(each) for each in events}
        if kinds & _LISTED or queueing.PURGED in {each.type for each in events}:
            found.insert(0, {"event": QUEUE})
        if kinds & _TAUGHT:
            dataset = {"event": ROWS, "n_experiments": rows.count(tx, session_id)}
            place = next((n for n, each in enumerate(found) if each["event"] == MODEL), len(found))
            found.insert(place, dataset)
        return found


def _of_event(
    tx: Transaction, session: Session, event: r.Event, experiments: dict[int, r.Experiment]
) -> list[Json]:
    if event.type == locking.CHANGED:
        return [{"event": LOCK, **event.data}]
    if event.type == control.CHANGED:
        return [{"event": CONTROL, **event.data}]
    if event.type == "model.trained" and event.campaign_id is not None:
        model = tx.models.get(event.campaign_id, int(event.data["version"]))
        return [{"event": MODEL, "metrics": metrics_of(session, model.metrics)}] if model else []
    experiment = experiments.get(event.experiment_id or 0)
    if experiment is None or _kind(event) not in _MOVED | {"result"}:
        return []
    return _item(session, event, experiment)


def _item(session: Session, event: r.Event, experiment: r.Experiment) -> list[Json]:
    then = items.status(_at(experiment, event))
    if then is None:
        return []
    failed = then == items.FAILED
    outputs = event.data.get("outputs") or {}
    return [
        {
            "event": ITEM,
            "item_id": items.item_id(session.id, experiment.id),
            "status": then,
            "reason": items.reason_of(experiment),
            "output": items.of_targets(session, outputs) if then == items.DONE else None,
            "error": event.data.get("reason") or experiment.held_reason if failed else None,
        }
    ]


def _at(experiment: r.Experiment, event: r.Event) -> r.Experiment:
    """As it was after the event."""
    return replace(experiment, state=State(event.data["state"]))


def _experiments(tx: Transaction, events: Iterable[r.Event]) -> dict[int, r.Experiment]:
    ids = sorted({each.experiment_id for each in events if each.experiment_id is not None})
    return {each.id: each for each in tx.experiments.get(ids)} if ids else {}


def _kind(event: r.Event) -> str:
    return event.type.removeprefix("experiment.") if event.type.startswith("experiment.") else ""
