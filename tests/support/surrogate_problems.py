"""Search spaces and rows for the tests of learning."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from labqueue.problem import (
    MINIMIZE,
    WEIGHTED,
    Categorical,
    Continuous,
    Discrete,
    Integer,
    Linear,
    Objective,
    Output,
    Problem,
    Value,
)
from labqueue.strategy import Strategy
from models.surrogates.values import Observation, Point, Snapshot

ROOT = Path(__file__).parents[2]

#: A smooth hill over two parameters: the best is 0 at x = 3, y = 0.1.
HILL = Problem(
    (Continuous("x", -5, 10, "mm"), Continuous("y", 0.001, 10, "s", log=True)),
    (Output("height", "m"),),
    (Objective("height"),),
)

#: One of each plain kind, and constraints that tie them.
MIXED = Problem(
    (
        Continuous("a", 0, 1),
        Continuous("b", 0, 1),
        Continuous("c", 0, 1),
        Continuous("rate", 0.01, 100, "1/s", log=True),
        Integer("cycles", 1, 40),
        Integer("stages", 1, 3),
        Discrete("size", (0.5, 1.0, 2.5), "mL"),
        Categorical("solvent", ("water", "ethanol", "DMSO")),
    ),
    (Output("yield", "%"), Output("cost", "EUR")),
    (Objective("yield"), Objective("cost", MINIMIZE, 0.5)),
    (
        Linear((("a", 1.0), ("b", 1.0), ("c", 1.0)), "==", 1.0),
        Linear((("cycles", 1.0), ("stages", 10.0)), "<=", 45.0),
        Linear((("rate", 1.0), ("size", 10.0)), ">=", 8.0),
    ),
    combine=WEIGHTED,
)

#: Six points in all.
FINITE = Problem(
    (Categorical("base", ("NaOH", "K2CO3")), Discrete("ratio", (1.0, 2.0, 4.0))),
    (Output("yield"),),
    (Objective("yield"),),
)


def problem(*parameters: dict[str, Any], constraints: list[dict[str, Any]] | None = None) -> Problem:
    """A problem with one output, `yield`, which is maximized, as a definition says it."""
    return Problem.from_json(
        {
            "parameters": list(parameters),
            "constraints": constraints or [],
            "outputs": [{"name": "yield"}],
            "objectives": [{"output": "yield"}],
        }
    )


def number(name: str, low: float = 0.0, high: float = 1.0, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "continuous", "low": low, "high": high, **more}


def category(name: str, *categories: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "categorical", "categories": list(categories), **more}


#: Every kind of parameter and of constraint.
EVERY_KIND = problem(
    number("temperature", 20, 120, step=5, unit="degC"),
    number("rate", 1e-4, 1, log=True),
    {"name": "turns", "kind": "integer", "low": 1, "high": 1000, "log": True},
    {"name": "pore", "kind": "discrete", "values": [0.1, 1, 10], "log": True},
    category("grade", "low", "middle", "high", ordered=True),
    category(
        "solvent",
        *"abcd",
        unavailable=["b"],
        descriptors={each: {"x": at, "y": at * at, "z": at % 2} for at, each in enumerate("abcd")},
    ),
    {"name": "pressure", "kind": "fixed", "value": 3.0},
    {"name": "humidity", "kind": "context", "low": 0, "high": 100},
    {"name": "lot", "kind": "context", "categories": ["A", "B"]},
    category("base", "none", "K", "Na"),
    number("amount", 0.5, 3, when={"parameter": "base", "is": ["K", "Na"]}),
    {"name": "washes", "kind": "integer", "low": 1, "high": 5, "when": {"parameter": "base", "is": "K"}},
    number("part a"),
    number("part b"),
    number("part c"),
    constraints=[
        {"coefficients": {"temperature": 1, "amount": 20, "pressure": 1}, "operator": "<=", "bound": 130},
        {"kind": "mixture", "parameters": ["part a", "part b", "part c"], "at_most": 2, "least": 0.05},
        {"kind": "expression", "rule": "rate * turns <= 50 + temperature / 2"},
        {"kind": "excluded", "combination": {"solvent": ["a"], "temperature": {"low": 80}}},
        {"kind": "excluded", "combination": {"grade": "high", "pore": 10}},
    ],
)

#: Six parts in steps of a tenth: 3003 points in a space of 1.8 million.
PLATE = problem(
    *(number(f"part {place}", step=0.1) for place in range(6)),
    constraints=[{"kind": "mixture", "parameters": [f"part {place}" for place in range(6)]}],
)

#: Hardly any of the box is left, in two pieces.
CURVED = problem(
    number("x", -2, 2),
    number("y", -2, 2),
    {"name": "size", "kind": "integer", "low": 1, "high": 9},
    constraints=[
        {"kind": "expression", "rule": "x^2 + y^2 <= 0.01 * size"},
        {"kind": "expression", "rule": "x * y >= 0.001"},
    ],
)


def hill(point: Point) -> float:
    return -((float(point["x"]) - 3) ** 2) / 20 - (math.log10(float(point["y"])) + 1) ** 2


def measured(problem: Problem, point: Point, **outputs: float | str) -> Observation:
    return Observation(point, {name: problem.output(name).encode(value) for name, value in outputs.items()})


def hill_rows(points: list[Point]) -> tuple[Observation, ...]:
    return tuple(measured(HILL, point, height=hill(point)) for point in points)


def snapshot(problem: Problem, rows: tuple[Observation, ...] = (), **changes: object) -> Snapshot:
    """A snapshot after the initial design unless `changes` say otherwise."""
    values: dict[str, object] = {"designed": 8, "seed": 7, "number": 1, **changes}
    return Snapshot(problem, values.pop("strategy", Strategy()), rows=rows, **values)  # type: ignore[arg-type]


def snar() -> Problem:
    text = (ROOT / "examples" / "snar" / "problem.json").read_text(encoding="utf-8")
    return Problem.from_json(json.loads(text))


def mixed_outputs(point: Point) -> dict[str, float]:
    number: dict[str, Value] = dict(point)
    bonus = {"water": 0.0, "ethanol": 10.0, "DMSO": 4.0}[str(number["solvent"])]
    return {
        "yield": 50 * float(number["a"]) + bonus - (float(number["cycles"]) - 20) ** 2 / 50,
        "cost": 1 + 5 * float(number["size"]) + float(number["rate"]) / 20,
    }
