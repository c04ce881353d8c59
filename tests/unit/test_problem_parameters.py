"""Each kind of parameter: how it is read, what is said about a wrong definition, and which values it takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labqueue.errors import InvalidError
from labqueue.problem import (
    Categorical,
    Context,
    Continuous,
    Discrete,
    Fixed,
    Integer,
    Parameter,
    Problem,
    When,
)
from labqueue.problem.reading_parameters import check_kind

RANGE: dict[str, Any] = {"name": "t", "kind": "continuous", "low": 0.0, "high": 10.0, "unit": "min"}
WHOLE: dict[str, Any] = {"name": "n", "kind": "integer", "low": 1, "high": 40}
LIST: dict[str, Any] = {"name": "d", "kind": "discrete", "values": [5, 1, 2], "unit": "mL"}
NAMES: dict[str, Any] = {"name": "s", "kind": "categorical", "categories": ["a", "b", "c"]}
SAME: dict[str, Any] = {"name": "f", "kind": "fixed", "value": 3.5, "unit": "bar"}
WEATHER: dict[str, Any] = {"name": "h", "kind": "context", "low": 0, "high": 100, "unit": "%"}
TABLE = {"a": {"x": 1, "y": 2}, "b": {"x": 2, "y": 1}, "c": {"x": 0, "y": 0}}


def body(*parameters: Any, **more: Any) -> dict[str, Any]:
    return {"parameters": list(parameters), "outputs": [{"name": "o"}], **more}


def read(*parameters: Any) -> tuple[Parameter, ...]:
    return Problem.from_json(body(*parameters)).parameters


def without(given_: dict[str, Any], *names: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**given_, **changes}.items() if name not in names}


@pytest.mark.parametrize(
    ("given_", "right"),
    [
        (RANGE, Continuous("t", 0, 10, "min")),
        ({**RANGE, "step": 0.5}, Continuous("t", 0, 10, "min", step=0.5)),
        ({**RANGE, "low": 0.1, "log": True}, Continuous("t", 0.1, 10, "min", log=True)),
        (WHOLE, Integer("n", 1, 40)),
        ({**WHOLE, "log": True, "low": 1.0}, Integer("n", 1, 40, log=True)),
        (LIST, Discrete("d", (1.0, 2.0, 5.0), "mL")),
        ({**LIST, "log": True}, Discrete("d", (1.0, 2.0, 5.0), "mL", True)),
        (NAMES, Categorical("s", ("a", "b", "c"))),
        ({**NAMES, "ordered": True}, Categorical("s", ("a", "b", "c"), True)),
        ({**NAMES, "descriptors": TABLE}, Categorical("s", ("a", "b", "c"), False, TABLE)),
        ({**NAMES, "unavailable": ["b"]}, Categorical("s", ("a", "b", "c"), unavailable=("b",))),
    ],
)
def test_a_parameter_is_read_and_comes_back_as_it_went_out(given_: Any, right: Parameter) -> None:
    assert read(given_) == (right,)
    assert read(json.loads(json.dumps(right.to_json()))) == (right,)


def test_what_is_not_chosen_stands_beside_what_is() -> None:
    found = read(RANGE, SAME, WEATHER, {"name": "lot", "kind": "context", "categories": ["A", "B"]})
    assert found[1:] == (
        Fixed("f", 3.5, "bar"),
        Context("h", 0, 100, "%"),
        Context("lot", categories=("A", "B")),
    )
    assert read(*(each.to_json() for each in found)) == found


def test_a_conditional_parameter_names_one_before_it() -> None:
    found = read(
        NAMES,
        {**RANGE, "when": {"parameter": "s", "is": "a"}},
        {**WHOLE, "when": {"parameter": "s", "is": ["a", "c"]}},
    )
    assert found[1].when == When("s", ("a",)) and found[2].when == When("s", ("a", "c"))
    assert read(*(each.to_json() for each in found)) == found


@pytest.mark.parametrize(
    ("given_", "field", "words"),
    [
        ({**RANGE, "kind": "real"}, "kind", "must be one of continuous"),
        (without(RANGE, "kind"), "kind", "is missing"),
        ({**RANGE, "kind": ["continuous"]}, "kind", "must be one of"),
        (without(RANGE, "name"), "name", "is missing"),
        ({**RANGE, "name": ""}, "name", "must be text"),
        ({**RANGE, "name": "  "}, "name", "must be text"),
        ({**RANGE, "name": "a\0b"}, "name", "printable text on one line"),
        ({**RANGE, "name": "a\nb"}, "name", "printable text on one line"),
        ({**RANGE, "name": "\ud800"}, "name", "printable text"),
        ({**RANGE, "name": "x" * 201}, "name", "at most 200 letters"),
        ({**RANGE, "unit": 5}, "unit", "must be text"),
        (without(RANGE, "low"), "low", "is missing"),
        ({**RANGE, "low": "0"}, "low", "finite number"),
        ({**RANGE, "low": True}, "low", "finite number"),
        ({**RANGE, "low": float("nan")}, "low", "finite number"),
        ({**RANGE, "high": float("inf")}, "high", "finite number"),
        ({**RANGE, "high": 10**400}, "high", "finite number"),
        ({**RANGE, "high": 0.0}, "high", "greater than low (0)"),
        ({**RANGE, "high": -1}, "high", "greater than low"),
        ({**RANGE, "high": 1e200}, "high", "within 1e+100 of 0"),
        ({**RANGE, "log": 1}, "log", "true or false"),
        ({**RANGE, "log": True}, "low", "positive on a log scale"),
        ({**RANGE, "step": 0}, "step", "must be positive and fit"),
        ({**RANGE, "step": 11}, "step", "must be positive and fit"),
        ({**RANGE, "step": 1e-6}, "step", "more than 1,000,000 values"),
        ({**RANGE, "low": 1e9, "high": 1e9 + 1, "step": 1e-4}, "step", "too fine for numbers as large"),
        ({**RANGE, "values": [1]}, "values", "not known here"),
        ({**WHOLE, "low": 0.5}, "low", "whole numbers"),
        ({**WHOLE, "low": 0, "log": True}, "low", "positive on a log scale"),
        ({**WHOLE, "step": 2}, "step", "not known here"),
        (without(LIST, "values"), "values", "is missing"),
        ({**LIST, "values": []}, "values", "not empty"),
        ({**LIST, "values": 5}, "values", "must be a list"),
        ({**LIST, "values": [1, "2"]}, "values", "finite numbers"),
        ({**LIST, "values": [1, 1e300]}, "values", "within 1e+100 of 0"),
        ({**SAME, "value": -1e300}, "value", "within 1e+100 of 0"),
        ({**WEATHER, "high": 1e300}, "high", "within 1e+100 of 0"),
        ({**NAMES, "categories": ["a", True]}, "categories", "entry 2 (True) is no text"),
        ({**NAMES, "categories": ["a", "b", " "]}, "categories", "entry 3 (' ') is empty"),
        ({**NAMES, "descriptors": {**TABLE, "c": {"x": 1, "y": 1e300}}}, "descriptors.c.y", "within 1e+100"),
        (
            {**NAMES, "descriptors": {**TABLE, 1: {"x": 1, "y": 2}}},
            "descriptors",
            "the category 1, which is no text",
        ),
        (
            {**NAMES, "descriptors": {**TABLE, "a": {1: 0.5, "y": 2}}},
            "descriptors.a",
            "the descriptor 1, which is no text",
        ),
        (
            {**NAMES, "descriptors": {each: {1: 0.5} for each in "abc"}},
            "descriptors.a",
            "the descriptor 1, which is no",
        ),
        ({**LIST, "values": [1, 1.0]}, "values", "the same entry twice"),
        ({**LIST, "values": [0, 1], "log": True}, "values", "positive on a log scale"),
        ({**NAMES, "categories": []}, "categories", "not empty"),
        ({**NAMES, "categories": ["a", ""]}, "categories", "list of texts"),
        ({**NAMES, "categories": ["a", 3]}, "categories", "list of texts"),
        ({**NAMES, "categories": ["a", "a"]}, "categories", "the same entry twice"),
        ({**NAMES, "categories": ["a", "b\0"]}, "categories", "printable text on one line"),
        ({**NAMES, "categories": ["a", "\ud800"]}, "categories", "printable text"),
        ({**NAMES, "categories": [str(n) for n in range(1001)]}, "categories", "more than 1000 entries"),
        ({**NAMES, "unit": "mL"}, "unit", "not known here"),
        ({**NAMES, "unavailable": ["d"]}, "unavailable", "names d, no category"),
        ({**NAMES, "unavailable": ["a", "b", "c"]}, "unavailable", "leaves no category"),
        ({**NAMES, "ordered": "yes"}, "ordered", "true or false"),
        ({**NAMES, "ordered": True, "descriptors": TABLE}, "ordered", "cannot be combined with descriptors"),
        ({**NAMES, "descriptors": ["x"]}, "descriptors", "must be an object"),
        ({**NAMES, "descriptors": {**TABLE, "d": {"x": 1, "y": 1}}}, "descriptors.d", "is no category"),
        (
            {**NAMES, "descriptors": {"a": {"x": 1}, "b": {"x": 2}}},
            "descriptors.c",
            "every category needs its row",
        ),
        ({**NAMES, "descriptors": {**TABLE, "c": {"x": 1}}}, "descriptors.c.y", "is missing"),
        (
            {**NAMES, "descriptors": {**TABLE, "c": {"x": 1, "y": 2, "z": 3}}},
            "descriptors.c.z",
            "the first row",
        ),
        ({**NAMES, "descriptors": {**TABLE, "c": {"x": 1, "y": None}}}, "descriptors.c.y", "finite number"),
        ({**NAMES, "descriptors": {"a": {}, "b": {}, "c": {}}}, "descriptors", "at least one descriptor"),
        (without(SAME, "value"), "value", "number or text"),
        ({**SAME, "value": True}, "value", "number or text"),
        ({**SAME, "value": [1]}, "value", "number or text"),
        ({**SAME, "value": "a\0"}, "value", "printable text"),
        ({**SAME, "low": 1}, "low", "not known here"),
        (without(WEATHER, "low"), "low", "is missing"),
        ({**WEATHER, "log": True}, "log", "not known here"),
        ({**WEATHER, "categories": []}, "categories", "not empty"),
        ({**RANGE, "when": "s"}, "when", "must be an object"),
        ({**RANGE, "when": {"parameter": "s"}}, "when.is", "must give a value"),
        ({**RANGE, "when": {"parameter": "s", "is": []}}, "when.is", "must give a value"),
        ({**RANGE, "when": {"parameter": "s", "is": "d"}}, "when.is", "names 'd', no value of s"),
        ({**RANGE, "when": {"parameter": "s", "is": ["a", 3]}}, "when.is", "names 3, no value of s"),
        ({**RANGE, "when": {"parameter": "s", "equals": "a"}}, "when.equals", "not known here"),
        ({**RANGE, "when": {"parameter": "later", "is": 1}}, "when.parameter", "must be one of s, k"),
        ({**RANGE, "when": {"parameter": "t", "is": 1}}, "when.parameter", "must be one of s, k"),
        ({**RANGE, "when": {"parameter": "wide", "is": 1}}, "when.parameter", "must be one of s, k"),
        ({**RANGE, "when": {"parameter": "k", "is": 4}}, "when.is", "names 4, no value of k"),
        ({**RANGE, "when": {"parameter": "k", "is": True}}, "when.is", "names True, no value of k"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(given_: Any, field: str, words: str) -> None:
    before = [{**NAMES}, {"name": "k", "kind": "discrete", "values": [1, 2]}, {**RANGE, "name": "wide"}]
    later = {"name": "later", "kind": "integer", "low": 0, "high": 1}
    if given_.get("name") == "s":
        before[0] = {**before[0], "name": "other"}
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body(*before, given_, later))
    found = [each for each in caught.value.errors if each.field == f"parameters[3].{field}"]
    assert found, [str(each) for each in caught.value.errors]
    assert any(words in each.message for each in found), [each.message for each in found]


@pytest.mark.parametrize(
    ("word", "kind"), [("range", "continuous"), ("choice", "categorical"), ("integr", "integer")]
)
def test_a_kind_by_another_name_is_told_which_is_meant(word: str, kind: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body({**RANGE, "kind": word}))
    (only,) = caught.value.errors
    assert (only.field, only.hint) == ("parameters[0].kind", f"Did you mean {kind}?")


def test_a_number_written_as_text_is_told_how_to_be_one() -> None:
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body({**RANGE, "low": "1e-4"}))
    assert caught.value.errors[0].hint.startswith("It is text: write it without quotes")


@pytest.mark.parametrize(
    ("given_", "field"),
    [
        ({**NAMES, "categories": [True, False]}, "categories"),
        ({**NAMES, "categories": [1, 2]}, "categories"),
        ({**NAMES, "descriptors": {each: {1: 0.5, "pol": 2} for each in "abc"}}, "descriptors.a"),
        ({**NAMES, "descriptors": {1: {"x": 1}, 2: {"x": 2}}}, "descriptors"),
    ],
)
def test_a_text_that_yaml_took_for_something_else_is_told_how_to_be_one(given_: Any, field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body(given_))
    found = [each for each in caught.value.errors if each.field == f"parameters[0].{field}"]
    assert found and all("Write it in quotes" in each.hint for each in found), caught.value.errors


def test_descriptors_the_wrong_way_round_are_one_fault_that_shows_the_shape() -> None:
    table = {"mass": {"a": 1.5, "b": 2, "c": 3}, "size": {"a": 1, "b": 2}}
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body({**NAMES, "descriptors": table}))
    (only,) = caught.value.errors
    assert only.field == "parameters[0].descriptors" and "the wrong way round" in only.message
    assert only.hint == 'Write {category: {descriptor: number}}: {"a": {"mass": 1.5, ...}, ...}.'
    json.dumps(only.to_json(), allow_nan=False)


@pytest.mark.parametrize("value", [None, float("nan"), "x", [1]])
def test_descriptors_the_wrong_way_round_may_hold_anything(value: Any) -> None:
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body({**NAMES, "descriptors": {"m\n": {"a": value}}}))
    (only,) = caught.value.errors
    assert only.hint == "Write {category: {descriptor: number}}."
    json.dumps(only.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    "table",
    [
        {
            "a": {"b": 1, "c": 2},
            "b": {"b": 1, "c": 2},
            "c": {"b": 0, "c": 0},
        },  # descriptors called like categories
        {**TABLE, "d": {"a": 1}},
        {"A": {"x": 1}, "B": {"x": 2}, "C": {"x": 3}},
        {"A": {}, "B": {}, "C": {}},
    ],
)
def test_no_other_descriptors_are_the_wrong_way_round(table: Any) -> None:
    try:
        Problem.from_json(body({**NAMES, "descriptors": table}))
    except InvalidError as error:
        assert not any("wrong way round" in each.message for each in error.errors)


def test_a_condition_on_a_truth_value_is_told_to_be_text() -> None:
    child = {**RANGE, "when": {"parameter": "s", "is": False}}
    with pytest.raises(InvalidError, match="Write it in quotes"):
        Problem.from_json(body({**NAMES, "categories": ["no", "yes"]}, child))


def test_where_nothing_can_be_named_none_is_listed() -> None:
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body({**RANGE, "when": {"parameter": "s", "is": "a"}}))
    (only,) = caught.value.errors
    rule = "has nothing that it could name: a parameter that is defined before it, neither continuous nor context."
    assert (only.field, only.message) == ("parameters[0].when.parameter", rule)


def test_a_condition_on_a_later_parameter_is_told_to_come_after_it() -> None:
    child = {**RANGE, "when": {"parameter": "s", "is": "a"}}
    with pytest.raises(
        InvalidError, match="has nothing that it could name: a parameter that is defined before it"
    ):
        Problem.from_json(body(child, {**NAMES, "categories": ["a", "b"]}))


def test_something_must_be_chosen() -> None:
    with pytest.raises(InvalidError, match="leave nothing to choose"):
        Problem.from_json(body(SAME, WEATHER))


# Values


@pytest.mark.parametrize(
    ("parameter", "value", "words"),
    [
        (Continuous("t", 0.5, 2, "min"), 2.1, "is outside 0.5 to 2 min."),
        (Continuous("t", 0.5, 2, "min"), None, "is not a finite number."),
        (Continuous("t", 0.5, 2), "1.0", "is not a finite number."),
        (Continuous("t", 0.5, 2), True, "is not a finite number."),
        (Continuous("t", 0.5, 2, step=0.5), 1.2, "is not on a step of 0.5 from 0.5."),
        (Integer("n", 1, 40), 3.5, "is not a whole number."),
        (Integer("n", 1, 40), 41, "is outside 1 to 40, whole."),
        (Integer("n", 1, 40), float("inf"), "is not a whole number."),
        (Discrete("d", (1.0, 2.0), "mL"), 3, "is not one of 1, 2 mL."),
        (Discrete("d", (1.0, 2.0)), True, "is not one of"),
        (Categorical("s", ("water", "ethanol")), "Water", "is not one of water, ethanol."),
        (Categorical("s", ("water", "ethanol")), {"a": [1]}, "is not one of"),
        (Categorical("s", ("a", "b"), unavailable=("b",)), "b", "is not available now."),
        (Fixed("f", 3.5, "bar"), 3.6, "is fixed at 3.5 bar."),
        (Fixed("f", 1.0), True, "is fixed at 1.0."),
        (Fixed("f", "argon"), "air", "is fixed at argon."),
        (Context("h", 0, 1), "wet", "is not a finite number."),
        (Context("lot", categories=("A", "B")), "C", "is not one of A, B."),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(parameter: Parameter, value: Any, words: str) -> None:
    wrong = parameter.check(value)
    assert wrong is not None and words in wrong.message and wrong.allowed and wrong.field == parameter.name
    json.dumps(wrong.to_json(), allow_nan=False)


def test_hints_name_the_nearest_value() -> None:
    wrong = Categorical("s", ("water", "ethanol")).check("Water")
    step = Continuous("t", 0.5, 2, step=0.5).check(1.2)
    assert wrong is not None and wrong.hint == "Did you mean water?"
    assert step is not None and step.hint == "The nearest is 1."


def test_a_single_value_that_is_named_already_is_no_hint() -> None:
    for parameter in (Categorical("s", ("water",)), Context("s", categories=("water",))):
        wrong = parameter.check("Water")
        assert wrong is not None and (wrong.message, wrong.hint) == ("is not one of water.", "")
        kind = check_kind(parameter, "Water")
        assert kind is not None and (kind.message, kind.hint) == ("is not one of water.", "")
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body(RANGE, objectives=[{"output": "oo"}]))
    (only,) = caught.value.errors
    assert (only.field, only.message, only.hint) == ("objectives[0].output", "must be one of o.", "")


def test_a_context_may_lie_outside_its_usual_range() -> None:
    assert Context("h", 0, 1).check(1.2) is None


@pytest.mark.parametrize(
    ("low", "high", "step"),
    [(0, 1, 0.1), (0.1, 0.7, 0.05), (-3, 8, 0.25), (1e9, 1e9 + 5, 0.01), (20, 121, 7)],
)
def test_every_step_is_allowed_and_is_its_own_nearest(low: float, high: float, step: float) -> None:
    parameter = Continuous("t", low, high, step=step)
    values = [parameter.nearest(low + place * step) for place in range(parameter.steps + 1)]
    assert len(set(values)) == parameter.steps + 1 and values[0] == low and values[-1] <= high
    for value in values:
        assert parameter.check(value) is None and parameter.nearest(value) == value
        assert parameter.check(value + 0.4 * step) is not None


@given(st.floats(-100, 200), st.sampled_from([None, 0.1, 0.7, 3.0]))
def test_the_nearest_value_is_allowed_and_no_other_is_nearer(value: float, step: float | None) -> None:
    parameter = Continuous("t", -5.0, 12.0, step=step)
    near = parameter.nearest(value)
    assert parameter.check(near) is None
    inside = min(max(value, -5.0), 12.0)
    assert abs(near - inside) <= (0 if step is None else max(step / 2, 12.0 - parameter.nearest(12.0)) + 1e-9)
