"""The search space: what is taken, in which words, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from alchemist_lab import CATEGORY, POINTS, REAL, VARIABLES, WHOLE, Program

DISCRETE = {"name": "ratio", "type": "discrete", "allowed_values": [5, 1, 3]}


def _load(program: Program, content: Any, status: int = 200) -> dict[str, Any]:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    answer = program.ask("POST", "variables/load", files={"file": ("space.json", raw, "application/json")})
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _names(program: Program) -> list[str]:
    return [each["name"] for each in program.ok("GET", "variables")["variables"]]


def test_each_kind_is_echoed_listed_and_exported(program: Program) -> None:
    program.begin(REAL, WHOLE, CATEGORY, {**DISCRETE, "changes": "hard"})
    made = program.ok("POST", "variables", {"name": "humidity", "role": "observed", "unit": "%"})
    assert made == {
        "message": "Variable added successfully",
        "variable": {
            "name": "humidity", "type": "real", "role": "observed", "changes": "easy", "min": None, "max": None,
            "unit": "%", "description": None,
        },
    }  # fmt: skip
    listed = program.ok("GET", "variables")
    assert listed["n_variables"] == 5
    by_name = {each["name"]: each for each in listed["variables"]}
    assert by_name["temperature"]["bounds"] == [20.0, 120.0] and by_name["temperature"]["unit"] == "C"
    assert by_name["stirring"]["bounds"] == [100, 900] and by_name["stirring"]["categories"] is None
    assert by_name["catalyst"]["categories"] == ["Pt", "Pd", "Ni"] and by_name["catalyst"]["bounds"] is None
    assert by_name["ratio"]["allowed_values"] == [1.0, 3.0, 5.0] and by_name["ratio"]["changes"] == "hard"
    assert by_name["humidity"]["role"] == "observed" and by_name["humidity"]["bounds"] is None
    assert program.ok("GET", "variables/export") == [
        {"name": "temperature", "type": "real", "min": 20.0, "max": 120.0, "unit": "C"},
        {"name": "stirring", "type": "integer", "min": 100, "max": 900},
        {"name": "catalyst", "type": "categorical", "values": ["Pt", "Pd", "Ni"]},
        {"name": "ratio", "type": "discrete", "allowed_values": [1.0, 3.0, 5.0], "changes": "hard"},
        {"name": "humidity", "type": "real", "unit": "%", "role": "observed"},
    ]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (422, {"name": "", "min": 0, "max": 1}),
        (422, {"name": "a/b", "min": 0, "max": 1}),
        (422, {"name": ".", "min": 0, "max": 1}),
        (422, {"name": "..", "min": 0, "max": 1}),
        (422, {"name": "x", "type": "nonsense", "min": 0, "max": 1}),
        (422, {"name": "x", "type": "real", "min": 0}),
        (422, {"name": "x", "type": "integer", "min": 0.5, "max": 2}),
        (422, {"name": "x", "type": "categorical"}),
        (422, {"name": "x", "type": "discrete", "allowed_values": [1]}),
        (422, {"min": 0, "max": 1}),
        (400, {"name": "x", "min": 5, "max": 1}),
        (400, {"name": "x", "type": "categorical", "categories": []}),
        (400, {"name": "x", "type": "categorical", "categories": ["a", "a"]}),
        (400, {"name": "x", "type": "discrete", "allowed_values": [1, 1, 2]}),
        (400, {"name": "x", "role": "observed", "changes": "hard"}),
        (400, {"name": "x", "role": "observed", "min": 1}),
        (400, {"name": "Reason", "min": 0, "max": 1}),
        (400, {"name": "two\nlines", "min": 0, "max": 1}),
        (400, {"name": "temperature", "min": 0, "max": 1}),
    ],
)
def test_what_is_no_variable_is_refused(program: Program, status: int, body: dict[str, Any]) -> None:
    program.begin(REAL)
    program.refused(status, "POST", "variables", body)
    assert _names(program) == ["temperature"]


def test_a_variable_is_changed_and_removed_with_its_constraints(program: Program) -> None:
    program.begin()
    rule = {"constraint_type": "inequality", "coefficients": {"temperature": 1, "stirring": 2}, "rhs": 1500}
    assert program.ok("POST", "constraints", rule)["constraint"] == {
        "type": "inequality", "coefficients": {"temperature": 1.0, "stirring": 2.0}, "rhs": 1500.0,
        "name": "constraint_0",
    }  # fmt: skip
    changed = program.ok("PUT", "variables/temperature", {**REAL, "max": 150})
    assert changed["variable"]["max"] == 150.0
    program.refused(400, "PUT", "variables/temperature", {**REAL, "name": "other"})
    program.refused(404, "PUT", "variables/other", {**REAL, "name": "other"})
    program.refused(404, "DELETE", "variables/other")
    assert program.ok("GET", "constraints")["n_constraints"] == 1
    assert program.ok("DELETE", "variables/stirring") == {
        "message": "Variable 'stirring' deleted successfully",
        "n_variables": 2,
    }
    assert program.ok("GET", "constraints") == {"constraints": [], "n_constraints": 0}


def test_constraints_are_named_checked_and_removed(program: Program) -> None:
    program.begin(*VARIABLES, {"name": "humidity", "role": "observed"})
    rule = {"constraint_type": "equality", "coefficients": {"temperature": 1}, "rhs": 50, "name": "fixed"}
    program.ok("POST", "constraints", rule)
    for wrong, status in [
        (rule, 400),
        ({**rule, "name": "other", "coefficients": {"catalyst": 1}}, 400),
        ({**rule, "name": "other", "coefficients": {"nothing": 1}}, 400),
        ({**rule, "name": "other", "coefficients": {"humidity": 1}}, 400),
        ({**rule, "name": "other", "rhs": 5000}, 400),
        ({**rule, "name": "other", "coefficients": {}}, 422),
        ({**rule, "name": "..", "rhs": 50}, 422),
        ({**rule, "constraint_type": "around"}, 422),
    ]:
        program.refused(status, "POST", "constraints", wrong)
    assert [each["name"] for each in program.ok("GET", "constraints")["constraints"]] == ["fixed"]
    program.refused(404, "DELETE", "constraints/other")
    program.ok("DELETE", "constraints/fixed")
    assert program.ok("GET", "constraints")["n_constraints"] == 0


def test_a_file_is_loaded_whole_or_not_at_all(program: Program) -> None:
    program.begin(REAL)
    new = {"name": "x1", "type": "real", "min": 0, "max": 10}
    labels = {"name": "x2", "type": "categorical", "categories": ["A", "B"]}
    assert _load(program, [new, labels]) == {
        "message": "Loaded 2 variables successfully", "n_variables": 2, "n_constraints": 0,
    }  # fmt: skip
    assert _names(program) == ["temperature", "x1", "x2"]
    for wrong in [
        [{**new, "name": "x3"}, new],
        [{**new, "name": "x3"}, {"name": "x4", "type": "real", "min": 1}],
        [{**new, "name": "x3"}, {"type": "real"}],
        [{**new, "name": "x3"}, {**new, "name": "a/b"}],
        [{**new, "name": "x3"}, {"name": "x4", "type": "spline"}],
        {"variables": [new], "constraints": [{"type": "inequality", "coefficients": {"zz": 1}, "rhs": 1}]},
        {"variables": [new], "constraints": [{"type": "inequality", "coefficients": {"x1": "a"}, "rhs": 1}]},
        {"variables": [new, new]},
        {"variables": 5},
        "text",
        b"no json",
    ]:
        _load(program, wrong, 400)
    assert _names(program) == ["temperature", "x1", "x2"]
    rule = {"type": "inequality", "coefficients": {"x1": 3.0}, "rhs": 8.0, "name": "c_a"}
    assert _load(program, {"variables": [new], "constraints": [rule]}) == {
        "message": "Loaded 1 variables and 1 constraints successfully", "n_variables": 1, "n_constraints": 1,
    }  # fmt: skip
    exported = program.ok("GET", "variables/export?include_constraints=true")
    assert exported == {"variables": [{**new, "min": 0.0, "max": 10.0}], "constraints": [rule]}
    assert _load(program, exported)["n_constraints"] == 1
    assert program.refused(422, "POST", "variables/load", {})["error_type"] == "ValidationError"


def test_measured_data_forbid_what_would_make_them_untrue(program: Program) -> None:
    program.begin()
    program.ok("POST", "experiments", {"inputs": POINTS[0], "output": 0.5})
    refused = program.refused(400, "POST", "variables", {"name": "late", "min": 0, "max": 1})
    assert refused["error_type"] == "ValueError" and "1 recorded experiments" in refused["detail"]
    _load(program, [{"name": "late", "type": "real", "min": 0, "max": 1}], 400)
    program.refused(400, "DELETE", "variables/temperature")
    program.refused(400, "PUT", "variables/catalyst", {**CATEGORY, "categories": ["Pd", "Ni"]})
    program.ok("PUT", "variables/catalyst", {**CATEGORY, "categories": ["Pt", "Pd"]})
    # Without the unit, which it had: numbers are in that unit still.
    wider = {"name": "temperature", "type": "real", "min": 20, "max": 200}
    assert program.ok("PUT", "variables/temperature", wider)["variable"]["unit"] == "C"
    program.refused(400, "PUT", "variables/temperature", {**wider, "unit": "K"})
    assert _names(program) == ["temperature", "stirring", "catalyst"]
