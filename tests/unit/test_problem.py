"""A problem's definition as a whole, the points that it allows, and that nothing changes on the way."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from any_problem import problems
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from labqueue.errors import InvalidError
from labqueue.problem import Pool, Problem, did_you_mean

WHOLE: dict[str, Any] = {
    "parameters": [
        {"name": "tau", "kind": "continuous", "low": 0.5, "high": 2.0, "unit": "min"},
        {"name": "conc", "kind": "continuous", "low": 1e-4, "high": 1.0, "log": True},
        {"name": "heat", "kind": "continuous", "low": 20, "high": 120, "step": 0.1},
        {"name": "cycles", "kind": "integer", "low": 1, "high": 40},
        {"name": "volume", "kind": "discrete", "values": [5, 1, 2], "unit": "mL"},
        {"name": "solvent", "kind": "categorical", "categories": ["water", "ethanol"]},
        {"name": "gas", "kind": "fixed", "value": "argon"},
        {"name": "lot", "kind": "context", "categories": ["A", "B"]},
        {"name": "base", "kind": "categorical", "categories": ["none", "K", "Na"]},
        {
            "name": "amount",
            "kind": "continuous",
            "low": 1,
            "high": 3,
            "when": {"parameter": "base", "is": ["K", "Na"]},
        },
        {"name": "washes", "kind": "integer", "low": 1, "high": 3, "when": {"parameter": "base", "is": "K"}},
        {
            "name": "wash volume",
            "kind": "discrete",
            "values": [1, 2],
            "when": {"parameter": "washes", "is": [2, 3]},
        },
    ],
    "outputs": [{"name": "sty", "unit": "kg/m3/h"}, {"name": "e factor", "noise": 0.1}],
    "objectives": [{"output": "sty"}, {"output": "e factor", "goal": "minimize", "weight": 1000}],
    "constraints": [{"coefficients": {"tau": 1, "cycles": 0.1}, "operator": "<=", "bound": 5}],
}
POINT: dict[str, Any] = {
    "tau": 1.0,
    "conc": 0.01,
    "heat": 20.3,
    "cycles": 3,
    "volume": 2,
    "solvent": "water",
    "base": "none",
}
#: Hypothesis without the phase that explains: it traces every line.
ANY = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)


def changed(**changes: Any) -> dict[str, Any]:
    return {**WHOLE, **changes}


def test_it_comes_back_as_it_went_out() -> None:
    problem = Problem.from_json(WHOLE)
    assert Problem.from_json(json.loads(json.dumps(problem.to_json()))) == problem
    assert len(problem.names) == 12 and "lot" not in [each.name for each in problem.planned]


@ANY
@given(problems())
def test_any_problem_comes_back_as_it_went_out(case: tuple[Problem, dict[str, Any]]) -> None:
    problem, point = case
    again = Problem.from_json(json.loads(json.dumps(problem.to_json())))
    assert again == problem
    assert again.check_point(point) == [] and again.normal(point) == point
    assert again.check_point(json.loads(json.dumps(point))) == []


def test_opaque_items_need_no_parameters() -> None:
    problem = Problem.from_json({"opaque": True, "outputs": [{"name": "yield"}]})
    assert problem.opaque and problem.parameters == ()


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        (None, "problem", "must be an object"),
        ([], "problem", "must be an object"),
        ({}, "parameters", "at least one parameter"),
        (changed(outptus=[]), "problem.outptus", "not known here"),
        (changed(parameters="tau"), "parameters", "must be a list"),
        (changed(parameters=["tau"]), "parameters[0]", "must be an object"),
        (changed(parameters=WHOLE["parameters"][:2] * 2), "parameters", "name 'conc' twice"),
        (changed(parameters=[WHOLE["parameters"][0]] * 1001), "parameters", "more than 1000 entries"),
        (changed(opaque="yes"), "problem.opaque", "must be true or false"),
        (changed(constraints={}), "constraints", "must be a list"),
        (changed(pool="library"), "pool", "takes the place of parameters"),
        ({"pool": 3, "outputs": [{"name": "o"}]}, "pool", "must be an object"),
        ({"pool": {"sha256": "0"}, "outputs": [{"name": "o"}]}, "pool.name", "is missing"),
        ({"pool": {"name": "a", "file": "b"}, "outputs": [{"name": "o"}]}, "pool.file", "not known here"),
        (
            {"pool": {"name": "a", "sha256": "0", "rows": 2, "columns": ["row"]}, "outputs": [{"name": "o"}]},
            "pool.columns",
            "called row",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_place(body: Any, field: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body)
    found = [each for each in caught.value.errors if each.field == field]
    assert found, [str(each) for each in caught.value.errors]
    assert any(words in each.message for each in found), [each.message for each in found]


POOL = {"name": "library", "sha256": "0" * 64, "rows": 5, "columns": ["mass", "price"]}


@pytest.mark.parametrize(
    ("body", "owner"),
    [
        (changed(outputs=[{"name": "sty"}, {"name": "e factor"}, {"name": "heat"}]), "parameters[2]"),
        (changed(outputs=[{"name": "sty"}, {"name": "e factor"}, {"name": "lot"}]), "parameters[7]"),
        ({"pool": POOL, "outputs": [{"name": "a"}, {"name": "b"}, {"name": "price"}]}, "the pool library"),
        ({"pool": "library", "outputs": [{"name": "a"}, {"name": "b"}, {"name": "row"}]}, "the pool's rows"),
    ],
)
def test_an_output_has_a_name_of_its_own(body: Any, owner: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body)
    (wrong,) = caught.value.errors
    assert (wrong.field, wrong.value) == ("outputs[2].name", body["outputs"][2]["name"])
    assert f"{owner} as well" in wrong.message and f"such as {wrong.value}_measured" in wrong.hint
    body["outputs"][2]["name"] += "_measured"
    assert Problem.from_json(body).outputs[2].name == f"{wrong.value}_measured"


def test_a_parameter_of_no_kind_moves_no_other_ones_place() -> None:
    parameters = [{"name": "first", "kind": "continuos"}, *WHOLE["parameters"]]
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(changed(parameters=parameters, outputs=[*WHOLE["outputs"], {"name": "tau"}]))
    assert any("parameters[1] as well" in each.message for each in caught.value.errors)


def test_names_that_are_missing_are_not_the_same() -> None:
    with pytest.raises(InvalidError) as caught:
        Problem.from_json({"parameters": [{"kind": "integer", "low": 0, "high": 1}], "outputs": [{}]})
    assert [each.field for each in caught.value.errors] == ["parameters[0].name", "outputs[0].name"]


def test_everything_that_is_wrong_is_named_at_once() -> None:
    body = changed(
        parameters=[
            {"name": "tau", "kind": "continuos", "low": 0, "high": 1},
            {"kind": "integer", "low": "a"},
        ],
        objectives=[{"output": "styy"}],
        constraints=[{"kind": "mixture", "parameters": ["a"]}],
    )
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body)
    fields = {each.field for each in caught.value.errors}
    assert {
        "parameters[0].kind",
        "parameters[1].name",
        "parameters[1].low",
        "objectives[0].output",
        "constraints[0].parameters",
    } <= fields
    hints = [each.hint for each in caught.value.errors]
    assert "Did you mean continuous?" in hints and "Did you mean sty?" in hints


FIELDS = [
    "parameters",
    "outputs",
    "objectives",
    "constraints",
    "pool",
    "name",
    "kind",
    "low",
    "high",
    "values",
    "categories",
    "descriptors",
    "unavailable",
    "when",
    "is",
    "parameter",
    "value",
    "coefficients",
    "bound",
    "rule",
    "combination",
    "combine",
    "output",
    "goal",
    "weight",
    "target",
    "classes",
    "step",
]
WORDS = (
    "continuous",
    "integer",
    "discrete",
    "categorical",
    "fixed",
    "context",
    "mixture",
    "expression",
    "excluded",
)


@ANY
@given(
    st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=8),
            st.sampled_from((*WORDS, "p", "window", "target", "desirability", "p <= 1")),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6)
        ),
        max_leaves=16,
    )
)
def test_whatever_comes_is_read_or_refused_kindly(body: Any) -> None:
    for given_ in (
        body,
        {**WHOLE, "constraints": [body]},
        {**WHOLE, "parameters": [body, *WHOLE["parameters"]]},
    ):
        try:
            Problem.from_json(given_)
        except InvalidError as error:
            assert error.errors and all(each.field and each.message for each in error.errors)


# Points


@pytest.mark.parametrize(
    ("change", "field", "words", "hint"),
    [
        ({"tua": 1}, "tua", "is no parameter", "Did you mean tau?"),
        ({"tau": None}, "tau", "not a finite number", ""),
        ({"tau": 2.1}, "tau", "outside 0.5 to 2 min", ""),
        ({"heat": 20.34}, "heat", "is not on a step of 0.1 from 20", "The nearest is 20.3."),
        ({"cycles": 41}, "cycles", "outside 1 to 40", ""),
        ({"volume": 3}, "volume", "not one of 1, 2, 5 mL", ""),
        ({"solvent": {"a": [1]}}, "solvent", "not one of", ""),
        ({"gas": "air"}, "gas", "is fixed at argon", ""),
        ({"lot": "A"}, "lot", "is context: it is measured, not planned", ""),
        ({"amount": 2}, "amount", "exists only where base is K or Na", ""),
        ({"base": "Na"}, "amount", "is missing", ""),
        ({"base": "Na", "amount": 2, "washes": 2}, "washes", "exists only where base is K", ""),
        ({"base": "K", "amount": 2, "washes": 1, "wash volume": 1}, "wash volume", "exists only where washes is 2 or 3", ""),
        ({"base": "K", "amount": 2, "washes": 2}, "wash volume", "is missing", ""),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_with_what_is_allowed(
    change: dict[str, Any], field: str, words: str, hint: str
) -> None:
    errors = Problem.from_json(WHOLE).check_point({**POINT, **change})
    assert [each.field for each in errors] == [field]
    assert words in errors[0].message and errors[0].hint.startswith(hint)
    json.dumps([each.to_json() for each in errors], allow_nan=False)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"gas": "argon"},
        {"base": "Na", "amount": 1},
        {"base": "K", "amount": 1, "washes": 1},
        {"base": "K", "amount": 1, "washes": 3.0, "wash volume": 2},
    ],
)
def test_a_good_point_becomes_the_problems_own_and_stays_it(change: dict[str, Any]) -> None:
    problem = Problem.from_json(WHOLE)
    given_ = dict(reversed(list({**POINT, "heat": 20.1 + 0.2, **change}.items())))
    assert problem.check_point(given_) == []
    normal = problem.normal(given_)
    assert list(normal) == [name for name in problem.names if name in normal] and normal["gas"] == "argon"
    assert set(normal) == {*POINT, "gas", *change}
    assert (
        isinstance(normal["cycles"], int) and isinstance(normal["volume"], float) and normal["heat"] == 20.3
    )
    assert problem.check_point(normal) == [] and problem.normal(normal) == normal
    assert json.loads(json.dumps(normal)) == normal


def test_a_missing_value_and_a_broken_constraint() -> None:
    problem = Problem.from_json(WHOLE)
    assert problem.check_point(POINT) == []
    without = {name: value for name, value in POINT.items() if name != "tau"}
    assert [str(each) for each in problem.check_point(without)] == ["tau: is missing."]
    broken = problem.check_point({**POINT, "tau": 2.0, "cycles": 31})
    assert "1 * tau + 0.1 * cycles <= 5" in broken[0].message
    assert [each.field for each in problem.check_point([1])] == ["parameters"]


@pytest.mark.parametrize(
    "change",
    [
        {"tau": 9.0},
        {"tau": 2.0, "cycles": 31},
        {"cycles": 2.5},
        {"heat": 20.04},
        {"volume": 3},
        {"cycles": 0},
    ],
)
def test_what_was_run_may_be_outside_and_stays_where_it_was(change: dict[str, Any]) -> None:
    problem = Problem.from_json(WHOLE)
    assert problem.check_point({**POINT, **change})
    assert problem.check_run({**POINT, **change}) == []
    normal = problem.normal({**POINT, **change})
    assert {name: normal[name] for name in change} == change


@pytest.mark.parametrize(
    "change",
    [
        {"base": "Li"},
        {"tau": "hot"},
        {"tau": math.nan},
        {"gas": "air"},
        {"lot": "A"},
        {"amount": 2},
        {"tua": 1},
    ],
)
def test_what_was_run_is_whole_and_of_its_kinds(change: dict[str, Any]) -> None:
    (wrong,) = Problem.from_json(WHOLE).check_run({**POINT, **change})
    assert wrong.field == next(iter(change))


def test_what_a_parameter_really_was_may_be_out_of_bounds_but_not_of_another_kind() -> None:
    problem = Problem.from_json(WHOLE)
    for name, value in (
        ("tau", 3.7),
        ("heat", 20.04),
        ("volume", 2.3),
        ("lot", "B"),
        ("gas", "air"),
        ("base", "K"),
    ):
        assert problem.check_actual(name, value) is None, name
    for name, value in (
        ("tau", "hot"),
        ("lot", "C"),
        ("gas", 3),
        ("base", "Li"),
        ("tua", 1.0),
        ("tau", True),
    ):
        wrong = problem.check_actual(name, value)
        assert wrong is not None and wrong.field == name


NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)


@ANY
@given(st.lists(NAMES, min_size=1, max_size=4, unique=True), NAMES)
def test_any_printable_name_is_a_name(names: list[str], unit: str) -> None:
    measured = "".join(names) + "!"  # longer than each of them
    rule = {"kind": "expression", "rule": " + ".join(f"`{each}`" for each in names) + " <= 100"}
    body = {
        "parameters": [
            {"name": each, "kind": "continuous", "low": 0, "high": 1, "unit": unit} for each in names
        ],
        "outputs": [{"name": measured, "unit": unit}],
        "objectives": [{"output": measured}],
        "constraints": [] if any("`" in each for each in names) else [rule],
    }
    problem = Problem.from_json(body)
    assert Problem.from_json(problem.to_json()) == problem
    assert problem.check_point(dict.fromkeys(names, 0.5)) == []
    assert len(problem.check_point(dict.fromkeys(names, 2))) == len(names)


def test_a_point_of_a_pool_is_a_row() -> None:
    problem = Problem.from_json({"pool": "library", "outputs": [{"name": "o"}]})
    assert problem.pool == Pool("library")
    assert problem.check_point({"row": "a-17"}) == []
    whole = Problem((), problem.outputs, pool=Pool("library", "0" * 64, 5, ("x", "y")))
    assert Problem.from_json(whole.to_json()) == whole
    assert whole.check_point({"row": "a-17", "x": 1.5}) == []
    assert list(whole.normal({"y": 2, "x": 1, "row": "a"})) == ["row", "x", "y"]
    for bad, field in (({}, "row"), ({"row": 17}, "row"), ({"row": " "}, "row"), ({"row": "a", "z": 1}, "z")):
        assert [each.field for each in whole.check_point(bad)] == [field]


def test_the_nearest_name_or_none() -> None:
    assert did_you_mean("temprature", ["temperature", "time"]) == "Did you mean temperature?"
    assert did_you_mean("xyz", ["temperature"]) == ""
    assert did_you_mean(None, ["a"]) == ""
