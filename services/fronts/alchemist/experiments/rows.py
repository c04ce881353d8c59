"""Measured rows: a session's dataset, as ALchemist shows it, and how rows that never were staged get into it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid5

from labqueue.errors import FieldError
from labqueue.states import Verdict
from models.domain import records as r
from services.flow.filing import Report
from services.flow.report import elsewhere_in
from services.fronts.alchemist.refusals import VALUE, Refusal
from services.fronts.alchemist.sessions import brought
from services.fronts.alchemist.sessions.keeping import text_of
from services.fronts.alchemist.sessions.session import Session
from services.ports import Ids, Transaction

from . import beside
from .items import item_id, variance

ITERATION, REASON, NOISE, PROVENANCE = "Iteration", "Reason", "Noise", "ProvenanceId"
#: Columns of the dataset that are neither variables nor targets.
METADATA = (ITERATION, REASON, NOISE, PROVENANCE, *beside.PLOT)
MANUAL = "Manual"
#: Names of results are made in here.
SPACE = UUID("0f8d2a53-6a0e-4c1c-9f0e-7f0b8a1c2d35")

Json = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """suggested  the point as it was staged; None where nothing was
    noise      variances by target
    iteration  as it was given, else the one after the largest before it
    extra      further columns"""

    experiment_id: int
    id: str
    inputs: Mapping[str, Any]
    suggested: Mapping[str, Any] | None
    outputs: Mapping[str, float]
    noise: Mapping[str, float]
    iteration: int
    reason: str | None
    extra: Mapping[str, Any]
    at: str


@dataclass(frozen=True)
class NewRow:
    """`inputs` of all variables; `outputs` by target; `noise`: variances by target."""

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    noise: Mapping[str, float] = field(default_factory=dict)
    iteration: int | None = None
    reason: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def of(tx: Transaction, session: Session) -> list[Row]:
    """Every measured row, in the order in which they came."""
    campaign = tx.campaigns.get(session.id)
    if campaign is None:
        return []
    said, names = beside.every(tx, session.id), brought.of(tx, session.id).names
    found: list[Row] = []
    last = -1
    for each in tx.results.findings(campaign.id):
        row = _row(session, each, said.get(each.experiment_id, {}), last + 1)
        row = replace(row, id=names.get(str(each.experiment_id), row.id))
        last = max(last, row.iteration)
        found.append(row)
    return found


def count(tx: Transaction, session_id: str) -> int:
    """How many there are; 0 before the session has a campaign."""
    campaign = tx.campaigns.get(session_id)
    return 0 if campaign is None else tx.experiments.ran(campaign.id)


def table(session: Session, rows: Sequence[Row]) -> list[Json]:
    """As ALchemist shows them; a column that no row has is left out."""
    noisy = any(row.noise for row in rows)
    extra = list(dict.fromkeys(name for row in rows for name in row.extra))
    shown = []
    for row in rows:
        cells = {each.name: row.inputs.get(each.name) for each in session.variables}
        cells |= {target: row.outputs.get(target) for target in session.targets}
        cells |= {name: row.extra.get(name) for name in extra if name not in cells}
        if noisy:
            cells[NOISE] = row.noise.get(session.targets[0])
        shown.append({**cells, ITERATION: row.iteration, REASON: row.reason, PROVENANCE: row.id})
    return shown


def add(
    tx: Transaction,
    ids: Ids,
    session: Session,
    campaign: r.Campaign,
    rows: Sequence[NewRow],
    actor: str,
    key: str = "",
) -> list[int | None]:
    """Rows that were run elsewhere, all of them or none. The campaign must be locked. Answers their experiments; None
    for a row that was there already.

    `key`: names this request; the same again adds nothing. Raises Refusal (400; 409 for a key with other rows).
    """
    if not rows:
        return []
    reports = [
        _report(session, each, uuid5(SPACE, f"{session.id} {key} {place}") if key else ids.uuid())
        for place, each in enumerate(rows)
    ]
    recorded = elsewhere_in(tx, ids, campaign, reports, actor)
    for place, each in enumerate(recorded):
        if each.code == "key_reused":
            raise Refusal(f"The Idempotency-Key {key[:100]!r} was used before with other rows.", status=409)
        if each.verdict not in (Verdict.ACCEPTED, Verdict.DUPLICATE):
            where = f"experiment {place + 1}: " if len(rows) > 1 else ""
            raise Refusal(where + told(each.errors, each.message), VALUE)
    return [each.experiment if each.verdict is Verdict.ACCEPTED else None for each in recorded]


def check_inputs(session: Session, inputs: Mapping[str, Any], *, observed: bool = True) -> str | None:
    """What is wrong with the inputs of a run, in ALchemist's words: all variables (`observed` ones, too) and no
    others, categories that are known. None where nothing is."""
    wanted = [each.name for each in session.variables if observed or each.role != "observed"]
    missing = [name for name in wanted if name not in inputs]
    if missing:
        return f"Missing search space variables in inputs: {{{', '.join(map(repr, missing))}}}"
    known = sorted(each.name for each in session.variables)
    strange = sorted(name for name in inputs if name not in known and name not in beside.PLOT)
    if strange:
        return f"Unknown input key(s) {strange}; the search space variables are {known}"
    for each in session.variables:
        value = inputs.get(each.name)
        if each.categories and each.name in inputs and value not in each.categories:
            declared = list(each.categories)
            return f"Variable {each.name!r} has value(s) [{value!r}] that are not among its declared values {declared}."
    return None


def outputs_of(session: Session, output: Any, name: str = "output") -> dict[str, float]:
    """What was measured, by target: one number for one target, else an object. Raises Refusal (400)."""
    targets = list(session.targets)
    given = output if isinstance(output, Mapping) else {targets[0]: output}
    missing = [each for each in targets if each not in given]
    if missing:
        raise Refusal(
            f"Missing output value(s) for objective(s) {missing}; this session's objectives are {targets}. "
            f"Send {name} as an object {{objective: value}}.",
            VALUE,
        )
    strange = [each for each in given if each not in targets]
    if strange:
        raise Refusal(f"Unknown objective(s) {strange}; this session's objectives are {targets}.", VALUE)
    for each, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Refusal(f"Output value for {each!r} must be finite, got {value!r}", VALUE)
    return {each: float(given[each]) for each in targets}


def noise_of(session: Session, noise: Any) -> dict[str, float]:
    """Variances by target. Raises Refusal (400)."""
    if noise is None:
        return {}
    given = noise if isinstance(noise, Mapping) else {session.targets[0]: noise}
    for each, value in given.items():
        if each not in session.targets:
            raise Refusal(f"Unknown objective {each!r} in noise.", VALUE)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise Refusal(f"Noise must be a non-negative finite value, got {value!r}", VALUE)
    return {each: float(value) for each, value in given.items()}


def spreads(noise: Mapping[str, float]) -> dict[str, float]:
    """Standard deviations of variances."""
    return {name: math.sqrt(value) for name, value in noise.items()}


def said_with(outputs: Mapping[str, Any], iteration: int | None, extra: Mapping[str, Any] = {}) -> Json:
    """Outputs as they are reported: what is no target is kept beside the result."""
    return {**extra, **outputs, **({} if iteration is None else {ITERATION: iteration})}


def told(errors: Sequence[FieldError], message: str) -> str:
    return "; ".join(f"{each.field} {each.message}".rstrip(".") for each in errors[:10]) or message


def _row(session: Session, found: r.Finding, said: Mapping[str, Any], following: int) -> Row:
    planned = dict(found.planned or {})
    extra = dict(found.extra)
    given, instead = extra.pop(ITERATION, None), extra.pop(REASON, None)
    plot = beside.plot_of(said) or {}
    return Row(
        found.experiment_id,
        item_id(session.id, found.experiment_id),
        {**planned, **beside.observed_of(said), **found.actual},
        planned if found.staged else None,
        {name: found.outputs[name] for name in session.targets if name in found.outputs},
        {name: variance(found.noise[name]) for name in session.targets if name in found.noise},
        int(given) if isinstance(given, int | float) else following,
        instead or (found.reason if found.staged else "") or found.comment or MANUAL,
        {**plot, **extra},
        text_of(found.at),
    )


def _report(session: Session, row: NewRow, id: UUID) -> Report:
    chosen, said = beside.split(session, row.inputs)
    return Report(
        id=id,
        outputs=said_with(row.outputs, row.iteration, {**row.extra, **(beside.plot_of(said) or {})}),
        noise=spreads(row.noise),
        actual=beside.observed_of(said),
        comment=row.reason or "",
        parameters=chosen,
    )
