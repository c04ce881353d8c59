"""A measured table, replayed: any published data set becomes an instrument.

labqueue.serve(Replay("suzuki.csv", inputs=["temperature", "ligand"], outputs=["yield"]), ...)
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union

from labqueue.errors import Failed, FieldError, InvalidError
from labqueue.problem import did_you_mean

if TYPE_CHECKING:
    from labqueue.experiment import Experiment
    from labqueue.measured import Result

EXACT, NEAREST = "exact", "nearest"
Cell = Union[float, str]


class Replay:
    """Answers each experiment with the row of the table that it names, or with the nearest one.

    inputs     columns that are parameters, under the parameters' names; an empty cell stands for one that does not
               exist there
    outputs    columns that are outputs, under the outputs' names: numbers, or labels
    match      "exact": the run fails where no row has these parameters; "nearest": the row at the smallest
               distance, numbers scaled by their column's range, a different category counting as the whole range
    delay      seconds that a run takes; it ends early when it is cancelled
    delimiter  what separates the cells

    Of several rows with the same inputs, the experiment's number picks one: always the same for the same
    experiment. The row's own inputs come back as the actual parameters. InvalidError where the table cannot be
    used: it names the columns and the lines.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, inputs: Sequence[str], outputs: Sequence[str],
        match: str = EXACT, delay: float = 0.0, delimiter: str = ",",
    ) -> None:  # fmt: skip
        if match not in (EXACT, NEAREST):
            wrong = FieldError(
                "match", "is not known.", match, [EXACT, NEAREST], did_you_mean(match, [EXACT, NEAREST])
            )
            raise InvalidError("The table cannot be replayed.", errors=[wrong])
        self.path, self.match, self.delay = os.fspath(path), match, delay
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.rows = _read(self.path, self.inputs, self.outputs, delimiter)
        self._ranges = {name: _range([row[name] for row in self.rows]) for name in self.inputs}

    def __call__(self, experiment: Experiment) -> Result:
        """What the table holds for this experiment."""
        row = self.find(experiment.parameters, experiment.id)
        if self.delay > 0:
            experiment.wait(self.delay)
            experiment.raise_if_cancelled()
        classes = {each.name: each.classes for each in experiment.outputs}
        outputs = {name: _measured(row[name], classes.get(name, ())) for name in self.outputs}
        missing = [name for name, value in outputs.items() if value is None]
        if missing:
            what = "label" if all(classes.get(name) for name in missing) else "number"
            raise Failed(f"Line {row['']} of {self.path} has no {what} for {', '.join(missing)}.")
        return experiment.result(outputs, actual={name: row[name] for name in self.inputs if row[name] != ""})

    def find(self, parameters: Mapping[str, Any], number: int = 0) -> Mapping[str, Any]:
        """The row for these parameters; its line number is under the empty name. Raises Failed."""
        lacking = [name for name in self.inputs if name not in parameters]
        strange = [name for name in lacking if all(row[name] != "" for row in self.rows)]
        if strange:
            raise Failed(f"The experiment has no parameter {', '.join(strange)}; the table needs it.")
        near = [(self._distance(row, parameters), row) for row in self.rows]
        least = min(distance for distance, _ in near)
        if self.match == EXACT and least > 1e-9:
            closest = next(row for distance, row in near if distance == least)
            shown = ", ".join(f"{name}={closest[name]}" for name in self.inputs)
            raise Failed(
                f"{self.path} has no row with these parameters. The nearest, line {closest['']}: {shown}."
            )
        same = [row for distance, row in near if distance <= max(least, 1e-9)]
        return same[number % len(same)]

    def _distance(self, row: Mapping[str, Any], parameters: Mapping[str, Any]) -> float:
        return math.fsum(
            _apart(row[name], parameters.get(name, ""), self._ranges[name]) ** 2 for name in self.inputs
        )


def _read(path: str, inputs: Sequence[str], outputs: Sequence[str], delimiter: str) -> list[dict[str, Any]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file, delimiter=delimiter, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidError(f"The table {path} cannot be read: {error}.") from None
    header = [name.strip() for name in lines[0]] if lines else []
    errors = [
        FieldError(name, "is no column of the table.", name, ", ".join(header), did_you_mean(name, header))
        for name in (*inputs, *outputs)
        if name not in header
    ]
    rows = []
    for number, cells in enumerate(lines[1:], 2):
        if len(cells) == len(header):
            rows.append({**dict(zip(header, map(_typed, cells))), "": number})
        elif cells:
            errors.append(
                FieldError(f"line {number}", f"has {len(cells)} cells instead of {len(header)}.", None)
            )
    if not rows and not errors:
        errors.append(FieldError("rows", "are missing: the table is empty."))
    if errors:
        raise InvalidError(f"The table {path} cannot be used as it stands.", errors=errors)
    return rows


def _typed(cell: str) -> Cell:
    try:
        number = float(cell)
    except ValueError:
        return cell.strip()
    return number if math.isfinite(number) else cell.strip()


def _measured(cell: Cell, classes: Sequence[str]) -> Cell | None:
    """A number, or one of the labels (which may look like a number); None where the cell holds neither."""
    if classes:
        return next((label for label in classes if cell in (label, _typed(label))), None)
    return None if isinstance(cell, str) else cell


def _range(values: Sequence[Cell]) -> float:
    numbers = [value for value in values if not isinstance(value, str)]
    return (max(numbers) - min(numbers) or 1.0) if numbers else 1.0


def _apart(one: Cell, other: Any, scale: float) -> float:
    """How far apart two values are, in ranges of their column."""
    numeric = not isinstance(one, str) and isinstance(other, (int, float)) and not isinstance(other, bool)
    if numeric:
        return (float(one) - float(other)) / scale
    return 0.0 if str(one) == str(other) else 1.0
