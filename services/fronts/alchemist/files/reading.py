"""A session file (JSON 1.x), read: what becomes a session with rows and items, and what is kept as it came."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.fronts.alchemist.experiments.rows import (
    ITERATION,
    METADATA,
    NOISE,
    PROVENANCE,
    REASON,
    NewRow,
    check_inputs,
)
from services.fronts.alchemist.refusals import Refusal
from services.fronts.alchemist.sessions.audit import Entry, digest
from services.fronts.alchemist.sessions.brought import Brought
from services.fronts.alchemist.sessions.session import OUTPUT, Session, Variable
from services.fronts.alchemist.space import reading_constraints, reading_variables

#: So many rows and items at most, as a request could not bring more than some ten thousand anyway.
MOST = 100_000
ENDED = ("done", "failed")
#: Keys at the top that are read; what is not among them is kept as it came.
_KNOWN = {
    "version", "metadata", "audit_log", "search_space", "experiments", "staged_experiments", "objective_metadata",
    "control", "last_suggestions", "provenance", "config", "model_config",
}  # fmt: skip
#: What a server wrote of itself: no part of the session.
_SERVERS = {"_session_store_metadata", "_recovery_metadata"}


@dataclass(frozen=True)
class Named:
    """A row with what its file calls it."""

    name: str
    row: NewRow


@dataclass(frozen=True)
class Waiting:
    """An item that had not ended."""

    name: str
    inputs: Mapping[str, Any]
    reason: str | None
    whole: Mapping[str, Any]


@dataclass(frozen=True)
class Contents:
    session: Session
    rows: tuple[Named, ...]
    waiting: tuple[Waiting, ...]
    entries: tuple[Entry, ...]
    brought: Brought


def contents(body: Any, session: Session) -> Contents:
    """`session`: a new one. Raises Refusal (400) that says what in the file is wrong."""
    if not isinstance(body, Mapping):
        raise Refusal(f"A session file holds a JSON object, not {type(body).__name__}.")
    experiments = _object(body, "experiments")
    table = _objects(experiments, "data")
    session, space = _space(_described(session, body), _object(body, "search_space"))
    session = replace(session, targets=_targets(session, experiments, table))
    usable = [_row(session, each) for each in table]
    items = [_item(each, place) for place, each in enumerate(_objects(body, "staged_experiments"))]
    log, entries = _log(body.get("audit_log"))
    brought = Brought(
        since={str(each["id"]): str(each["staged_at"]) for each in items if each.get("staged_at")},
        items=tuple(each for each in items if each["status"] in ENDED),
        order=tuple(str(each["id"]) for each in items),
        rows=tuple(dict(each) for each, row in zip(table, usable, strict=True) if row is None),
        space=space,
        audit=log,
        provenance={str(each.get("id")): dict(each) for each in _objects(body, "provenance")},
        model={"model_config": body.get("model_config"), "asked": dict(session.model)},
        more={name: body[name] for name in body if name not in _KNOWN | _SERVERS},
    )
    waiting = tuple(
        Waiting(
            str(each["id"]),
            {**each["inputs"], **_inputs(session, each["inputs"])},
            _text(each.get("reason")),
            each,
        )
        for each in items
        if each["status"] not in ENDED
    )
    return Contents(session, tuple(each for each in usable if each), waiting, entries, brought)


def _described(session: Session, body: Mapping[str, Any]) -> Session:
    about = _object(body, "metadata")
    model, last = _object(body, "model_config"), _objects(body, "last_suggestions")
    training = _object(model, "training_config") or {
        name: model[name] for name in ("backend", "kernel") if name in model
    }
    return replace(
        session,
        name=_text(about.get("name")),
        created_at=_text(about.get("created_at")) or session.created_at,
        last_modified=_text(about.get("last_modified")) or session.last_modified,
        description=_text(about.get("description")),
        tags=tuple(str(each) for each in about.get("tags") or ()),
        author=_text(about.get("author")),
        objective_metadata=_object(body, "objective_metadata"),
        control=_object(body, "control"),
        model=training,
        last={"suggestion": dict(last[0]), "suggestions": [dict(each) for each in last]} if last else {},
        settings=_object(body, "config"),
    )


def _space(session: Session, space: Mapping[str, Any]) -> tuple[Session, dict[str, Any]]:
    """The session with its variables and constraints, and what of the space has no meaning here."""
    known: list[Variable] = []
    for place, entry in enumerate(_objects(space, "variables")):
        found = reading_variables.variable_of(entry, f"search_space.variables[{place}]")
        if found.name in {each.name for each in known}:
            raise Refusal(f"search_space.variables[{place}]: {found.name!r} stands there twice.")
        known.append(found)
    session = replace(session, variables=tuple(known))
    strange: list[Any] = []
    for place, entry in enumerate(_objects(space, "constraints")):
        try:
            rule = reading_constraints.constraint_of(entry, session, f"search_space.constraints[{place}]")
        except Refusal:
            # Of a variable that is gone, for one, which their own files can hold: kept, and without effect.
            strange.append(dict(entry))
            continue
        session = replace(session, constraints=(*session.constraints, rule))
    kept = {
        "constraints": strange,
        "derived_variables": [dict(e) for e in _objects(space, "derived_variables")],
    }
    return session, kept


def _targets(
    session: Session, experiments: Mapping[str, Any], table: list[Mapping[str, Any]]
) -> tuple[str, ...]:
    """Those that the file names; older ones do not: then every column that is nothing else."""
    named = experiments.get("target_columns")
    if isinstance(named, list) and named:
        return tuple(dict.fromkeys(str(each) for each in named))
    columns = dict.fromkeys(name for row in table for name in row)
    other = {*METADATA, *(each.name for each in session.variables)}
    return tuple(each for each in columns if each not in other) or (OUTPUT,)


def _row(session: Session, row: Mapping[str, Any]) -> Named | None:
    """None where it cannot be an experiment here."""
    names = [each.name for each in session.variables]
    if not names or any(row.get(name) is None for name in names):
        return None
    inputs = _inputs(session, row)
    if any(_number(row.get(each)) is None for each in session.targets) or check_inputs(session, inputs):
        return None
    noise, iteration = _number(row.get(NOISE)), _number(row.get(ITERATION))
    known = {*names, *session.targets, ITERATION, REASON, NOISE, PROVENANCE}
    extra = {name: value for name, value in row.items() if name not in known and value is not None}
    new = NewRow(
        inputs,
        {target: row[target] for target in session.targets},
        {} if noise is None else {session.targets[0]: noise},
        None if iteration is None else int(iteration),
        _text(row.get(REASON)),
        extra,
    )
    return Named(str(row.get(PROVENANCE) or ""), new)


def _inputs(session: Session, row: Mapping[str, Any]) -> dict[str, Any]:
    """Of what it says the variables, categories as text: files may have numbers for them."""
    known = [each for each in session.variables if row.get(each.name) is not None]
    return {each.name: str(row[each.name]) if each.categories else row[each.name] for each in known}


def _item(item: Mapping[str, Any], place: int) -> dict[str, Any]:
    """Files of the first versions hold bare points, their reason as `_reason`."""
    if "id" in item and "status" in item:
        if not isinstance(item.get("inputs"), Mapping):
            raise Refusal(f"staged_experiments[{place}] has no inputs.")
        return dict(item)
    inputs = {name: value for name, value in item.items() if not name.startswith("_")}
    return {"id": "", "status": "pending", "inputs": inputs, "reason": item.get("_reason")}


def _log(log: Any) -> tuple[dict[str, Any], tuple[Entry, ...]]:
    """The first versions have a bare list of entries."""
    whole = {"entries": log} if isinstance(log, list) else _object({"audit_log": log}, "audit_log")
    found: list[Entry] = []
    for each in _objects(whole, "entries"):
        parameters = _object(each, "parameters")
        found.append(
            {
                "timestamp": str(each.get("timestamp", "")),
                "entry_type": str(each.get("entry_type", "")),
                "parameters": dict(parameters),
                "hash": str(each.get("hash") or digest(parameters)),
                "notes": str(each.get("notes") or ""),
            }
        )
    return {name: value for name, value in whole.items() if name != "entries"}, tuple(found)


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise Refusal(f"{name} must be a JSON object, not {type(found).__name__}.")
    return found


def _objects(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = body.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise Refusal(f"{name} must be a list of JSON objects.")
    if len(found) > MOST:
        raise Refusal(f"{name} has more than {MOST} entries.")
    return found


def _number(value: Any) -> float | None:
    """None where it is no finite one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
