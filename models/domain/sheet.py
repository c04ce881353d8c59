"""A table as people keep it: CSV out of a spreadsheet of any language, read without guessing.

Excel writes semicolons and decimal commas where the language has them, a byte order mark, Windows letters. Each of these
can be told from the file; whether `1,234` is a little more than one or more than a thousand often cannot, and then the
cell is unclear.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from labqueue.errors import FieldError, InvalidError
from labqueue.parse import SIZE_LIMIT

ROW_LIMIT, COLUMN_LIMIT, CELL_LIMIT = 20_000, 2_000, 10_000
DELIMITERS = (",", ";", "\t")

_PLAIN = re.compile(r"[+-]?\d+([eE][+-]?\d+)?", re.ASCII)
_POINTED = re.compile(r"[+-]?(\d+[.,]\d*|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
#: One mark and three digits after one to three: a decimal mark, or one between thousands.
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3}){2,}|[+-]?[1-9]\d{0,2}(,\d{3}){2,}", re.ASCII)
_BOTH = re.compile(r"[+-]?[1-9]\d{0,2}(?:(?:\.\d{3})+,\d+|(?:,\d{3})+\.\d+)", re.ASCII)


class Unclear(ValueError):
    """A cell that can be read in two ways, or in none."""


@dataclass(frozen=True)
class Row:
    """`line`: where it stands in the file, the first line being 1. `long`: it has more cells than there are columns."""

    line: int
    cells: Mapping[str, str]
    long: bool = False


@dataclass(frozen=True)
class Sheet:
    """columns: in their order. decimal: the marks that the file itself proves, of "." and ","."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    delimiter: str
    decimal: frozenset[str] = field(default_factory=frozenset)

    def number(self, text: str) -> float:
        """Raises Unclear, with what it may be."""
        found = self._number(text.strip())
        if not abs(found) <= SIZE_LIMIT:
            raise Unclear(f"{text[:40]!r} is too large: numbers reach {SIZE_LIMIT:g}")
        return found

    def _number(self, text: str) -> float:
        if _PLAIN.fullmatch(text):
            return float(text)
        if _BOTH.fullmatch(text):
            mark = max(".,", key=text.rfind)
            return float(text.replace("." if mark == "," else ",", "").replace(",", "."))
        if _GROUPED.fullmatch(text):
            return float(text.replace(".", "").replace(",", ""))
        if not _POINTED.fullmatch(text):
            raise Unclear(f"{text[:40]!r} is no number")
        mark = "," if "," in text else "."
        if _EITHER.fullmatch(text) and self.decimal != {mark}:
            small, large = text.replace(",", "."), text.replace(",", "").replace(".", "")
            raise Unclear(f"{text!r} may be {small} or {large}: write it without a mark between thousands")
        return float(text.replace(",", "."))


def read(data: bytes, known: Collection[str]) -> Sheet:
    """The table in a file. `known`: names by which the delimiter is told. Raises InvalidError."""
    text = _decoded(data)
    delimiter = _told(text) or max(DELIMITERS, key=lambda each: _matches(text, each, known))
    reader = csv.reader((line + "\n" for line in text.split("\n")), delimiter=delimiter)
    try:
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise _refused(f"is no CSV at line {reader.line_num}: {error}.") from error
    if lines and _told(text) is not None:
        lines = lines[1:]
    if not lines:
        raise _refused("is empty: the first line names the columns.")
    columns = _columns(lines[0][1])
    if len(lines) - 1 > ROW_LIMIT:
        raise _refused(f"has {len(lines) - 1:,} rows; {ROW_LIMIT:,} are allowed at once.")
    rows = tuple(_row(columns, line, cells) for line, cells in lines[1:])
    return Sheet(columns, rows, delimiter, _proved(rows, delimiter))


def _decoded(data: bytes) -> str:
    for encoding in ("utf-8-sig", "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text.replace("\r\n", "\n").replace("\r", "\n")
    raise _refused("is no text: save the table as CSV, in UTF-8 where there is a choice.")


def _told(text: str) -> str | None:
    """What Excel's own first line says."""
    return text[4] if text[:4] == "sep=" and text[4:5] in DELIMITERS else None


def _matches(text: str, delimiter: str, known: Collection[str]) -> tuple[int, int]:
    """How many columns of the first line have a known name; then how many there are."""
    first = next(csv.reader([text.lstrip("\n").split("\n", 1)[0]], delimiter=delimiter), [])
    wanted = {simple(name) for name in known}
    return sum(simple(cell) in wanted for cell in first), len(first)


def simple(name: str) -> str:
    """A name without case, blanks, hyphens, underscores, and a unit in brackets at its end."""
    bare = re.sub(r"\s*[\[(][^\[\]()]*[\])]\s*$", "", name.strip()) or name
    return re.sub(r"[\s_\-]+", "", bare).casefold()


def _columns(cells: list[str]) -> tuple[str, ...]:
    names = [_bare(cell) for cell in cells]
    while names and not names[-1]:
        names.pop()
    if len(names) > COLUMN_LIMIT:
        raise _refused(f"has {len(names):,} columns; {COLUMN_LIMIT:,} are allowed.")
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise _refused(f"has two columns named {twice[0]!r}.")
    return tuple(names)


def _bare(cell: str) -> str:
    """Without the quote that an export puts before what a spreadsheet would run as a formula."""
    cell = cell.strip()
    return cell[1:] if cell[:1] == "'" and cell[1:2] in tuple("=+-@") else cell


def _row(columns: tuple[str, ...], line: int, cells: list[str]) -> Row:
    filled = {name: _bare(cell)[:CELL_LIMIT] for name, cell in zip(columns, cells, strict=False) if name}
    return Row(line, filled, long=any(cell.strip() for cell in cells[len(columns) :]))


def _proved(rows: Iterable[Row], delimiter: str) -> frozenset[str]:
    """The decimal marks of cells that can be read in one way only. Commas between cells leave the point for
    decimals; a language with decimal commas has semicolons there."""
    found = {"."} if delimiter == "," else set()
    for row in rows:
        for text in row.cells.values():
            if _BOTH.fullmatch(text):
                found.add(max(".,", key=text.rfind))
            elif _GROUPED.fullmatch(text):
                found.add("," if "." in text else ".")
            elif _POINTED.fullmatch(text) and not _EITHER.fullmatch(text):
                found.add("," if "," in text else ".")
    return frozenset(found)


def _refused(why: str) -> InvalidError:
    return InvalidError(
        "This table cannot be read.", errors=[FieldError("file", why, None, "CSV with a header")]
    )
