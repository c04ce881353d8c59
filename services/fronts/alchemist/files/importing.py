"""A session file becomes a session: all of it or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from labqueue.errors import LabqueueError
from labqueue.problem import Problem
from models.domain import records as r
from services.flow.stage import BATCH_LIMIT, StageItem, StageRequest, stage_in
from services.flow.steer import finish_campaign
from services.fronts.alchemist.experiments import beside, rows
from services.fronts.alchemist.refusals import Refusal, sentence
from services.fronts.alchemist.sessions import audit, brought
from services.fronts.alchemist.sessions.campaign import make
from services.fronts.alchemist.sessions.keeping import SESSION, text_of
from services.fronts.alchemist.sessions.problem import problem_of
from services.fronts.alchemist.sessions.session import OBSERVED, Session
from services.ports import Ids, Store, Transaction

from .reading import Contents, Waiting, contents

FAILED = "Failed to import session. The file may be invalid or corrupted."


def load(store: Store, ids: Ids, body: Any, actor: str) -> Session:
    """Raises Refusal (400) that says what in the file cannot be had."""
    with store.begin() as tx:
        new = Session(str(ids.uuid()), text_of(tx.now()))
    try:
        return _load(store, ids, contents(body, new), actor)
    except Refusal as error:
        raise Refusal(f"{FAILED} {error.body['detail']}") from error
    except LabqueueError as error:
        raise Refusal(f"{FAILED} {sentence(error)}") from error


def _load(store: Store, ids: Ids, found: Contents, actor: str) -> Session:
    session = found.session
    if not any(each.role != OBSERVED for each in session.variables):
        if found.rows or found.waiting:
            raise Refusal("There are rows or items, but no variable that is chosen.")
        with store.begin() as tx:
            _document(tx, session)
            _beside(tx, session, found, {})
        return session
    make(store, ids, session, actor)
    try:
        with store.begin() as tx:
            _document(tx, session)
            campaign = tx.campaigns.lock(session.id)
            assert campaign is not None, "it was just made"
            added = rows.add(tx, ids, session, campaign, [each.row for each in found.rows], actor)
            names = {str(id): each.name for id, each in zip(added, found.rows, strict=True) if each.name}
            staged, outside = _stage(tx, ids, session, found.waiting, actor)
            _beside(tx, session, found, {**names, **staged}, outside)
    except BaseException:
        finish_campaign(store, session.id, "the session file could not be taken", actor)
        raise
    return session


def _document(tx: Transaction, session: Session) -> None:
    tx.documents.put([r.Document(SESSION, "", session.id, session.to_json())])


def _beside(
    tx: Transaction,
    session: Session,
    found: Contents,
    names: Mapping[str, str],
    outside: tuple[dict[str, Any], ...] = (),
) -> None:
    audit.append(tx, session.id, found.entries)
    kept = found.brought
    brought.keep(tx, session.id, replace(kept, names=names, items=(*kept.items, *outside)))


def _stage(
    tx: Transaction, ids: Ids, session: Session, waiting: tuple[Waiting, ...], actor: str
) -> tuple[dict[str, str], tuple[dict[str, Any], ...]]:
    """What every staged experiment was called, and the items that cannot be run here: failed, with the reason."""
    names: dict[str, str] = {}
    outside: list[dict[str, Any]] = []
    problem = Problem.from_json(problem_of(session))
    good: list[tuple[Waiting, dict[str, Any], dict[str, Any]]] = []
    for each in waiting:
        chosen, said = beside.split(session, each.inputs)
        wrong = rows.check_inputs(session, each.inputs, observed=False) or _outside(problem, chosen)
        if wrong:
            outside.append({**each.whole, "status": "failed", "error": f"cannot be run here: {wrong}"})
        else:
            good.append((each, chosen, said))
    for first in range(0, len(good), BATCH_LIMIT):
        part = good[first : first + BATCH_LIMIT]
        batch = tuple(StageItem(chosen, reason=each.reason or "") for each, chosen, _ in part)
        staged = stage_in(tx, ids, StageRequest(session.id, str(ids.uuid()), batch), actor).experiments
        beside.keep(tx, session.id, {new.id: said for new, (_, _, said) in zip(staged, part, strict=True)})
        names |= {str(new.id): each.name for new, (each, _, _) in zip(staged, part, strict=True) if each.name}
    return names, tuple(outside)


def _outside(problem: Problem, point: Mapping[str, Any]) -> str:
    return rows.told(problem.check_point(point), "")
