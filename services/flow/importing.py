"""import: a person's table becomes results, corrections and runs elsewhere, all rows that can be read or none.

What a row says is decided in `models.domain` (sheet, reconcile, pairing); here it is done. The same table again is no
effect, whoever sends it: rows are paired with what is known, and ids follow from the file.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from labqueue.errors import FieldError, InvalidError, TooLargeError
from labqueue.problem import Problem
from labqueue.states import State, Verdict
from models.domain import pairing, sheet
from models.domain import records as r
from models.domain.pairing import CHANGED, NEW, RECORDED, VERDICTS, Known, Reading
from models.domain.reconcile import CODE, ID, Columns, columns_of, entries
from models.domain.replacing import replace
from services.ports import Ids, Store, Transaction

from .amend import Correction, amend_in
from .filing import Recorded, Report
from .report import elsewhere_in, report_in
from .shared import campaign_of, problem_of

FILE_LIMIT = 16 * 1024 * 1024
NAME_LIMIT = 200
#: Names of what a file says are made in here.
_SPACE = UUID("5f2c5b0e-3d3e-4c1b-9f63-0d1e0a6d7a11")
_OPEN = (State.PROPOSED, State.STAGED, State.LEASED, State.HELD, State.PARTIAL)


@dataclass(frozen=True)
class Imported:
    """Of each row in order what became of it, or would, of a `dry` run."""

    columns: Columns
    table: sheet.Sheet
    rows: tuple[Reading, ...]
    dry: bool

    @property
    def counts(self) -> dict[str, int]:
        found = Counter(each.verdict for each in self.rows)
        return {verdict: found[verdict] for verdict in VERDICTS}


def import_table(
    store: Store, ids: Ids, campaign: str, data: bytes, name: str, actor: str, *, dry: bool
) -> Imported:
    """`name`: of the file, for the record. Rows that cannot be used are refused with their reasons, and the others are
    taken. Raises InvalidError where the table as a whole cannot be used, TooLargeError, NotFoundError."""
    if len(data) > FILE_LIMIT:
        raise TooLargeError(f"A table may have {FILE_LIMIT // 2**20} MiB; this one has {len(data):,} bytes.")
    with store.begin() as tx:
        found = campaign_of(tx, campaign, lock=not dry)
        problem = problem_of(found)
        known = () if problem.pool is not None else problem.names
        table = sheet.read(data, (*known, *problem.output_names, CODE, ID))
        columns = _columns(problem, table)
        readings = pairing.pair(problem, entries(problem, table, columns), _known(tx, found, problem))
        if not dry:
            readings = _apply(tx, ids, found, readings, _File(data, name[:NAME_LIMIT]), actor)
    return Imported(columns, table, tuple(readings), dry)


@dataclass(frozen=True)
class _File:
    data: bytes
    name: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def _columns(problem: Problem, table: sheet.Sheet) -> Columns:
    if problem.opaque:
        raise InvalidError(
            errors=[FieldError("campaign", "has opaque items: a table cannot say what they are.", None)]
        )
    columns = columns_of(problem, table)
    if problem.pool is not None and columns.code is None and columns.id is None:
        raise InvalidError(
            "The columns of this table do not fit the campaign.",
            errors=[FieldError(CODE, "has no column: rows of a pool go by the code of their experiment.")],
        )
    return columns


def _known(tx: Transaction, campaign: r.Campaign, problem: Problem) -> list[Known]:
    experiments = tx.experiments.of_campaign(campaign.id, list(State))
    ids = [each.id for each in experiments]
    actual = tx.results.actual(ids)
    outputs: dict[int, dict[str, Any]] = {}
    for reading in tx.results.readings(ids):
        if reading.output in problem.output_names:
            decoded = problem.output(reading.output).decode(reading.value)
            outputs.setdefault(reading.experiment_id, {})[reading.output] = decoded
    return [
        Known(
            each.id,
            each.code,
            each.planned or {},
            actual.get(each.id, {}),
            outputs.get(each.id, {}),
            each.state in _OPEN,
        )
        for each in experiments
    ]


def _apply(
    tx: Transaction, ids: Ids, campaign: r.Campaign, readings: Sequence[Reading], file: _File, actor: str
) -> list[Reading]:
    problem, sha256 = problem_of(campaign), file.sha256
    names = {each.line: uuid5(_SPACE, f"{campaign.id} {sha256} {each.line}") for each in readings}
    said = f"from {file.name}" if file.name else "from a table"

    def report(each: Reading, known: Sequence[str] = ()) -> Report:
        later = [one for one in problem.output_names if one not in each.outputs and one not in known]
        return Report(
            id=names[each.line],
            experiment=each.id,
            outputs=each.outputs,
            actual=each.actual,
            outstanding=tuple(later),
            comment=said,
            parameters=dict(each.parameters) if each.id is None else None,
        )

    told: dict[int, Recorded] = {}
    recorded = [each for each in readings if each.verdict == RECORDED]
    measured: dict[int, list[str]] = {}
    for one in tx.results.readings([each.id for each in recorded if each.id is not None]):
        measured.setdefault(one.experiment_id, []).append(one.output)
    if recorded:
        reports = [report(each, measured.get(each.id or 0, ())) for each in recorded]
        told |= _by_line(recorded, report_in(tx, ids, reports, actor))
    changed = [each for each in readings if each.verdict == CHANGED]
    told |= _by_line(changed, [_change(tx, each, names[each.line], said, actor) for each in changed])
    new = [each for each in readings if each.verdict == NEW]
    if new:
        told |= _by_line(new, elsewhere_in(tx, ids, campaign, [report(each) for each in new], actor))
    if told:
        counts = dict(Counter(each.verdict for each in readings))
        data = {"file": file.name, "sha256": sha256, "rows": counts}
        tx.events.add([r.Event("campaign.imported", actor, campaign_id=campaign.id, data=data)])
    codes = {
        each.id: each.code
        for each in tx.experiments.get(
            sorted({one.experiment for one in told.values() if one.experiment is not None})
        )
    }
    return [_after(each, told.get(each.line), codes) for each in readings]


def _by_line(rows: Sequence[Reading], found: Sequence[Recorded]) -> dict[int, Recorded]:
    return {each.line: one for each, one in zip(rows, found, strict=True)}


def _change(tx: Transaction, each: Reading, name: UUID, said: str, actor: str) -> Recorded:
    assert each.id is not None, "only a known experiment can change"
    last = [one for one in tx.results.of_experiment(each.id) if one.verdict is Verdict.ACCEPTED][-1]
    return amend_in(tx, Correction(last.id, name, each.outputs, f"changed {said}", each.actual), actor)


def _after(each: Reading, told: Recorded | None, codes: dict[int, str]) -> Reading:
    if told is None:
        return each
    code = codes.get(told.experiment or 0)
    return replace(each, id=told.experiment, code=code, message=told.message, errors=told.errors)
