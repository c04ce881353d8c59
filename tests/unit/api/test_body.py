"""Bodies are read strictly, and every fault says where it is."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from labqueue.errors import InvalidError
from services.api.body import BadJsonError, check, parse
from services.api.schemas import Body, Flag, Name, Number, Text, Time, Whole

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_json_can_hold_comes_through(value: Any) -> None:
    if "\\u0000" not in json.dumps(value):
        assert parse(json.dumps(value).encode()) == value


@given(st.binary(max_size=60))
def test_anything_else_is_an_error_of_ours(raw: bytes) -> None:
    try:
        parse(raw)
    except InvalidError as error:
        assert error.status in (400, 422)


def test_nothing_is_an_empty_object() -> None:
    assert parse(b"") == {} and parse(b" \n") == {}


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_must_be_finite(text: str) -> None:
    with pytest.raises(BadJsonError) as raised:
        parse(f'{{"a": [{{"b": 1}}, {{"b": {text}}}]}}'.encode())
    (fault,) = raised.value.errors
    assert fault.field == "a[1].b" and not math.isfinite(float(str(fault.value)))


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\uDFFF x"])
def test_what_no_database_can_keep(text: str) -> None:
    with pytest.raises(InvalidError) as raised:
        parse(f'{{"a": ["fine \\\\u0000", "{text}"]}}'.encode())
    assert [each.field for each in raised.value.errors] == ["a[1]"]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ('{"a": 1, "b": 2, "a": 1}', ["a"]),
        ('{"a": 1, "\\u0061": 2}', ["a"]),
        ('{"a": [{}, {"b": 1, "c": {}, "b": 2}], "d": {"x": 1, "x": 2, "x": 3}}', ["a[1].b", "d.x"]),
        ('[[{"a": 1, "a": 2}]]', ["[0][0].a"]),
        ('{"a": {"b": 1, "b": 2}, "a": {"b": 1}}', ["a", "a.b"]),
        ('[{"a": 1, "a": 2}, 1e999]', ["[0].a"]),
        ('[{"a": 1, "a": 2}, ', ["a"]),
        ('{"": 1, "": 2}', ["body"]),
        ('{"a": {"\\ud800": 1, "\\ud800": 2}}', ["a"]),
        ('{"\\u0000": 1, "\\u0000": 2}', ["body"]),
    ],
)
def test_a_key_that_is_there_twice_is_named(text: str, places: list[str]) -> None:
    with pytest.raises(InvalidError) as raised:
        parse(text.encode())
    assert sorted(each.field for each in raised.value.errors) == places
    assert all("more than once" in each.message for each in raised.value.errors)


def test_of_many_keys_some_are_named_and_of_a_long_one_the_beginning() -> None:
    with pytest.raises(InvalidError) as raised:
        parse(b"[" + b",".join([b'{"' + b"k" * 10_000 + b'": 1, "' + b"k" * 10_000 + b'": 2}'] * 200) + b"]")
    assert [each.field for each in raised.value.errors] == [f"[{place}].{'k' * 100}" for place in range(100)]


@pytest.mark.parametrize("text", ['[{"a": 1}, {"a": 1}]', '{"a": {"a": 1}}', '{"a": 1, "A": 2, "a ": 3}'])
def test_the_same_key_in_another_object_is_another_one(text: str) -> None:
    assert parse(text.encode()) == json.loads(text)


def test_pairs_of_surrogates_are_letters() -> None:
    assert parse(b'"\\ud83d\\ude00"') == "\U0001f600"


class Inner(Body):
    size: Whole = 1


class Outer(Body):
    name: Name
    count: Annotated[Whole, Field(ge=1, le=5)] = 1
    share: Number = 1.0
    flag: Flag = False
    kind: Literal["hold", "requeue"] = "hold"
    text: Text = ""
    at: Time | None = None
    items: Annotated[list[Inner], Field(max_length=2)] = Field(default_factory=list)


@pytest.mark.parametrize(
    ("given_", "field", "message", "hint"),
    [
        ({}, "name", "is missing.", ""),
        ({"name": "x", "cuont": 1}, "cuont", "is not known here.", "Did you mean count?"),
        (
            {"name": "x", "items": [{}, {"sise": 1}]},
            "items[1].sise",
            "is not known here.",
            "Did you mean size?",
        ),
        ({"name": "x", "kind": "reqeue"}, "kind", "must be one of hold, requeue.", "Did you mean requeue?"),
        ({"name": "x", "count": 6}, "count", "must be at most 5.", ""),
        ({"name": "x", "count": 1.5}, "count", "must be a whole number.", ""),
        ({"name": "x", "count": "1"}, "count", "must be a whole number.", ""),
        ({"name": "x", "share": True}, "share", "must be a number.", ""),
        ({"name": "x", "flag": 1}, "flag", "must be true or false.", ""),
        ({"name": 7}, "name", "must be text.", ""),
        ({"name": ""}, "name", "must have at least 1 letters.", ""),
        ({"name": "x" * 201}, "name", "must have at most 200 letters.", ""),
        ({"name": "x", "items": {}}, "items", "must be a list.", ""),
        ({"name": "x", "items": [1]}, "items[0]", "must be an object.", ""),
        ({"name": "x", "items": [{}] * 3}, "items", "must have at most 2 entries.", ""),
        ({"name": "x", "at": "soon"}, "at", "must be a date and time in ISO 8601.", ""),
        ([], "body", "must be an object.", ""),
    ],
)
def test_faults_say_what_and_where(given_: Any, field: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidError) as raised:
        check(Outer, given_)
    (fault,) = raised.value.errors
    assert (fault.field, fault.message, fault.hint) == (field, message, hint)
    json.dumps(fault.to_json())


def test_a_place_stands_before_the_name() -> None:
    with pytest.raises(InvalidError) as raised:
        check(Outer, {}, "items[3]")
    assert raised.value.errors[0].field == "items[3].name"


def test_values_are_shown_but_never_whole_books() -> None:
    with pytest.raises(InvalidError) as raised:
        check(Outer, {"name": "x", "kind": "y" * 10_000, "count": [1] * 1000})
    assert all(len(str(each.value)) <= 100 for each in raised.value.errors)


def test_one_point_zero_is_whole() -> None:
    assert check(Outer, {"name": "x", "count": 2.0}).count == 2
