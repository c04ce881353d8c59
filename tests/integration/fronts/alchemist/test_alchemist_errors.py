"""What is wrong is told as ALchemist tells it, whatever comes."""

from __future__ import annotations

from typing import Any

import pytest
from alchemist_lab import POINTS, Program

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "body", "fault"),
    [
        (
            "POST",
            "experiments/staged",
            {},
            {"type": "missing", "loc": ["body", "inputs"], "msg": "Field required", "input": {}},
        ),
        (
            "POST",
            "experiments/staged",
            [1],
            {
                "type": "model_attributes_type",
                "loc": ["body"],
                "msg": "Input should be a valid dictionary or object to extract fields from",
                "input": [1],
            },
        ),
        (
            "PATCH",
            "metadata",
            {"tags": ["a", 1]},
            {
                "type": "string_type",
                "loc": ["body", "tags", 1],
                "msg": "Input should be a valid string",
                "input": 1,
            },
        ),
        (
            "POST",
            "initial-design",
            {"n_points": 10**9},
            {
                "type": "less_than_equal",
                "loc": ["body", "n_points"],
                "msg": "Input should be less than or equal to 1000",
                "input": 10**9,
                "ctx": {"le": 1000},
            },
        ),
        (
            "POST",
            "experiments/staged/complete?auto_train=maybe",
            {"outputs": [1]},
            {
                "type": "bool_parsing",
                "loc": ["query", "auto_train"],
                "msg": "Input should be a valid boolean, unable to interpret input",
                "input": "maybe",
            },
        ),
        (
            "POST",
            "variables",
            {"name": "z", "type": "discrete", "allowed_values": [1]},
            {
                "type": "too_short",
                "loc": ["body", "allowed_values"],
                "msg": "List should have at least 2 items",
                "input": None,
            },
        ),
    ],
)
def test_faults_are_named_as_pydantic_names_them(
    program: Program, method: str, path: str, body: Any, fault: dict[str, Any]
) -> None:
    program.begin()
    refused = program.refused(422, method, path, body)
    assert (refused["error_type"], refused["status_code"]) == ("ValidationError", 422)
    assert refused["errors"] == [fault] and isinstance(refused["detail"], str)


def test_a_body_that_is_no_json(program: Program) -> None:
    program.begin()
    path = f"/sessions/{program.session}/variables"
    broken = program.http.post(path, content=b"{", headers=JSON).json()
    (fault,) = broken["errors"]
    assert (fault["type"], fault["loc"]) == ("json_invalid", ["body", 1])
    assert fault["ctx"] == {"error": "Expecting property name enclosed in double quotes"}
    nan = b'{"name": "w", "type": "real", "min": NaN, "max": 1e999}'
    answer = program.http.post(path, content=nan, headers=JSON)
    assert answer.status_code == 422
    assert [(each["type"], each["loc"]) for each in answer.json()["errors"]] == [
        ("finite_number", ["body", "min"]),
        ("finite_number", ["body", "max"]),
    ]
    half = b'{"name": "\\ud800", "type": "real", "min": 0, "max": 1}'
    answer = program.http.post(path, content=half, headers=JSON)
    assert answer.status_code == 422 and answer.json()["errors"][0]["loc"] == ["body", "name"]


def test_a_long_value_is_only_begun(program: Program) -> None:
    program.begin()
    refused = program.refused(422, "POST", "experiments/staged", {"inputs": ["x" * 100_000]})
    assert len(refused["errors"][0]["input"]) == 1000
    many = {"experiments": [{"inputs": 1, "output": 1}] * 5000}
    assert len(program.refused(422, "POST", "experiments/batch", many)["errors"]) == 100


def test_a_name_with_a_slash_is_told_as_it_came(program: Program) -> None:
    program.begin()
    assert "'a/b c'" in program.refused(404, "DELETE", "variables/a%2Fb%20c")["detail"]
    assert "Session ../x not found" == program.refused(404, "GET", "/sessions/..%2Fx")["detail"]


def test_names_of_any_letters_are_set_shown_and_removed(program: Program) -> None:
    program.begin()
    for name in ("Temp. (°C)", "a\"b' %", "日本", "x?y#z", "a&b=c"):
        new = {"name": name, "type": "categorical", "categories": ["p/q", 'r"s', "ü"]}
        assert program.ok("POST", "variables", new)["variable"]["name"] == name
    inputs = {**POINTS[0], **dict.fromkeys(("Temp. (°C)", "a\"b' %", "日本", "x?y#z", "a&b=c"), "p/q")}
    program.ok("POST", "experiments", {"inputs": inputs, "output": 1})
    (row,) = program.ok("GET", "experiments")["experiments"]
    assert {name: row[name] for name in inputs} == inputs
    program.begin()
    program.ok("POST", "variables", {"name": "x?y#z", "type": "real", "min": 0, "max": 1})
    program.ok("DELETE", "variables/x%3Fy%23z")


def test_the_document_names_the_errors_that_are_sent(url: str, program: Program) -> None:
    document = program.http.get(f"{url}/api/openapi.json").json()
    schema = {"$ref": "#/components/schemas/AlchemistError"}
    seen = 0
    for path, methods in document["paths"].items():
        for method, each in methods.items():
            if "ALchemist" not in each["tags"] or path == "/health":
                continue
            seen += 1
            for code, answer in each["responses"].items():
                if int(code) >= 400:
                    assert answer["content"] == {"application/json": {"schema": schema}}, (method, path, code)
            assert "422" in each["responses"], (method, path)
    assert seen > 80
    fault = document["components"]["schemas"]["AlchemistFault"]
    assert {"type", "loc", "msg", "input", "ctx"} == set(fault["properties"])
