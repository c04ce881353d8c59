"""Points as they were run: another category than the planned one takes what depended on it along."""

from __future__ import annotations

from typing import Any

import pytest

from labqueue.problem import Problem
from models.domain.as_run import as_run

PROBLEM = Problem.from_json(
    {
        "parameters": [
            {"name": "mode", "kind": "categorical", "categories": ["heat", "light"]},
            {
                "name": "lamp",
                "kind": "categorical",
                "categories": ["led", "arc"],
                "when": {"parameter": "mode", "is": "light"},
            },
            {
                "name": "gap",
                "kind": "continuous",
                "low": 1,
                "high": 5,
                "when": {"parameter": "lamp", "is": "arc"},
            },
            {"name": "stages", "kind": "integer", "low": 1, "high": 3},
            {
                "name": "second",
                "kind": "continuous",
                "low": 0,
                "high": 9,
                "when": {"parameter": "stages", "is": [2, 3]},
            },
            {"name": "humidity", "kind": "context", "low": 0, "high": 1},
        ],
        "outputs": [{"name": "yield"}],
        "objectives": [{"output": "yield"}],
    }
)
PLANNED = {"mode": "light", "lamp": "arc", "gap": 2.0, "stages": 2, "second": 4.0}


@pytest.mark.parametrize(
    ("actual", "gone"),
    [
        ({}, ()),
        ({"gap": 2.5, "humidity": 0.4}, ()),
        ({"mode": "heat"}, ("lamp", "gap")),
        ({"lamp": "led"}, ("gap",)),
        ({"stages": 1.9}, ()),  # nearly what was planned
    ],
)
def test_what_depended_on_another_category_was_never_set(
    actual: dict[str, Any], gone: tuple[str, ...]
) -> None:
    merged = {**actual, **{name: value for name, value in PLANNED.items() if name not in actual}}
    found = as_run(PROBLEM, merged)
    assert found == {name: value for name, value in merged.items() if name not in gone}
    assert list(found) == [name for name in PROBLEM.names if name in found], "in the problem's own order"
