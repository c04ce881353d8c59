"""How SQL texts and values reach Postgres."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labqueue.states import State
from services.store.driver import _number, _text
from services.store.rows import dumps


def test_places_are_numbered_and_names_are_sent_once() -> None:
    assert _number("SELECT %s, %s::text") == (b"SELECT $1, $2::text", [])
    assert _number("SELECT %(a)s, %(b)s, %(a)s") == (b"SELECT $1, $2, $1", ["a", "b"])


def test_values_are_written_as_postgres_reads_them() -> None:
    assert _text(True) == "t"
    assert _text(-7) == "-7"
    assert _text(0.1) == "0.1"
    assert _text(math.inf) == "inf"
    assert _text(State.STAGED) == "staged"
    assert _text(UUID(int=1)) == "00000000-0000-0000-0000-000000000001"
    assert _text(datetime(2026, 11, 1, 8, tzinfo=UTC)) == "2026-11-01T08:00:00+00:00"
    assert _text(b"\x00\xff") == "\\x00ff"
    assert _text([1, None]) == '{"1",NULL}'
    assert _text(['a"b\\', ""]) == '{"a\\"b\\\\",""}'


def test_what_no_column_takes_is_refused() -> None:
    with pytest.raises(psycopg.DataError):
        _text("a\0b")
    with pytest.raises(TypeError):
        _text({"a": 1})


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists
    )
)
def test_any_json_becomes_text_that_postgres_can_hold(value: object) -> None:
    text = dumps(value)
    assert text.encode()
    assert "\\u0000" not in text.replace("\\\\", "")
