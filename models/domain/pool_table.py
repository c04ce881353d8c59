"""Reads a table of rows that may be run, part by part: an id and its features each. Never whole in memory.

The kind of a column is decided by its first rows (`DECIDING`): numbers where more than half of them are, categories
else. Everything after that is held to it, so that a fault can name its line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from labqueue.errors import FieldError, InvalidError
from labqueue.problem import ROW, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

DECIDING = 1000
ROW_LIMIT = 2_000_000
COLUMN_LIMIT = 4096
CATEGORY_LIMIT = 200
CELL_LIMIT = 400_000_000
NAME_LIMIT = 200
FAULT_LIMIT = 20
#: A block is read by columns: so many of its faults are gathered before the first by lines are told.
_GATHERED = 2000
#: Features are kept as 32-bit floats: larger numbers are none.
LARGEST = 3.4e38
_BLOCK_CELLS = 1 << 17

NUMBER, CATEGORY = "number", "category"

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
#: What people write for a number, and what to write instead.
_ODD_NUMBERS = (
    (
        re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII),
        "commas",
        "Write 0,125 as 0.125, and 1,000 as 1000.",
    ),
    (
        re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?", re.ASCII),
        "a decimal comma",
        "Write them with a point: 0.5.",
    ),
    (re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+) ?%", re.ASCII), "a percent sign", "Write 5% as 5, or as 0.05."),
)
_NOT_FINITE = ("nan", "inf", "infinity")


@dataclass
class Column:
    """A feature. Of numbers: the range, mean and standard deviation so far; of categories: those met so far, in the
    order of their first row, whose places stand for them."""

    name: str
    kind: str
    categories: dict[str, int] = field(default_factory=dict)
    count: int = 0
    low: float = math.inf
    high: float = -math.inf
    mean: float = 0.0
    squares: float = 0.0  # sum of squared distances from the mean

    def to_json(self) -> dict[str, Any]:
        if self.kind == CATEGORY:
            return {"name": self.name, "kind": CATEGORY, "categories": list(self.categories)}
        spread = math.sqrt(self.squares / self.count)
        return {
            "name": self.name,
            "kind": NUMBER,
            "low": self.low,
            "high": self.high,
            "mean": self.mean,
            "sd": spread,
        }

    def add(self, values: NDArray[Any]) -> None:
        """Numbers of further rows (Chan's way of joining means and spreads)."""
        count, mean = len(values), float(values.mean())
        whole = self.count + count
        shift = mean - self.mean
        self.squares += float(((values - mean) ** 2).sum()) + shift * shift * self.count * count / whole
        self.mean += shift * count / whole
        self.count = whole
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))


@dataclass(frozen=True)
class Block:
    """Rows that follow each other: their ids and, by row and column, numbers and places of categories; `shown` has
    the same with the categories' names, for people."""

    keys: list[str]
    lines: list[int]
    values: NDArray[Any]
    shown: list[tuple[Any, ...]]


