"""Finds the best conditions by brute force, as a yardstick for optimizers: a grid, then local refinement.

python -m examples.snar.optimum        # 6 points an axis, about 10 s
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from examples.snar.model import measure
from labqueue.problem import Continuous, Problem, Value

PROBLEM = Path(__file__).with_name("problem.json")


def load_problem() -> Problem:
    return Problem.from_json(json.loads(PROBLEM.read_text(encoding="utf-8")))


def score(problem: Problem, point: dict[str, Value]) -> float:
    value = problem.score(measure(point))
    assert value is not None, "the model gives every output"
    return value


def find(points_per_axis: int = 6, refined: int = 3) -> tuple[dict[str, Value], float]:
    """The best point in lab units and its score: the `refined` best points of a full grid, each polished."""
    problem = load_problem()
    axes = [each for each in problem.parameters if isinstance(each, Continuous)]
    low = np.array([axis.low for axis in axes])
    span = np.array([axis.high - axis.low for axis in axes])

    def lab(unit: np.ndarray) -> dict[str, Value]:
        return dict(zip(problem.names, map(float, low + np.clip(unit, 0, 1) * span), strict=True))

    grid = [
        np.array(unit) for unit in itertools.product(np.linspace(0, 1, points_per_axis), repeat=len(axes))
    ]
    grid.sort(key=lambda unit: -score(problem, lab(unit)))
    polished = [
        minimize(
            lambda unit: -score(problem, lab(unit)) / 1000,
            start,
            method="Nelder-Mead",
            bounds=[(0.0, 1.0)] * len(axes),
            options={"xatol": 1e-6, "fatol": 1e-7, "maxiter": 2000},
        )
        for start in grid[:refined]
    ]
    best = lab(min(polished, key=lambda each: float(each.fun)).x)
    return best, score(problem, best)


if __name__ == "__main__":
    point, value = find(int(sys.argv[1]) if len(sys.argv) > 1 else 6)
    print(json.dumps({"parameters": point, "outputs": measure(point), "score": value}, indent=2))
