"""What may change in the problem of a running campaign."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from labqueue.problem import Problem
from models.domain.editing import Used, check_edit, introduced, looks_back, needed_of

BODY: dict[str, Any] = {
    "parameters": [
        {"name": "temperature", "kind": "continuous", "low": 20, "high": 120, "unit": "degC"},
        {"name": "minutes", "kind": "integer", "low": 1, "high": 60},
        {"name": "solvent", "kind": "categorical", "categories": ["water", "ethanol", "toluene"]},
        {"name": "stirrer", "kind": "fixed", "value": 300.0, "unit": "rpm"},
        {"name": "humidity", "kind": "context", "low": 0, "high": 100, "unit": "%"},
        {
            "name": "salt",
            "kind": "continuous",
            "low": 0,
            "high": 1,
            "when": {"parameter": "solvent", "is": ["water"]},
        },
    ],
    "outputs": [
        {"name": "yield", "unit": "%"},
        {"name": "purity"},
        {"name": "look", "classes": ["clear", "hazy"]},
    ],
    "objectives": [{"output": "yield"}],
}
PROBLEM = Problem.from_json(BODY)
POINT = {"temperature": 50.0, "minutes": 5, "solvent": "ethanol", "stirrer": 300.0}
USED = Used(
    [POINT, {**POINT, "solvent": "water", "salt": 0.5}],
    [{"solvent": "toluene", "humidity": 40.0}],
    frozenset({"yield", "look"}),
)


def edited(place: str, value: Any) -> Problem:
    """The problem with one thing changed: `parameters.0.high`; a value of `...` takes it out; `+`: appended."""
    body = deepcopy(BODY)
    *path, last = [int(word) if word.isdigit() else word for word in place.split(".")]
    target: Any = body
    for word in path:
        target = target[word]
    if value is ...:
        del target[last]
    elif last == "+":
        target.append(value)
    else:
        target[last] = value
    return Problem.from_json(body)


FIXED = {"name": "pressure", "kind": "fixed", "value": 1.0, "unit": "bar"}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("parameters.0.high", 80),
        ("parameters.0.low", 0),
        ("parameters.0.step", 5),
        ("parameters.0.kind", "integer"),
        ("parameters.1", {"name": "minutes", "kind": "discrete", "values": [5]}),
        ("parameters.1", {"name": "minutes", "kind": "fixed", "value": 5}),
        ("parameters.1.unit", "min"),
        ("parameters.2.categories", ["water", "ethanol", "toluene", "hexane"]),
        ("parameters.2.unavailable", ["water"]),
        ("parameters.3", {"name": "stirrer", "kind": "continuous", "low": 100, "high": 500, "unit": "rpm"}),
        ("parameters.+", FIXED),
        ("parameters.+", {"name": "batch", "kind": "context", "categories": ["a", "b"]}),
        ("outputs.+", {"name": "smell"}),
        ("outputs.1", ...),
        ("outputs.1.unit", "%"),
        ("outputs.2.classes", ["clear", "hazy", "solid"]),
        ("outputs.0.noise", 0.5),
        ("objectives.0.goal", "minimize"),
        ("constraints", [{"coefficients": {"temperature": 1}, "operator": "<=", "bound": 90}]),
    ],
)
def test_what_leaves_the_past_as_it_was_may_change(place: str, value: Any) -> None:
    assert check_edit(PROBLEM, edited(place, value), USED) == []


@pytest.mark.parametrize(
    ("place", "value", "field", "says"),
    [
        ("parameters.0", ..., "parameters", "leave out temperature"),
        ("parameters.0.name", "temp", "parameters", "If temp is its new name: names stay"),
        ("parameters.0.unit", "K", "parameters[0].unit", "Give temperature in degC"),
        (
            "parameters.0",
            {"name": "temperature", "kind": "categorical", "categories": ["a"], "when": None},
            "parameters[0].unit",
            "never converted",
        ),
        (
            "parameters.1",
            {"name": "minutes", "kind": "categorical", "categories": ["5"]},
            "parameters[1].kind",
            "hold numbers",
        ),
        (
            "parameters.1",
            {"name": "minutes", "kind": "context", "low": 0, "high": 60},
            "parameters[1].kind",
            "measured",
        ),
        (
            "parameters.1",
            {"name": "minutes", "kind": "fixed", "value": 6},
            "parameters[1].value",
            "with the one value that is left",
        ),
        ("parameters.3.value", 400, "parameters[3].value", "every experiment so far"),
        ("parameters.2.categories", ["water", "toluene"], "parameters[2].categories", "leave out ethanol"),
        ("parameters.2.categories", ["water", "ethanol"], "parameters[2].categories", "leave out toluene"),
        ("parameters.5.when.is", ["water", "ethanol"], "parameters[5].name", "1 experiment so far"),
        (
            "parameters.+",
            {"name": "ph", "kind": "continuous", "low": 1, "high": 14},
            "parameters[6].name",
            "2 experiments so far have no value",
        ),
        ("outputs.0.unit", "g", "outputs[0].unit", "Give yield in %"),
        ("outputs.2", ..., "outputs", "leave out look"),
        ("outputs.2.classes", ["hazy", "clear"], "outputs[2].classes", "begin with the labels so far"),
        ("outputs.2.classes", ["clear", "turbid"], "outputs[2].classes", "begin with the labels so far"),
        ("outputs.2.classes", ..., "outputs[2].classes", "results hold labels"),
        ("outputs.2.name", "aspect", "outputs", "If aspect is its new name"),
        ("opaque", True, "opaque", "create another one"),
    ],
)
def test_what_would_falsify_the_past_is_refused_by_field(
    place: str, value: Any, field: str, says: str
) -> None:
    new = edited(place, value)
    wrong = [each for each in check_edit(PROBLEM, new, USED) if each.field == field]
    assert any(says in str(each) for each in wrong), check_edit(PROBLEM, new, USED)
    assert looks_back(PROBLEM, new)


def test_nothing_is_in_the_way_where_nothing_was_staged() -> None:
    new = edited("parameters.+", {"name": "ph", "kind": "continuous", "low": 1, "high": 14})
    assert check_edit(PROBLEM, new, Used()) == []


def test_an_unused_category_may_go() -> None:
    new = edited("parameters.2.categories", ["water", "ethanol"])
    assert check_edit(PROBLEM, new, Used([POINT])) == []


def test_goals_bounds_and_constraints_need_no_look_at_the_past() -> None:
    for place, value in (
        ("parameters.0.high", 80),
        ("objectives.0.goal", "minimize"),
        ("constraints", [{"coefficients": {"temperature": 1}, "operator": "<=", "bound": 90}]),
        ("parameters.2.unavailable", ["water"]),
    ):
        assert not looks_back(PROBLEM, edited(place, value)), place


def test_a_new_fixed_parameter_has_been_so_all_along() -> None:
    new = edited("parameters.+", FIXED)
    assert introduced(PROBLEM, new) == {"pressure": 1.0}
    assert introduced(new, new) == {}
    sometimes = {**FIXED, "when": {"parameter": "solvent", "is": ["water"]}}
    assert introduced(PROBLEM, edited("parameters.+", sometimes)) == {}


def test_an_experiment_needs_its_own_outputs_that_are_measured_still() -> None:
    more = edited("outputs.+", {"name": "smell"})
    less = edited("outputs.1", ...)
    assert needed_of([PROBLEM]) == ("yield", "purity", "look")
    assert needed_of([PROBLEM, more]) == ("yield", "purity", "look")
    assert needed_of([more, PROBLEM]) == ("yield", "purity", "look")
    assert needed_of([PROBLEM, less]) == ("yield", "look")
    assert needed_of([PROBLEM, less, PROBLEM]) == ("yield", "look"), "it came back as a new one"
