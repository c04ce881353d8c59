"""The records of a CSV file with the lines that they begin in: UTF-8, with or without a byte order mark, separated by
comma, semicolon, tab or bar, quoted as spreadsheets do. Nothing is taken to be well meant: lines are bounded."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from labqueue.errors import FieldError, InvalidError

LINE_LIMIT = 4 * 1024 * 1024
SEPARATORS = ",;\t|"
#: How files begin that people send instead, and what to do about it.
_OTHERS = (
    (b"PK\x03\x04", "is a workbook or a zip archive, no CSV. Save the sheet as CSV (UTF-8)."),
    (b"\x1f\x8b", "is compressed, no CSV. Unpack it first."),
    (b"\xff\xfe", "is UTF-16. Save it as CSV in UTF-8."),
    (b"\xfe\xff", "is UTF-16. Save it as CSV in UTF-8."),
    (b"PAR1", "is Parquet, not CSV."),
)


def csv_rows(file: BinaryIO) -> Iterator[tuple[int, Sequence[str]]]:
    """Each record and the line that it begins in, empty lines left out. Raises InvalidError."""
    file.seek(0)
    start = file.read(8)
    for sign, what in _OTHERS:
        if start.startswith(sign):
            raise InvalidError(f"The file {what}", errors=[FieldError("file", what)])
    file.seek(0)
    lines = _lines(file)
    header = next(lines, "")
    reader = csv.reader(_joined(header, lines), delimiter=_separator(header), strict=True)
    begins = 1
    try:
        for record in reader:
            if record:
                yield begins, record
            begins = reader.line_num + 1
    except csv.Error as error:
        raise _wrong(begins, f"begins what is no CSV that can be read: {error}.") from None


def _lines(file: BinaryIO) -> Iterator[str]:
    number = 0
    while raw := file.readline(LINE_LIMIT):
        number += 1
        if len(raw) == LINE_LIMIT and not raw.endswith(b"\n"):
            raise _wrong(number, f"is longer than {LINE_LIMIT:,} bytes.")
        if b"\0" in raw:
            raise _wrong(number, "holds a NUL: the file is no text.")
        try:
            yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise _wrong(
                number, f"is not UTF-8 from byte {error.start + 1} on. Save the file as UTF-8."
            ) from None


def _joined(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _separator(header: str) -> str:
    """The one that stands most often in the header, quoted text aside."""
    bare = "".join(header.split('"')[::2])
    return max(SEPARATORS, key=bare.count)


def _wrong(number: int, message: str) -> InvalidError:
    return InvalidError(f"Line {number} cannot be read.", errors=[FieldError(f"line {number}", message)])
