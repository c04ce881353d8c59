"""A problem's definition: what can be read, what is said about what cannot, and that nothing changes on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labqueue.errors import InvalidError
from labqueue.problem import (
    Categorical,
    Continuous,
    Discrete,
    Integer,
    Linear,
    Objective,
    Output,
    Problem,
    did_you_mean,
)

WHOLE: dict[str, Any] = {
    "parameters": [
        {"name": "tau", "kind": "continuous", "low": 0.5, "high": 2.0, "unit": "min"},
        {"name": "conc", "kind": "continuous", "low": 1e-4, "high": 1.0, "log": True},
        {"name": "cycles", "kind": "integer", "low": 1, "high": 40},
        {"name": "volume", "kind": "discrete", "values": [5, 1, 2], "unit": "mL"},
        {"name": "solvent", "kind": "categorical", "categories": ["water", "ethanol"]},
    ],
    "outputs": [{"name": "sty", "unit": "kg/m3/h"}, {"name": "e factor", "noise": 0.1}],
    "objectives": [{"output": "sty"}, {"output": "e factor", "goal": "minimize", "weight": 1000}],
    "constraints": [{"coefficients": {"tau": 1, "cycles": 0.1}, "operator": "<=", "bound": 5}],
}
POINT: dict[str, Any] = {"tau": 1.0, "conc": 0.01, "cycles": 3, "volume": 2, "solvent": "water"}


def changed(**changes: Any) -> dict[str, Any]:
    return {**WHOLE, **changes}


def parameter(**changes: Any) -> dict[str, Any]:
    """A problem whose one parameter is tau with changes; None takes a field away."""
    given_ = {**WHOLE["parameters"][0], **changes}
    return {
        "parameters": [{name: value for name, value in given_.items() if value is not None}],
        "outputs": [{"name": "sty"}],
    }


def test_a_definition_is_read_whole() -> None:
    problem = Problem.from_json(WHOLE)
    assert problem.parameters == (
        Continuous("tau", 0.5, 2.0, "min"),
        Continuous("conc", 1e-4, 1.0, log=True),
        Integer("cycles", 1, 40),
        Discrete("volume", (1.0, 2.0, 5.0), "mL"),
        Categorical("solvent", ("water", "ethanol")),
    )
    assert problem.outputs == (Output("sty", "kg/m3/h"), Output("e factor", "", 0.1))
    assert problem.objectives == (Objective("sty"), Objective("e factor", "minimize", 1000.0))
    assert problem.constraints == (Linear((("tau", 1.0), ("cycles", 0.1)), "<=", 5.0),)
    assert problem.names == ("tau", "conc", "cycles", "volume", "solvent")


def test_it_comes_back_as_it_went_out() -> None:
    problem = Problem.from_json(WHOLE)
    assert Problem.from_json(json.loads(json.dumps(problem.to_json()))) == problem


def test_opaque_items_need_no_parameters() -> None:
    problem = Problem.from_json({"opaque": True, "outputs": [{"name": "yield"}]})
    assert problem.opaque and problem.parameters == ()


def test_a_score_is_the_weighted_sum_and_needs_every_output_of_an_objective() -> None:
    problem = Problem.from_json(WHOLE)
    assert problem.score({"sty": 3000.0, "e factor": 0.25}) == 2750.0
    assert problem.score({"sty": 3000.0}) is None
    assert Problem.from_json({**WHOLE, "objectives": []}).score({"sty": 1.0}) is None


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        (None, "problem", "must be an object"),
        ([], "problem", "must be an object"),
        ({}, "parameters", "at least one parameter"),
        (changed(outputs=[], objectives=[]), "outputs", "at least one output"),
        (changed(outptus=[]), "problem.outptus", "not known here"),
        (changed(parameters="tau"), "parameters", "must be a list"),
        (changed(parameters=["tau"]), "parameters[0]", "must be an object"),
        (changed(opaque="yes"), "problem.opaque", "must be true or false"),
        (parameter(kind="real"), "parameters[0].kind", "must be one of continuous"),
        (parameter(kind=None), "parameters[0].kind", "is missing"),
        (parameter(kind=["continuous"]), "parameters[0].kind", "must be one of"),
        (parameter(name=None), "parameters[0].name", "is missing"),
        (parameter(name=""), "parameters[0].name", "must be text"),
        (parameter(name="  "), "parameters[0].name", "must be text"),
        (parameter(name="a\0b"), "parameters[0].name", "printable text"),
        (parameter(name="a\tb"), "parameters[0].name", "printable text"),
        (parameter(name="\ud800"), "parameters[0].name", "printable text"),
        (parameter(name="x" * 201), "parameters[0].name", "at most 200 letters"),
        (parameter(low=None), "parameters[0].low", "is missing"),
        (parameter(low="0"), "parameters[0].low", "finite number"),
        (parameter(low=True), "parameters[0].low", "finite number"),
        (parameter(low=float("nan")), "parameters[0].low", "finite number"),
        (parameter(high=float("inf")), "parameters[0].high", "finite number"),
        (parameter(high=10**400), "parameters[0].high", "finite number"),
        (parameter(high=0.5), "parameters[0].high", "greater than low"),
        (parameter(high=0.1), "parameters[0].high", "greater than low"),
        (parameter(unit=5), "parameters[0].unit", "must be text"),
        (parameter(log=1), "parameters[0].log", "must be true or false"),
        (parameter(low=-1.0, log=True), "parameters[0].low", "positive on a log scale"),
        (parameter(step=1), "parameters[0].step", "not known here"),
        (parameter(kind="integer", low=0.5, high=3), "parameters[0].low", "whole numbers"),
        (parameter(kind="integer", low=0, high=3, log=True), "parameters[0].log", "not known here"),
        (parameter(kind="discrete", low=None, high=None), "parameters[0].values", "is missing"),
        (parameter(kind="discrete", low=None, high=None, values=[]), "parameters[0].values", "not empty"),
        (
            parameter(kind="discrete", low=None, high=None, values=[1, "2"]),
            "parameters[0].values",
            "finite numbers",
        ),
        (
            parameter(kind="discrete", low=None, high=None, values=[1, 1.0]),
            "parameters[0].values",
            "the same entry twice",
        ),
        (
            parameter(kind="categorical", low=None, high=None, unit=None, categories=[]),
            "parameters[0].categories",
            "not empty",
        ),
        (
            parameter(kind="categorical", low=None, high=None, unit=None, categories=["a", ""]),
            "parameters[0].categories",
            "list of texts",
        ),
        (changed(parameters=WHOLE["parameters"] * 2), "parameters", "name 'conc' twice"),
        (changed(outputs=[{"name": "sty"}, {"name": "sty"}], objectives=[]), "outputs", "name 'sty' twice"),
        (
            changed(outputs=[{"name": "sty", "noise": -1}], objectives=[]),
            "outputs[0].noise",
            "cannot be negative",
        ),
        (changed(objectives=[{"output": "styy"}]), "objectives[0].output", "must be one of sty"),
        (changed(objectives=[{"output": "sty", "goal": "max"}]), "objectives[0].goal", "must be one of"),
        (changed(objectives=[{"output": "sty", "weight": 0}]), "objectives[0].weight", "must be positive"),
        (
            changed(constraints=[{"coefficients": {"solvent": 1}, "bound": 1}]),
            "constraints[0].coefficients",
            "name solvent, no numeric parameter",
        ),
        (
            changed(constraints=[{"coefficients": {}, "bound": 1}]),
            "constraints[0].coefficients",
            "at least one parameter",
        ),
        (changed(constraints=[{"coefficients": {"tau": 1}}]), "constraints[0].bound", "is missing"),
        (
            changed(constraints=[{"coefficients": {"tau": 1}, "bound": 1, "operator": "<"}]),
            "constraints[0].operator",
            "must be one of",
        ),
        (
            changed(constraints=[{"coefficients": {"tau": "1"}, "bound": 1}]),
            "constraints[0].coefficients.tau",
            "finite number",
        ),
        (changed(parameters=[WHOLE["parameters"][0]] * 1001), "parameters", "more than 1000 entries"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(body: Any, field: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body)
    found = [each for each in caught.value.errors if each.field == field]
    assert found, [str(each) for each in caught.value.errors]
    assert any(words in each.message for each in found), [each.message for each in found]


def test_everything_that_is_wrong_is_named_at_once() -> None:
    body = changed(
        parameters=[
            {"name": "tau", "kind": "continuos", "low": 0, "high": 1},
            {"kind": "integer", "low": "a"},
        ],
        objectives=[{"output": "styy"}],
    )
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body)
    fields = {each.field for each in caught.value.errors}
    assert {"parameters[0].kind", "parameters[1].name", "parameters[1].low", "objectives[0].output"} <= fields
    hints = [each.hint for each in caught.value.errors]
    assert "Did you mean continuous?" in hints and "Did you mean sty?" in hints


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(
                st.sampled_from(
                    [
                        "parameters",
                        "outputs",
                        "objectives",
                        "constraints",
                        "name",
                        "kind",
                        "low",
                        "high",
                        "values",
                    ]
                ),
                inner,
                max_size=5,
            ),
        ),
        max_leaves=12,
    )
)
def test_whatever_comes_is_read_or_refused_kindly(body: Any) -> None:
    try:
        Problem.from_json(body)
    except InvalidError as error:
        assert error.errors and all(each.field and each.message for each in error.errors)


# Points


@pytest.mark.parametrize(
    ("change", "field", "words", "hint"),
    [
        ({"tua": 1}, "tua", "is no parameter", "Did you mean tau?"),
        ({"tau": None}, "tau", "not a finite number", ""),
        ({"tau": 2.1}, "tau", "outside 0.5 to 2 min", ""),
        ({"tau": "1.0"}, "tau", "not a finite number", ""),
        ({"cycles": 3.5}, "cycles", "not a whole number", ""),
        ({"cycles": 41}, "cycles", "outside 1 to 40", ""),
        ({"cycles": float("inf")}, "cycles", "not a whole number", ""),
        ({"volume": 3}, "volume", "not one of 1, 2, 5 mL", ""),
        ({"volume": True}, "volume", "not one of", ""),
        ({"solvent": "Water"}, "solvent", "not one of water, ethanol", "Did you mean water?"),
        ({"solvent": 3}, "solvent", "not one of", ""),
        ({"solvent": {"a": [1]}}, "solvent", "not one of", ""),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(
    change: dict[str, Any], field: str, words: str, hint: str
) -> None:
    errors = Problem.from_json(WHOLE).check_point({**POINT, **change})
    assert [each.field for each in errors] == [field]
    assert words in errors[0].message and errors[0].hint == hint
    assert errors[0].allowed
    json.dumps([each.to_json() for each in errors], allow_nan=False)


def test_a_missing_value_and_a_broken_constraint() -> None:
    problem = Problem.from_json(WHOLE)
    assert problem.check_point(POINT) == []
    without = {name: value for name, value in POINT.items() if name != "tau"}
    assert [str(each) for each in problem.check_point(without)] == ["tau: is missing."]
    broken = problem.check_point({**POINT, "tau": 2.0, "cycles": 31})
    assert "1 * tau + 0.1 * cycles <= 5" in broken[0].message


@pytest.mark.parametrize(("operator", "good", "bad"), [("<=", 2.9, 3.1), (">=", 3.1, 2.9), ("==", 3.0, 3.1)])
def test_constraints_of_each_kind(operator: str, good: float, bad: float) -> None:
    rule = Linear((("x", 1.0),), operator, 3.0)
    assert rule.check({"x": good}) is None
    assert rule.check({"x": bad}) is not None


def test_a_constraint_forgives_what_decimal_text_cannot_say() -> None:
    rule = Linear((("a", 0.1), ("b", 0.2)), "==", 0.3)
    assert rule.check({"a": 1.0, "b": 1.0}) is None


@given(
    st.floats(0.5, 2.0),
    st.integers(1, 29),
    st.sampled_from([1.0, 2.0, 5.0]),
    st.sampled_from(["water", "ethanol"]),
)
def test_a_good_point_becomes_the_problems_own_and_stays_it(
    tau: float, cycles: int, volume: float, solvent: str
) -> None:
    problem = Problem.from_json(WHOLE)
    given_ = {"solvent": solvent, "volume": int(volume), "cycles": float(cycles), "tau": tau, "conc": 1}
    assert problem.check_point(given_) == []
    normal = problem.normal(given_)
    assert list(normal) == list(problem.names)
    assert isinstance(normal["cycles"], int) and isinstance(normal["volume"], float)
    assert problem.check_point(normal) == [] and problem.normal(normal) == normal
    assert json.loads(json.dumps(normal)) == normal


NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)


@given(st.lists(NAMES, min_size=1, max_size=4, unique=True), NAMES)
def test_any_printable_name_is_a_name(names: list[str], unit: str) -> None:
    body = {
        "parameters": [
            {"name": each, "kind": "continuous", "low": 0, "high": 1, "unit": unit} for each in names
        ],
        "outputs": [{"name": names[0], "unit": unit}],
        "objectives": [{"output": names[0]}],
    }
    problem = Problem.from_json(body)
    assert Problem.from_json(problem.to_json()) == problem
    assert problem.check_point(dict.fromkeys(names, 0.5)) == []
    assert len(problem.check_point(dict.fromkeys(names, 2))) == len(names)


# Outputs


def test_outputs_are_judged_by_name_and_number() -> None:
    problem = Problem.from_json(WHOLE)
    good = {"sty": 1.0, "e factor": 2}
    assert problem.check_outputs(good) == []
    assert problem.check_outputs({"sty": 1.0}, ["e factor"]) == []
    assert [str(each) for each in problem.check_outputs({"sty": 1.0})] == [
        "e factor: is missing. Name it as outstanding if it follows."
    ]
    missing = problem.check_outputs({"sty": 1.0, "e-factor": 2})
    assert [str(each) for each in missing] == ["e factor: is missing. What came instead: e-factor."]
    assert problem.check_outputs({**good, "smell": "sweet"}) == [], "kept beside, whatever it is"
    for odd in (float("nan"), float("-inf"), "1", None, True, [1], 10**400):
        errors = problem.check_outputs({**good, "sty": odd})
        assert [each.field for each in errors] == ["sty"]
        json.dumps([each.to_json() for each in errors], allow_nan=False)


def test_only_outputs_can_be_outstanding() -> None:
    errors = Problem.from_json(WHOLE).check_outputs({"sty": 1.0}, ["e factor", "smell"])
    assert [each.field for each in errors] == ["outstanding"] and "smell" in errors[0].message


def test_the_nearest_name_or_none() -> None:
    assert did_you_mean("temprature", ["temperature", "time"]) == "Did you mean temperature?"
    assert did_you_mean("xyz", ["temperature"]) == ""
    assert did_you_mean(None, ["a"]) == ""
