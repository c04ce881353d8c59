"""What the rows of a person's table say in the words of a problem: any order of columns, names or numbers of
categories, marks of any language; what cannot be told is refused with its row and never guessed.

A category may stand as its name or as its place in the problem's order (0, 1, ...), one way in a whole column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labqueue.errors import FieldError, InvalidError
from labqueue.problem import Categorical, Context, Fixed, Parameter, Problem, listed
from models.domain.sheet import Row, Sheet, Unclear, simple

#: Columns that say which experiment a row is about: its code, or its id.
CODE, ID = "code", "experiment"
#: What stands where nothing was measured yet.
PENDING = frozenset({"", "pending", "nan", "na", "n/a", "none", "null", "-", "?", "tbd"})


@dataclass(frozen=True)
class Columns:
    """Which column of the table is what. `encoded`: parameters whose categories stand as their places."""

    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    code: str | None = None
    id: str | None = None
    ignored: tuple[str, ...] = ()
    encoded: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Entry:
    """A row as it was understood. `parameters` and `outputs`: those that are filled in. `errors`: why it cannot be used;
    its fields are the table's columns."""

    line: int
    code: str | None = None
    id: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    errors: tuple[FieldError, ...] = ()


def columns_of(problem: Problem, sheet: Sheet) -> Columns:
    """Raises InvalidError where the table has no column for a parameter (and none that names experiments), no output at
    all, or two for one name."""
    wrong: list[FieldError] = []
    taken: set[str] = set()

    def column(name: str) -> str | None:
        same = [each for each in sheet.columns if each == name]
        like = same or [each for each in sheet.columns if simple(each) == simple(name) and each not in known]
        if len(like) > 1:
            wrong.append(FieldError(name, f"may be the column {' or '.join(map(repr, like))}.", like))
        taken.update(like)
        return like[0] if like else None

    known = {*problem.names, *problem.output_names, *(problem.pool.columns if problem.pool else ())}
    parameters = {name: found for name in problem.names if (found := column(name)) is not None}
    outputs = {name: found for name in problem.output_names if (found := column(name)) is not None}
    code, id = (None if name in known else column(name) for name in (CODE, ID))
    has = f"The table has: {listed(filter(None, sheet.columns))}."
    if code is None and id is None:
        wrong += [
            FieldError(each.name, "has no column.", hint=has)
            for each in problem.parameters
            if each.name not in parameters and not isinstance(each, Fixed | Context) and each.when is None
        ]
    if not outputs:
        text = f"has no column of an output ({listed(problem.output_names)})."
        wrong.append(FieldError("file", text, hint=has))
    if wrong:
        raise InvalidError("The columns of this table do not fit the campaign.", errors=wrong)
    ignored = tuple(each for each in sheet.columns if each and each not in taken)
    encoded = frozenset(
        each.name
        for each in problem.parameters
        if isinstance(each, Categorical)
        and each.name in parameters
        and _encoded(each, [row.cells.get(parameters[each.name], "") for row in sheet.rows])
    )
    return Columns(parameters, outputs, code, id, ignored, encoded)


def _encoded(parameter: Categorical, cells: Sequence[str]) -> bool:
    """Are all of them places of categories, and is none a name?"""
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(
        _place(cell) in range(len(parameter.categories)) and cell not in parameter.categories
        for cell in filled
    )


def _place(cell: str) -> int:
    """-1 where it is no whole number."""
    whole, _, rest = cell.replace(",", ".").partition(".")
    return (
        int(whole) if whole.isascii() and whole.isdecimal() and len(whole) < 9 and not rest.strip("0") else -1
    )


def entries(problem: Problem, sheet: Sheet, columns: Columns) -> list[Entry]:
    return [_entry(problem, sheet, columns, row) for row in sheet.rows]


def _entry(problem: Problem, sheet: Sheet, columns: Columns, row: Row) -> Entry:
    wrong = [FieldError("row", "has more cells than there are columns.")] if row.long else []
    parameters: dict[str, Any] = {}
    for name, column in columns.parameters.items():
        cell = row.cells.get(column, "")
        if cell:
            try:
                parameters[name] = _value(problem.parameter(name), cell, sheet, name in columns.encoded)
            except Unclear as error:
                wrong.append(FieldError(column, f"{error}.", cell[:100], problem.parameter(name).allowed))
    outputs: dict[str, Any] = {}
    for name, column in columns.outputs.items():
        cell = row.cells.get(column, "")
        classes = problem.output(name).classes
        if cell in classes:
            outputs[name] = cell
        elif cell.casefold() not in PENDING:
            try:
                outputs[name] = _named(cell, classes) if classes else sheet.number(cell)
            except Unclear as error:
                wrong.append(FieldError(column, f"{error}.", cell[:100], ", ".join(classes) or "a number"))
    code = (row.cells.get(columns.code) or None) if columns.code else None
    id = None
    if columns.id and (cell := row.cells.get(columns.id, "")):
        if cell.isascii() and cell.isdecimal() and len(cell) < 19:
            id = int(cell)
        elif code is None:
            code = cell
    return Entry(row.line, code, id, parameters, outputs, tuple(wrong))


def _value(parameter: Parameter, cell: str, sheet: Sheet, encoded: bool) -> Any:
    if isinstance(parameter, Categorical):
        return parameter.categories[_place(cell)] if encoded else _named(cell, parameter.categories)
    if isinstance(parameter, Context) and parameter.categories:
        return _named(cell, parameter.categories)
    if isinstance(parameter, Fixed) and isinstance(parameter.value, str):
        return cell
    return sheet.number(cell)


def _named(cell: str, names: Collection[str]) -> str:
    """The name, or the only one that differs in case and blanks alone."""
    if cell in names:
        return cell
    like = [name for name in names if name.casefold().split() == cell.casefold().split()]
    if len(like) == 1:
        return like[0]
    raise Unclear(f"{cell[:40]!r} is not one of {_listed(names)}")


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found[:12]) + (f" and {len(found) - 12} more" if len(found) > 12 else "")
