"""Search spaces and rows for the tests of learning."""

from __future__ import annotations

import json
import math
from pathlib import Path

from labqueue.problem import (
    MINIMIZE,
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

#: One of each kind, and constraints that tie them.
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
)

#: Six points in all.
FINITE = Problem(
    (Categorical("base", ("NaOH", "K2CO3")), Discrete("ratio", (1.0, 2.0, 4.0))),
    (Output("yield"),),
    (Objective("yield"),),
)


def hill(point: Point) -> float:
    return -((float(point["x"]) - 3) ** 2) / 20 - (math.log10(float(point["y"])) + 1) ** 2


def measured(problem: Problem, point: Point, **outputs: float) -> Observation:
    return Observation(point, problem.score(outputs), outputs)


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
