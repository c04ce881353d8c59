"""A session as a file (JSON 1.1.0) that ALchemist 0.4.0 reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from labqueue.states import State
from services.fronts.alchemist.experiments import items, provenance, rows
from services.fronts.alchemist.experiments.rows import Row
from services.fronts.alchemist.learning import modelling
from services.fronts.alchemist.learning.wishes import BACKEND, KERNEL
from services.fronts.alchemist.sessions import audit, brought, control, lifetime
from services.fronts.alchemist.sessions.brought import Brought
from services.fronts.alchemist.sessions.keeping import find
from services.fronts.alchemist.sessions.session import Session
from services.fronts.alchemist.space import describing
from services.ports import Store, Transaction

VERSION = "1.1.0"
CONFIG = {"random_state": 42, "verbose": True, "auto_train": False, "auto_train_threshold": 5}

Json = dict[str, Any]


def export(store: Store, session_id: str) -> tuple[Session, Json]:
    """Raises Refusal (404)."""
    with store.begin() as tx:
        session = find(tx, session_id)
        return session, content(tx, session)


def name_of(session: Session) -> str:
    """A file's name that every system takes."""
    name = lifetime.metadata(session)["name"]
    return (re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:100] or "session") + ".json"


def content(tx: Transaction, session: Session) -> Json:
    """The whole session."""
    kept = brought.of(tx, session.id)
    found = rows.of(tx, session)
    table = [_renamed(each, kept, row) for each, row in zip(rows.table(session, found), found, strict=True)]
    table += [dict(each) for each in kept.rows]
    whole: Json = {
        "version": VERSION,
        "metadata": lifetime.metadata(session),
        "audit_log": _log(tx, session, kept, table),
        "search_space": _space(session, kept),
        "experiments": {"data": table, "n_total": len(table), "target_columns": list(session.targets)},
        "staged_experiments": _items(tx, session, kept, found),
        "outcome_constraints": [],
        "objective_metadata": dict(session.objective_metadata),
        "control": control.record(session),
        "last_suggestions": _suggestions(session),
        "provenance": [_record(session, kept, each) for each in found],
        "config": {**CONFIG, **session.settings},
        **kept.more,
    }
    model = _model(tx, session, kept)
    return whole if model is None else {**whole, "model_config": model}


def _renamed(shown: Json, kept: Brought, row: Row) -> Json:
    """A row that came from a file is called what it was called there."""
    return {**shown, rows.PROVENANCE: kept.names.get(str(row.experiment_id)) or row.id}


def _log(tx: Transaction, session: Session, kept: Brought, table: Sequence[Json]) -> Json:
    """Without the hashes of predecessors, which ALchemist's reader refuses."""
    fields = ("timestamp", "entry_type", "parameters", "hash", "notes")
    entries = [{name: each[name] for name in fields} for each in audit.entries(tx, session.id)]
    log: Json = {**kept.audit, "entries": entries}
    if "search_space" not in log and any(each["entry_type"] == "data_locked" for each in entries):
        log["search_space"] = {"variables": [describing.stored(each) for each in session.variables]}
    return {**log, "experiment_data": list(table)} if table else log


def _space(session: Session, kept: Brought) -> Json:
    rules = [describing.constraint(each) for each in session.constraints]
    return {
        "variables": [describing.stored(each) for each in session.variables],
        "derived_variables": list(kept.space.get("derived_variables", [])),
        "constraints": [*rules, *kept.space.get("constraints", [])],
    }


def staged(tx: Transaction, session: Session) -> list[Json]:
    """Its items."""
    return _items(tx, session, brought.of(tx, session.id), rows.of(tx, session))


def _items(tx: Transaction, session: Session, kept: Brought, found: Sequence[Row]) -> list[Json]:
    campaign = tx.campaigns.get(session.id)
    if campaign is None:
        return [dict(each) for each in kept.items]
    places = {each.experiment_id: place for place, each in enumerate(found)}
    by_id = {each.experiment_id: each for each in found}
    made: list[Json] = [dict(each) for each in kept.items]
    every = tx.experiments.of_campaign(campaign.id, tuple(State))
    for shown in items.shown(tx, session, campaign, [each for each in every if items.status(each)]):
        id = items.experiment_id(session.id, shown["id"])
        row, name = by_id.get(id or 0), kept.names.get(str(id)) or shown["id"]
        made.append(
            {
                **shown,
                "id": name,
                "staged_at": kept.since.get(name) or shown["staged_at"],
                "dataset_ref": places.get(id or 0),
                "actual_inputs": None if row is None else dict(row.inputs),
            }
        )
    order = {name: place for place, name in enumerate(kept.order)}
    return sorted(made, key=lambda each: order.get(str(each["id"]), len(order)))


def _record(session: Session, kept: Brought, row: Row) -> Json:
    """What was suggested and what was done."""
    name = kept.names.get(str(row.experiment_id)) or row.id
    if name in kept.provenance:
        return dict(kept.provenance[name])
    return {**provenance.of_row(session, row), "id": name}


def _suggestions(session: Session) -> list[Json]:
    last = session.last
    return list(last.get("suggestions") or ([last["suggestion"]] if last.get("suggestion") else []))


def _model(tx: Transaction, session: Session, kept: Brought) -> Json | None:
    """How the model was asked to be trained, which is what ALchemist trains again when it reads the file."""
    came: Mapping[str, Any] | None = kept.model.get("model_config")
    if came is not None and kept.model.get("asked") == dict(session.model):
        return dict(came)
    if not session.model:
        return None
    asked = {"backend": BACKEND, "kernel": KERNEL, **session.model}
    found = modelling.summary(tx, session)
    return {
        "backend": asked["backend"],
        "kernel": asked["kernel"],
        "kernel_params": asked.get("kernel_params") or {},
        "hyperparameters": {} if found is None else found["hyperparameters"],
        "metrics": {} if found is None else found["metrics"],
        "training_config": asked,
        **({"fitted": False} if found is None else {}),
    }
