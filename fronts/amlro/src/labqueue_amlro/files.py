"""The files that AMLRO's programs and people read, byte for byte in its formats.

full_combo.csv          the grid, encoded, every number with five decimals
full_combo_decoded.csv  the grid with category names; ints as they are (for at most 20,000 conditions)
training_combo.csv      the training set, in the same form
reactions_data.csv      what was measured, encoded; numbers as str() shows them, features always as floats
its _decoded twin       the same with category names, every value as it was given
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .const import FULL_COMBO_DECODED_FILENAME, FULL_COMBO_FILENAME, TRAINING_COMBO_FILENAME
from .locks import write_whole
from .scope import DECIMALS, Scope, Value

DECODED_LIMIT = 20_000


def write_scope(folder: Path, full: Any, encoded: Any, training: Any) -> None:
    """The grid's files and the training set's, each replaced at once."""
    _write_table(folder / FULL_COMBO_FILENAME, encoded)
    if len(full) <= DECODED_LIMIT:
        _write_table(folder / FULL_COMBO_DECODED_FILENAME, full)
    _write_table(folder / TRAINING_COMBO_FILENAME, training)


def _write_table(path: Path, table: Any) -> None:
    text = table.to_csv(index=False, float_format=f"%.{DECIMALS}f", lineterminator="\n")
    write_whole(path, text.encode())


def read_training(folder: Path, scope: Scope) -> list[tuple[Value, ...]]:
    """The conditions of training_combo.csv as the grid's. Raises FileNotFoundError, and ValueError with the line."""
    path = folder / TRAINING_COMBO_FILENAME
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is not there: call get_reaction_scope(config, ..., write_files=True, exp_dir=exp_dir) first."
        )
    found = []
    for line, cells in _rows(path, scope.features):
        condition = _read(scope.read, cells, path, line)
        if not scope.on_grid(condition):
            raise ValueError(
                f"{path}, line {line}: {','.join(cells)} is no condition of the grid. Take it out, or set bounds and "
                "resolutions so that the grid has it."
            )
        found.append(scope.planned(condition))
    return list(dict.fromkeys(found))


def read_candidates(folder: Path, scope: Scope) -> Any | None:
    """The conditions of full_combo.csv, encoded, of shape (rows, features): people take out what cannot be run.
    None without that file. Raises ValueError where its columns are not the configuration's."""
    path = folder / FULL_COMBO_FILENAME
    if not path.exists():
        return None
    table = pd.read_csv(path)
    if list(table.columns) != list(scope.features):
        raise ValueError(
            f"{path} has the columns {', '.join(table.columns)}, and not {', '.join(scope.features)}."
        )
    return table.to_numpy(dtype=float)


def decoded_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}_decoded{path.suffix}")


def data_files(scope: Scope, cells: Sequence[Sequence[str]]) -> tuple[bytes, bytes]:
    """The encoded and the decoded file of these rows; a row is its decoded cells: features, then objectives."""
    header = [*scope.features, *scope.objectives]
    encoded = [
        [*map(str, scope.encode(scope.read(row[: len(scope.features)]))), *row[len(scope.features) :]]
        for row in cells
    ]
    return _text([header, *encoded]), _text([header, *cells])


def read_data(path: Path, scope: Scope, *, encoded: bool) -> list[tuple[str, ...]]:
    """The rows of a data file as decoded cells. A category may stand by its index or by its name; `encoded` says
    which one it is where it could be both. Raises ValueError with the line."""
    found = []
    for line, cells in _rows(path, [*scope.features, *scope.objectives]):
        named = list(cells)
        for place, choice in enumerate(scope.categorical, len(scope.continuous)):
            named[place] = _label(choice.labels, cells[place], encoded)
        _read(scope.read, named[: len(scope.features)], path, line)
        _read(scope.read_objectives, named[len(scope.features) :], path, line)
        found.append(tuple(named))
    return found


def line_of(cells: Sequence[str]) -> str:
    """Cells as one line of a file, without its end."""
    return _text([cells]).decode().rstrip("\n")


def cells_of(line: str) -> list[str]:
    return next(csv.reader([line]), [])


def _text(rows: Sequence[Sequence[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def _rows(path: Path, header: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Lines with their numbers, empty ones left out."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        lines = [
            (number, cells) for number, cells in enumerate(csv.reader(file), 1) if any(map(str.strip, cells))
        ]
    if not lines or [each.strip() for each in lines[0][1]] != list(header):
        came = ", ".join(lines[0][1]) if lines else "no header"
        raise ValueError(f"{path} has the columns {came}, and not {', '.join(header)}. Nothing was changed.")
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise ValueError(f"{path}, line {number}: {len(cells)} values, and {len(header)} are needed.")
    return [(number, [each.strip() for each in cells]) for number, cells in lines[1:]]


def _label(labels: Sequence[str], cell: str, encoded: bool) -> str:
    """A category's name: as it stands, or by the index that encodes it."""
    if cell in labels and not encoded:
        return cell
    try:
        place = float(cell)
    except ValueError:
        return cell
    return labels[int(place)] if place.is_integer() and 0 <= place < len(labels) else cell


def _read(reader: Any, cells: Sequence[str], path: Path, line: int) -> Any:
    try:
        return reader(cells)
    except ValueError as error:
        raise ValueError(f"{path}, line {line}: {error}") from error
