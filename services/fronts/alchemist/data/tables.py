"""Tables (CSV) of measured rows: what is in one, and adding the rows that are not there yet."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from labqueue.errors import InvalidError
from models.domain import sheet
from services.fronts.alchemist.experiments import rows
from services.fronts.alchemist.refusals import VALUE, Refusal, sentence
from services.fronts.alchemist.sessions import campaign
from services.fronts.alchemist.sessions.keeping import find
from services.fronts.alchemist.sessions.opening import Act, opened
from services.fronts.alchemist.sessions.problem import problem_of
from services.fronts.alchemist.sessions.session import CATEGORICAL, OUTPUT, Session
from services.ports import Store

from . import adding

LIMIT = 16 * 1024 * 1024
#: Of rows whose table says nothing about it.
REASON, ITERATION = "Initial Design", 0
CHANGED = "target columns of an uploaded table"

Json = dict[str, Any]


def preview(store: Store, session_id: str, data: bytes) -> Json:
    """What is in a table, and which column is likely to be the target. Raises Refusal (404, 400)."""
    with store.begin() as tx:
        session = find(tx, session_id)
    table = _read(session, data)
    targets = [each for each in table.columns if each not in rows.METADATA]
    own = {each.name for each in session.variables}
    others = [each for each in targets if each not in own]
    has_output = OUTPUT in table.columns
    return {
        "columns": list(table.columns),
        "available_targets": targets,
        "has_output": has_output,
        "recommended_target": others[0] if others and not has_output else None,
        "n_rows": len(table.rows),
    }


def upload(act: Act, data: bytes, targets: Sequence[str]) -> Json:
    """Rows of a table, all or none, less those that are there already: the same table again adds nothing, and what was
    measured is never replaced. `targets`: the columns that were measured. Raises Refusal (404, 400)."""
    with act.store.begin() as tx:
        session = find(tx, act.session_id)
    problem_of(session)
    wanted = tuple(dict.fromkeys(targets)) or session.targets
    table = _read(session, data)
    missing = [each for each in wanted if each not in table.columns]
    if missing:
        raise Refusal(
            f"Target column(s) {missing} not found in CSV file. Available columns: {list(table.columns)}. Please specify "
            "the correct target column name(s) using the target_columns parameter.",
            VALUE,
        )
    given = [_row(replace(session, targets=wanted), table, each) for each in table.rows]
    if wanted != session.targets:
        campaign.change(
            act.store, act.session_id, lambda known: replace(known, targets=wanted), CHANGED, act.actor
        )
    with opened(act) as here:
        known = Counter(_same(each.inputs, each.outputs) for each in rows.of(here.tx, here.session))
        new = []
        for each in given:
            same = _same(each.inputs, each.outputs)
            if known[same] > 0:
                known[same] -= 1
            else:
                new.append(each)
        adding.put(here, act, new, "")
        total = rows.count(here.tx, act.session_id)
    return {"message": f"Loaded {len(given)} experiments successfully", "n_experiments": total}


def _read(session: Session, data: bytes) -> sheet.Sheet:
    if len(data) > LIMIT:
        raise Refusal(f"A table may have {LIMIT // 2**20} MiB; this one has {len(data):,} bytes.", VALUE)
    known = [*(each.name for each in session.variables), *session.targets, *rows.METADATA]
    try:
        return sheet.read(data, known)
    except InvalidError as error:
        raise Refusal(sentence(error), VALUE) from error


def _row(session: Session, table: sheet.Sheet, row: sheet.Row) -> rows.NewRow:
    cells = {name: text for name, text in row.cells.items() if text.strip()}
    inputs = {
        each.name: _value(table, row, each.name, cells[each.name], each.type == CATEGORICAL)
        for each in session.variables
        if each.name in cells
    }
    wrong = rows.check_inputs(session, inputs)
    if wrong:
        raise Refusal(f"line {row.line}: {wrong}", VALUE)
    empty = [each for each in session.targets if each not in cells]
    if empty:
        raise Refusal(f"line {row.line}: column {empty[0]!r} has no value", VALUE)
    outputs = {each: _number(table, row, each, cells[each]) for each in session.targets}
    noise = _number(table, row, rows.NOISE, cells[rows.NOISE]) if rows.NOISE in cells else None
    number = cells.get(rows.ITERATION)
    told = {*inputs, *outputs, rows.NOISE, rows.ITERATION, rows.REASON, rows.PROVENANCE}
    return rows.NewRow(
        inputs,
        rows.outputs_of(session, outputs),
        rows.noise_of(session, noise),
        ITERATION if number is None else int(_number(table, row, rows.ITERATION, number)),
        cells.get(rows.REASON, REASON),
        {name: _value(table, row, name, text, None) for name, text in cells.items() if name not in told},
    )


def _value(table: sheet.Sheet, row: sheet.Row, name: str, text: str, category: bool | None) -> Any:
    """A category as it stands, a number, or (None) whichever of them it is."""
    if category:
        return text.strip()
    try:
        return _number(table, row, name, text)
    except Refusal:
        if category is None:
            return text
        raise


def _number(table: sheet.Sheet, row: sheet.Row, name: str, text: str) -> float:
    try:
        return table.number(text)
    except sheet.Unclear as error:
        raise Refusal(f"line {row.line}, column {name!r}: {error}", VALUE) from error


def _same(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> str:
    """Equal for rows that say the same."""
    said = [sorted((name, _plain(value)) for name, value in each.items()) for each in (inputs, outputs)]
    return json.dumps(said)


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, int | float) else value
