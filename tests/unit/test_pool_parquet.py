"""Parquet as a pool's table: the same rows as CSV would give."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from labqueue.errors import InvalidError
from models.domain.pool_table import Table
from services.store import parquet
from services.store.parquet import parquet_rows


def written(columns: dict[str, list[Any]], **options: Any) -> io.BytesIO:
    import pyarrow as arrow
    from pyarrow.parquet import write_table

    file = io.BytesIO()
    write_table(arrow.table(columns), file, **options)
    return file


def rows(file: io.BytesIO) -> list[tuple[str, tuple[Any, ...]]]:
    read = Table(lambda: parquet_rows(file))
    return [each for block in read.blocks() for each in zip(block.keys, block.shown, strict=True)]


def test_without_pyarrow_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidError, match="pip install pyarrow there, or send CSV"):
        next(parquet_rows(io.BytesIO(b"PAR1")))


def test_rows_come_as_they_were_written() -> None:
    count = 10_000  # more than a batch
    numbers = [place / 7 for place in range(count)]
    file = written({"id": list(range(count)), "x": numbers, "color": ["red", "blue"] * (count // 2)})
    found = rows(file)
    assert len(found) == count
    assert found[1] == ("1", (1 / 7, "blue")) and found[-1] == (str(count - 1), (numbers[-1], "blue"))


def test_a_missing_value_is_named_with_its_line() -> None:
    with pytest.raises(InvalidError) as refused:
        rows(written({"id": ["a", "b", "c"], "x": [1.0, None, float("nan")]}))
    assert [each.field for each in refused.value.errors] == ["line 3, x", "line 4, x"]


def test_what_would_unpack_to_too_much_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    file = written({"id": ["a"] * 5000, "x": [1.0] * 5000})
    monkeypatch.setattr(parquet, "ROW_LIMIT", 4999)
    with pytest.raises(InvalidError, match="too large"):
        rows(file)
    monkeypatch.undo()
    monkeypatch.setattr(parquet, "GROUP_LIMIT", 10)
    with pytest.raises(InvalidError, match="too large"):
        rows(file)


@pytest.mark.parametrize("body", [b"PAR1", b"PAR1" + b"\xff" * 300 + b"PAR1"])
def test_what_only_looks_like_parquet(body: bytes) -> None:
    with pytest.raises(InvalidError, match="cannot be read"):
        rows(io.BytesIO(body))
