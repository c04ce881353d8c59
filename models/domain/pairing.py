"""Which experiment each row of a table is about, and what it says that is not known yet.

A row with a code (or an id) is about that experiment, whatever its values are. Others are paired by their point: first
those whose values are known already, then with experiments that wait for a result, then with ones whose values the row
corrects; what is left over was run elsewhere. A table that was read before says nothing new.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from labqueue.errors import FieldError
from labqueue.problem import Fixed, Problem
from models.domain.reconcile import Entry

#: Run elsewhere; the first values of an experiment; other values, or another point, than were known; nothing new;
#: nothing measured yet; cannot be used.
NEW, RECORDED, CHANGED = "new", "recorded", "changed"
UNCHANGED, PENDING, REFUSED = "unchanged", "pending", "refused"
VERDICTS = (NEW, RECORDED, CHANGED, UNCHANGED, PENDING, REFUSED)
#: Values that a spreadsheet rounds are the same.
_SAME = 1e-9


@dataclass(frozen=True)
class Known:
    """An experiment: its planned point, what its parameters really were, its current outputs. `open`: does it wait for
    a result?"""

    id: int
    code: str
    planned: Mapping[str, Any]
    actual: Mapping[str, Any]
    outputs: Mapping[str, Any]
    open: bool

    @property
    def point(self) -> dict[str, Any]:
        return {**self.planned, **self.actual}


@dataclass(frozen=True)
class Reading:
    """What becomes of a row: `outputs` and `actual` are what is new, of experiment `id` (None: of one run elsewhere
    at `parameters`)."""

    line: int
    verdict: str
    id: int | None = None
    code: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    actual: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    errors: tuple[FieldError, ...] = ()


def pair(problem: Problem, entries: Sequence[Entry], known: Sequence[Known]) -> list[Reading]:
    """In the order of the rows."""
    found: dict[int, Reading] = {}
    taken: set[int] = set()
    by_code = {each.code: each for each in known}
    by_id = {each.id: each for each in known}
    loose: list[Entry] = []
    for entry in entries:
        if entry.errors:
            found[entry.line] = Reading(entry.line, REFUSED, message="", errors=entry.errors)
        elif entry.code is None and entry.id is None:
            loose.append(entry)
        else:
            meant = by_code.get(entry.code or "") if entry.code is not None else by_id.get(entry.id or 0)
            found[entry.line] = _about(problem, entry, meant, taken)
    _by_point(problem, loose, [each for each in known if each.id not in taken], found)
    return [found[entry.line] for entry in entries]


def _about(problem: Problem, entry: Entry, meant: Known | None, taken: set[int]) -> Reading:
    name = entry.code if entry.code is not None else str(entry.id)
    if meant is None:
        return _refused(entry, "experiment", f"there is no experiment {name} in this campaign.", name)
    if meant.id in taken:
        return _refused(entry, "experiment", f"{name} stands in another row already.", name)
    taken.add(meant.id)
    actual = {key: value for key, value in entry.parameters.items() if not _same(value, meant.point.get(key))}
    wrong = [error for key, value in actual.items() if (error := problem.check_actual(key, value))]
    if wrong:
        return Reading(entry.line, REFUSED, meant.id, meant.code, errors=tuple(wrong))
    return _said(entry, meant, actual)


def _by_point(
    problem: Problem, entries: Iterable[Entry], known: Iterable[Known], found: dict[int, Reading]
) -> None:
    there: dict[tuple[Any, ...], list[Known]] = defaultdict(list)
    for each in known:
        for key in {_key(problem, each.planned), _key(problem, each.point)}:
            there[key].append(each)
    groups: dict[tuple[Any, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        wrong = problem.check_run(_planned(problem, entry.parameters))
        if wrong and not there.get(_key(problem, entry.parameters)):
            hint = "Where it was planned otherwise, name its experiment in a column `code`."
            errors = tuple(replace(each, hint=each.hint or hint) for each in wrong)
            found[entry.line] = Reading(entry.line, REFUSED, errors=errors)
        else:
            groups[_key(problem, entry.parameters)].append(entry)
    used: set[int] = set()
    for key, rows in groups.items():
        here = [each for each in there.get(key, ()) if each.id not in used]
        for entry, meant in _matched(rows, here):
            if meant is None:
                found[entry.line] = _elsewhere(problem, entry)
            else:
                used.add(meant.id)
                found[entry.line] = _said(entry, meant, _beside(problem, entry, meant))


def _matched(rows: list[Entry], here: list[Known]) -> list[tuple[Entry, Known | None]]:
    """Rows of one point with the experiments there, each no more than once."""
    pairs: list[tuple[Entry, Known | None]] = []
    for fits in (_told_before, _waiting, lambda entry, each: bool(entry.outputs), lambda entry, each: True):
        for entry in list(rows):
            meant = next((each for each in here if fits(entry, each)), None)
            if meant is not None:
                pairs.append((entry, meant))
                rows.remove(entry)
                here.remove(meant)
    return pairs + [(entry, None) for entry in rows]


def _told_before(entry: Entry, each: Known) -> bool:
    return bool(entry.outputs) and all(
        _same(value, each.outputs.get(name)) for name, value in entry.outputs.items()
    )


def _waiting(entry: Entry, each: Known) -> bool:
    return bool(entry.outputs) and each.open and not each.outputs.keys() & entry.outputs.keys()


def _said(entry: Entry, meant: Known, actual: Mapping[str, Any]) -> Reading:
    different = {
        name: value for name, value in entry.outputs.items() if not _same(value, meant.outputs.get(name))
    }
    if not entry.outputs and not meant.outputs:
        verdict = PENDING
    elif not different and not actual:
        verdict = UNCHANGED
    else:
        verdict = CHANGED if different.keys() & meant.outputs.keys() or not different else RECORDED
    if verdict in (PENDING, UNCHANGED):
        return Reading(entry.line, verdict, meant.id, meant.code)
    return Reading(entry.line, verdict, meant.id, meant.code, outputs=different, actual=actual)


def _elsewhere(problem: Problem, entry: Entry) -> Reading:
    if not entry.outputs:
        text = "nothing was measured, and no such experiment is staged."
        return Reading(entry.line, PENDING, message=text)
    planned, actual = _planned(problem, entry.parameters), _context(problem, entry.parameters)
    text = "" if problem.pool is not None else outside(problem.check_point(planned))
    return Reading(
        entry.line, NEW, parameters=planned, outputs=dict(entry.outputs), actual=actual, message=text
    )


def outside(wrong: Sequence[FieldError]) -> str:
    """What is said of a point that was run, and that nobody could plan for these reasons."""
    faults = "; ".join(f"{each.field} {each.message}".rstrip(".") for each in wrong)
    return f"Taken, though nothing may be planned there: {faults}." if wrong else ""


def _planned(problem: Problem, point: Mapping[str, Any]) -> dict[str, Any]:
    planned = {each.name for each in problem.planned}
    return {name: value for name, value in point.items() if name in planned}


def _context(problem: Problem, point: Mapping[str, Any]) -> dict[str, Any]:
    """What is measured beside a point and not planned."""
    return {each.name: point[each.name] for each in problem.context if each.name in point}


def _beside(problem: Problem, entry: Entry, meant: Known) -> dict[str, Any]:
    """Of that, what is not known yet."""
    context = _context(problem, entry.parameters)
    return {name: value for name, value in context.items() if not _same(value, meant.actual.get(name))}


def _key(problem: Problem, point: Mapping[str, Any]) -> tuple[Any, ...]:
    """Of what was chosen, less the digits that spreadsheets round."""
    chosen = [point.get(each.name) for each in problem.planned if not isinstance(each, Fixed)]
    return tuple(float(f"{each:.9g}") if isinstance(each, int | float) else each for each in chosen)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=_SAME, abs_tol=1e-300)
    return bool(one == other)


def _refused(entry: Entry, name: str, message: str, value: Any) -> Reading:
    return Reading(entry.line, REFUSED, errors=(FieldError(name, message, value),))
