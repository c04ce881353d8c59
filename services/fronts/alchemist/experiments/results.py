"""Results of items: filed with the flow, written to the audit log, the same again recognised by its id."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from labqueue.states import Verdict
from models.domain import leasing
from models.domain import records as r
from services.flow.filing import Report
from services.flow.report import report_in
from services.fronts.alchemist.refusals import VALUE, Refusal
from services.fronts.alchemist.sessions import audit
from services.fronts.alchemist.sessions.keeping import text_of
from services.fronts.alchemist.sessions.session import Session
from services.ports import Ids, Transaction

from . import beside, items
from .provenance import record
from .rows import REASON, SPACE, check_inputs, said_with, spreads, told

COMPLETED = "experiment_completed"
#: The instrument under which a session's items are started here.
INSTRUMENT = "alchemist-"


@dataclass(frozen=True)
class Measured:
    """What came back of an item. `outputs` and `noise` (variances) by target. `actual`: all inputs as they were,
    where that was said. `reason` counts where the item was staged without one, and everywhere with `instead`."""

    outputs: Mapping[str, float]
    noise: Mapping[str, float] = field(default_factory=dict)
    actual: Mapping[str, Any] | None = None
    iteration: int | None = None
    reason: str | None = None
    instead: bool = False


def id_of(session_id: str, experiment: int, measured: Measured) -> UUID:
    """The same result of the same item has the same id."""
    said = [dict(measured.outputs), dict(measured.noise), measured.actual, measured.iteration]
    return uuid5(SPACE, f"{session_id} {experiment} {json.dumps(said, sort_keys=True)}")


def record_in(
    tx: Transaction,
    ids: Ids,
    session: Session,
    pairs: Sequence[tuple[r.Experiment, Measured]],
    actor: str,
) -> None:
    """Completes these items (locked, all of one session), or none of them. Raises Refusal (400)."""
    said = beside.every(tx, session.id) if len(pairs) > 1 else {}
    if len(pairs) == 1:
        only = pairs[0][0].id
        said = {only: beside.of(tx, session.id, only)}
    reports, entries = [], []
    for experiment, measured in pairs:
        inputs = _inputs(experiment, measured, said.get(experiment.id, {}))
        wrong = check_inputs(session, inputs)
        if wrong:
            raise Refusal(wrong, VALUE)
        reports.append(_report(tx, session, experiment, measured, inputs))
        entries.append(_said(tx, session, experiment, measured, inputs))
    for each in report_in(tx, ids, reports, actor):
        if each.verdict is not Verdict.ACCEPTED:
            raise Refusal(told(each.errors, each.message), VALUE)
    log(tx, session.id, entries, actor)


def log(tx: Transaction, session_id: str, said: Sequence[Mapping[str, Any]], actor: str) -> None:
    """An entry of the audit log for each row's provenance."""
    same = {"timestamp": text_of(tx.now()), "entry_type": COMPLETED, "notes": "", "actor": actor}
    audit.append(tx, session_id, [{**same, "parameters": each, "hash": audit.digest(each)} for each in said])


def _inputs(experiment: r.Experiment, measured: Measured, said: Mapping[str, Any]) -> dict[str, Any]:
    if measured.actual is not None:
        return dict(measured.actual)
    return {**items.inputs_of(experiment), **beside.observed_of(said)}


def _report(
    tx: Transaction,
    session: Session,
    experiment: r.Experiment,
    measured: Measured,
    inputs: Mapping[str, Any],
) -> Report:
    planned = items.inputs_of(experiment)
    other = bool(experiment.reason and measured.reason and measured.instead)
    extra = {REASON: measured.reason} if other else {}
    return Report(
        id=id_of(session.id, experiment.id, measured),
        experiment=experiment.id,
        lease=_lease(tx, session, experiment),
        outputs=said_with(measured.outputs, measured.iteration, extra),
        noise=spreads(measured.noise),
        actual={
            name: value
            for name, value in inputs.items()
            if name not in beside.PLOT and (name not in planned or planned[name] != value)
        },
        comment="" if experiment.reason else measured.reason or "",
    )


def _lease(tx: Transaction, session: Session, experiment: r.Experiment) -> str | None:
    """Of the attempt that was started here. A native adapter's own result will name its own."""
    found = tx.attempts.get([experiment.attempt]) if experiment.attempt else []
    mine = [each for each in found if each.live and each.instrument == INSTRUMENT + session.id]
    return leasing.lease_text(mine[0]) if mine else None


def _said(
    tx: Transaction,
    session: Session,
    experiment: r.Experiment,
    measured: Measured,
    inputs: Mapping[str, Any],
) -> dict[str, Any]:
    return record(
        items.item_id(session.id, experiment.id),
        measured.iteration,
        (measured.reason if measured.instead else None) or experiment.reason or measured.reason,
        items.inputs_of(experiment),
        inputs,
        items.of_targets(session, measured.outputs),
        items.of_targets(session, measured.noise),
        tx.now(),
    )