class Table:
    """A table with a header, of texts. `rows` begins anew with each call: first the header, then the rows, each with
    the line that it is in. `categories`: columns that are categories, whatever they look like.

    Raises InvalidError, which names up to `FAULT_LIMIT` faults with their lines, as soon as that many are known or
    the table ends.
    """

    def __init__(
        self,
        rows: Callable[[], Iterator[tuple[int, Sequence[str]]]],
        id_column: str = "id",
        categories: Collection[str] = (),
    ) -> None:
        self._rows = rows
        self._id_column = id_column
        self._forced = set(categories)
        self.columns: list[Column] = []

    def blocks(self) -> Iterator[Block]:
        """All rows. `columns` is complete when the last block has come."""
        source = self._rows()
        faults = _Faults()
        line, header = next(source, (1, ()))
        place = self._read_header([name.strip() for name in header], line, faults)
        width = len(header)
        first = list(islice(source, DECIDING))
        whole = [cells for _, cells in first if len(cells) == width]
        self.columns = [
            Column(name.strip(), self._kind(name.strip(), number, whole, faults))
            for number, name in enumerate(header)
            if number != place
        ]
        faults.stop_if_any()
        rows, size = 0, max(1, min(8192, _BLOCK_CELLS // width))
        for part in _parts(chain(first, source), size):
            block = self._block(part, place, width, faults)
            rows += len(part)
            _check_size(rows, len(self.columns))
            if block is not None:
                yield block
        faults.stop_if_any()
        if not rows:
            raise InvalidError(
                "The table has no rows below its header.", errors=[FieldError("rows", "are missing.")]
            )

    def _read_header(self, names: list[str], line: int, faults: _Faults) -> int:
        """The place of the id's column."""
        wanted = self._id_column
        if len(names) > COLUMN_LIMIT + 1:
            rule = f"at most {COLUMN_LIMIT} columns beside the id"
            raise InvalidError(
                f"The table has {len(names)} columns.",
                errors=[FieldError("columns", f"must be {rule}.", len(names), rule)],
            )
        for number, name in enumerate(names, 1):
            if not name or len(name) > NAME_LIMIT or not name.isprintable():
                rule = f"printable text of 1 to {NAME_LIMIT} letters"
                faults.add(f"line {line}, column {number}", f"has no usable name: {rule}.", name[:100])
            elif names.index(name) < number - 1:
                faults.add(f"line {line}, column {number}", f"has the name {name} of another column.", name)
            elif name == ROW and wanted != ROW:
                hint = "Rename it, or name it as the column of the ids."
                faults.add(f"line {line}, {ROW}", "is the name that the id has in an experiment.", name, hint)
        for name in sorted(self._forced - set(names)):
            faults.add("category", f"names {name}, no column.", name, did_you_mean(name, names))
        if wanted not in names:
            shown = ", ".join(names[:20]) or "nothing"
            message = f"has no column {wanted} for the ids, but {shown}."
            faults.add(f"line {line}", message, wanted, "Say which column holds the ids.")
        elif len(names) == 1:
            faults.add(f"line {line}", "has the id alone; at least one column of features is needed.")
        faults.stop_if_any()
        return names.index(wanted)

    def _kind(self, name: str, number: int, whole: Sequence[Sequence[str]], faults: _Faults) -> str:
        if name in self._forced:
            return CATEGORY
        texts = [text for cells in whole if (text := cells[number].strip())]
        numbers = sum(_is_number(text) for text in texts)
        if 2 * numbers > len(texts):
            return NUMBER
        odd = [found for text in texts if (found := _odd(text)) is not None]
        if 2 * (numbers + len(odd)) > len(texts):
            what, hint = max(dict.fromkeys(odd), key=odd.count)
            faults.add(name, f"has numbers with {what}.", None, hint)
        return CATEGORY

    def _block(
        self, part: Sequence[tuple[int, Sequence[str]]], place: int, width: int, faults: _Faults
    ) -> Block | None:
        """None where a row is at fault."""
        import numpy

        before = len(faults.found)
        good = []
        for line, cells in part:
            if len(cells) == width:
                good.append((line, cells))
            else:
                faults.add(f"line {line}", f"has {len(cells)} cells instead of {width}.")
        if not good:
            return None
        lines = [line for line, _ in good]
        texts = list(zip(*(cells for _, cells in good), strict=True))
        keys = [each.strip() for each in texts.pop(place)]
        for line, key in zip(lines, keys, strict=True):
            if not key or len(key) > NAME_LIMIT or not key.isprintable():
                rule = f"printable text of 1 to {NAME_LIMIT} letters"
                what = "is no usable id" if key else "has no id"
                faults.add(f"line {line}", f"{what}: {rule}.", key[:100])
        values = numpy.empty((len(good), len(self.columns)))
        shown: list[Sequence[Any]] = []
        for number, (column, cells) in enumerate(zip(self.columns, texts, strict=True)):
            read = _numbers if column.kind == NUMBER else _categories
            values[:, number], names = read(column, cells, lines, faults)
            shown.append(names)
        if len(faults.found) >= FAULT_LIMIT:
            faults.stop_if_any()
        if len(faults.found) > before:
            return None
        for column, found in zip(self.columns, values.T, strict=True):
            if column.kind == NUMBER:
                column.add(found)
        return Block(keys, lines, values, list(zip(*shown, strict=True)))


class _Faults:
    def __init__(self) -> None:
        self.found: list[FieldError] = []

    def add(self, field: str, message: str, value: Any = None, hint: str = "") -> None:
        self.found.append(FieldError(field, message, value, None, hint))
        if len(self.found) >= _GATHERED:
            self.stop_if_any()

    def stop_if_any(self) -> None:
        if self.found:
            told = sorted(self.found, key=_line)[:FAULT_LIMIT]
            many = len(told)
            how = f"the first {many} faults" if many >= FAULT_LIMIT else f"{many} fault{'s' * (many > 1)}"
            raise InvalidError(f"The pool cannot be used as it stands: {how}.", errors=told)


def _line(fault: FieldError) -> int:
    """Its line; 0 of what is said of the whole table."""
    found = re.match(r"line (\d+)", fault.field)
    return int(found[1]) if found else 0


def _numbers(
    column: Column, cells: Sequence[str], lines: Sequence[int], faults: _Faults
) -> tuple[Any, Sequence[Any]]:
    import numpy

    joined = "".join(cells)
    if joined.isascii() and "_" not in joined:  # Python reads 1_000 and other alphabets' digits, too
        try:
            numbers = list(map(float, cells))
        except ValueError:
            numbers = []
        values = numpy.array(numbers)
        if len(numbers) and bool((numpy.abs(values) < LARGEST).all()):  # false for NaN, too
            return values, numbers
    kept = []
    for line, text in zip(lines, cells, strict=True):
        text = text.strip()
        if not _NUMBER.fullmatch(text):
            what = "is not a number." if text else "is empty."
            if text.lower().lstrip("+-") in _NOT_FINITE:
                what = "is not a finite number."
            hint = (_odd(text) or ("", ""))[1]
            faults.add(f"line {line}, {column.name}", what, text[:100], hint)
        elif abs(float(text)) >= LARGEST:
            faults.add(f"line {line}, {column.name}", "is larger than a 32-bit float can be.", text[:100])
        else:  # with blanks around it that are no ASCII
            kept.append(float(text))
            continue
        kept.append(0.0)
    return numpy.array(kept), kept


def _categories(
    column: Column, cells: Sequence[str], lines: Sequence[int], faults: _Faults
) -> tuple[Any, Sequence[Any]]:
    import numpy

    known = column.categories
    names = [text.strip() for text in cells]
    places = []
    for line, name in zip(lines, names, strict=True):
        place = known.get(name)
        if place is None:
            place = len(known)
            if not name:
                faults.add(f"line {line}, {column.name}", "is empty.", "")
            elif len(name) > NAME_LIMIT or not name.isprintable():
                rule = f"printable text of at most {NAME_LIMIT} letters"
                faults.add(f"line {line}, {column.name}", f"is no usable category: {rule}.", name[:100])
            elif place >= CATEGORY_LIMIT:
                faults.add(
                    f"line {line}, {column.name}",
                    f"is a category beyond the {CATEGORY_LIMIT} that a column may have.",
                    name[:100],
                    "Leave out texts that say nothing about the result, or describe them by numbers.",
                )
                faults.stop_if_any()
            else:
                known[name] = place
        places.append(place)
    return numpy.array(places, dtype=float), names


def _odd(text: str) -> tuple[str, str] | None:
    """What a number is written with that is none as it stands, and what to write instead."""
    return next(((what, hint) for form, what, hint in _ODD_NUMBERS if form.fullmatch(text)), None)


def _is_number(text: str) -> bool:
    """Also what is no finite one: it is a fault in a column of numbers, not a category."""
    return bool(_NUMBER.fullmatch(text)) or text.lower().lstrip("+-") in _NOT_FINITE


def _parts(rows: Iterable[tuple[int, Sequence[str]]], size: int) -> Iterator[list[tuple[int, Sequence[str]]]]:
    rows = iter(rows)
    while part := list(islice(rows, size)):
        yield part


def _check_size(rows: int, columns: int) -> None:
    if rows > ROW_LIMIT:
        raise _too_large(f"at most {ROW_LIMIT:,} rows", rows)
    if rows * columns > CELL_LIMIT:
        raise _too_large(f"at most {CELL_LIMIT:,} values", rows * columns)


def _too_large(rule: str, value: int) -> InvalidError:
    return InvalidError(
        "The pool is too large.", errors=[FieldError("rows", f"must be {rule}.", value, rule)]
    )
