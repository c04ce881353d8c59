"""The rows of a Parquet file as texts, read batch by batch. pyarrow is needed, which few installations have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from labqueue.errors import FieldError, InvalidError
from models.domain.pool_table import CELL_LIMIT, COLUMN_LIMIT, ROW_LIMIT

SIGN = b"PAR1"
#: Bytes that a group of rows may unpack to; it is read as one.
GROUP_LIMIT = 1 << 30
_BATCH = 4096


def parquet_rows(file: BinaryIO) -> Iterator[tuple[int, Sequence[str]]]:
    """The header and each row, counted as the lines of the same table as CSV would be: the first row is line 2.

    Raises InvalidError, also for a small file that would unpack to a large one.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        message = "is Parquet, which needs pyarrow on the server: pip install pyarrow there, or send CSV."
        raise InvalidError(f"The file {message}", errors=[FieldError("file", message)]) from None
    try:
        file.seek(0)
        opened = ParquetFile(file)
        _check_size(opened.metadata)
        names = opened.schema_arrow.names
        yield 1, names
        line = 1
        for batch in opened.iter_batches(batch_size=_BATCH):
            for row in zip(*(each.to_pylist() for each in batch.columns), strict=True):
                line += 1
                yield line, [_text(each) for each in row]
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        first = str(error).strip().splitlines()[0][:200]
        wrong = FieldError("file", f"is no Parquet that can be read: {first}")
        raise InvalidError("The file cannot be read.", errors=[wrong]) from None


def _check_size(metadata: Any) -> None:
    """What the file says of itself, before anything is unpacked."""
    rows, columns = metadata.num_rows, metadata.num_columns
    if rows > ROW_LIMIT or columns > COLUMN_LIMIT + 1 or rows * columns > CELL_LIMIT + rows:
        rule = f"at most {ROW_LIMIT:,} rows, {COLUMN_LIMIT:,} columns and {CELL_LIMIT:,} values"
        wrong = FieldError("file", f"must have {rule}.", f"{rows:,} rows, {columns:,} columns", rule)
        raise InvalidError("The pool is too large.", errors=[wrong])
    for number in range(metadata.num_row_groups):
        size = metadata.row_group(number).total_byte_size
        if size > GROUP_LIMIT:
            rule = f"groups of rows of at most {GROUP_LIMIT:,} bytes"
            wrong = FieldError("file", f"must have {rule}; write it with smaller ones.", size, rule)
            raise InvalidError("The pool is too large.", errors=[wrong])


def _text(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
