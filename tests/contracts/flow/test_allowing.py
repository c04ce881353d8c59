"""Which measured rows count once a problem was edited."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from labqueue.problem import Problem
from labqueue.states import Outcome
from models.domain import records as r
from services.flow.allowing import allowed

PROBLEM: dict[str, Any] = {
    "parameters": [
        {"name": "temperature", "kind": "continuous", "low": 20, "high": 100, "step": 5},
        {"name": "tube", "kind": "discrete", "values": [0.5, 1.0, 1.6]},
        {"name": "solvent", "kind": "categorical", "categories": ["water", "DMF"], "unavailable": ["DMF"]},
        {
            "name": "power",
            "kind": "integer",
            "low": 1,
            "high": 9,
            "when": {"parameter": "solvent", "is": ["water"]},
        },
        {"name": "pressure", "kind": "fixed", "value": 2},
        {"name": "humidity", "kind": "context", "low": 0, "high": 1},
    ],
    "constraints": [{"kind": "expression", "rule": "temperature * tube <= pressure * 60"}],
    "outputs": [{"name": "yield"}],
    "objectives": [{"output": "yield"}],
}
GOOD = {"temperature": 50.0, "tube": 1.0, "solvent": "water", "power": 3}
CAMPAIGN = r.Campaign(1, "c", "q", "o", "active", "", PROBLEM, 2, {}, 1, 1.0, 7)


def counts(point: dict[str, Any], campaign: r.Campaign = CAMPAIGN) -> bool:
    row = r.TrainingRow(7, point, point, {"yield": 1.0}, {}, Outcome.MEASURED, 1)
    return allowed(campaign, Problem.from_json(PROBLEM), [row]) == [row]


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        ({}, True),
        ({"temperature": 52.5}, True),  # off its steps
        ({"tube": 1.3}, True),
        ({"pressure": 2}, True),
        ({"temperature": 101.0}, False),
        ({"tube": 1.7}, False),
        ({"solvent": "DMF", "power": None}, False),  # not available now
        ({"solvent": "benzene", "power": None}, False),
        ({"power": 10}, False),
        ({"power": None}, False),  # missing
        ({"pressure": 3}, False),
        ({"temperature": 90.0, "tube": 1.6}, False),  # against the constraint
        ({"temperature": 77.0, "tube": 1.6}, True),  # by a little
    ],
)
def test_what_the_problem_still_allows_counts(change: dict[str, Any], stays: bool) -> None:
    point = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    assert counts(point) is stays
    assert counts(point, replace(CAMPAIGN, problem_version=1)), "until it is edited all count"
