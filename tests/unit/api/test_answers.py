"""What goes back is JSON that any reader takes, and CSV that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json
import uuid
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labqueue.states import State
from services.api.answers import csv_lines, dumps


def test_values_beyond_json() -> None:
    east = timezone(timedelta(hours=2))
    name = uuid.UUID(int=7)
    value = {"a": datetime(2026, 1, 31, 14, tzinfo=east), "b": name, "c": State.STAGED, "d": Decimal("1.5")}
    assert json.loads(dumps(value)) == {"a": "2026-01-31T12:00:00Z", "b": str(name), "c": "staged", "d": 1.5}


def test_nan_is_never_sent() -> None:
    with pytest.raises(ValueError, match="JSON"):
        dumps({"a": float("nan")})


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_become_text(text: str) -> None:
    raw = b"".join(csv_lines([text], [[text, -1.5, text + ',"'], [{"a": text}, None, True]])).decode()
    rows = list(csv.reader(io.StringIO(raw, newline="")))
    assert rows[0] == ["'" + text]
    assert rows[1] == ["'" + text, "-1.5", "'" + text + ',"']
    assert json.loads(rows[2][0]) == {"a": text} and rows[2][1:] == ["", "True"]


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))), max_size=20
    )
)
def test_text_comes_back(rows: list[list[str]]) -> None:
    raw = b"".join(csv_lines(["head"], rows)).decode()
    found = list(csv.reader(io.StringIO(raw, newline="")))
    assert [[each.removeprefix("'") for each in row] for row in found[1:]] == [
        [each.removeprefix("'") for each in row] for row in rows
    ]


def test_long_tables_come_in_parts() -> None:
    rows = [[number, "x" * 100, datetime(2026, 1, 1, tzinfo=UTC)] for number in range(2000)]
    parts = list(csv_lines(["a", "b", "c"], rows))
    assert len(parts) > 3
    assert len(list(csv.reader(io.StringIO(b"".join(parts).decode())))) == 2001
