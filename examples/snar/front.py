"""Finds the reactor's true Pareto front, as a yardstick: the most product for each amount of waste.

python -m examples.snar.front        # writes front.json, about a minute
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from examples.snar.model import measure
from labqueue.problem import Continuous, Problem, Value

HERE = Path(__file__).parent
POINTS = 60
#: Of the whole front: between the points that are stored, a staircase of them leaves a little out.
HYPERVOLUME = 33_162.1
_SEED, _STARTS = 7, 4000
_PENALTY = 1e6  # of a unit of waste too much

Array = NDArray[np.float64]


def load_problem() -> Problem:
    return Problem.from_json(json.loads((HERE / "problem.json").read_text(encoding="utf-8")))


def load_front() -> list[tuple[float, float]]:
    """(sty, e_factor) along the true front, as `find` wrote it."""
    return [(sty, waste) for sty, waste in json.loads((HERE / "front.json").read_text(encoding="utf-8"))]


def hypervolume(problem: Problem, points: Sequence[tuple[float, float]]) -> float:
    """The area that two objectives' values (lab units) dominate, up to the reference point."""
    references = [each.reference_value for each in problem.objectives]
    assert len(references) == 2 and None not in references, "two objectives with their references"
    first, second = (float(each or 0.0) for each in references)
    gains = [
        tuple(each.value(value) for each, value in zip(problem.objectives, point, strict=True))
        for point in points
    ]
    area, reached = 0.0, second
    for one, other in sorted(gains, reverse=True):
        if one > first and other > reached:
            area += (one - first) * (other - reached)
            reached = other
    return area


def find(count: int = POINTS) -> list[tuple[float, float]]:
    """`count` points of the front, from least waste to most product, each polished from the best known start."""
    problem = load_problem()
    axes = [each for each in problem.parameters if isinstance(each, Continuous)]
    low = np.array([axis.low for axis in axes])
    span = np.array([axis.high - axis.low for axis in axes])

    def at(unit: Array) -> tuple[float, float]:
        lab: dict[str, Value] = dict(
            zip(problem.names, map(float, low + np.clip(unit, 0, 1) * span), strict=True)
        )
        outputs = measure(lab)
        return outputs["sty"], outputs["e_factor"]

    def polished(fall: object, start: Array) -> Array:
        bounds = [(0.0, 1.0)] * len(axes)
        options = {"xatol": 1e-7, "fatol": 1e-7, "maxiter": 2000, "adaptive": True}
        return np.asarray(minimize(fall, start, method="Nelder-Mead", bounds=bounds, options=options).x)

    starts = np.random.default_rng(_SEED).random((_STARTS, len(axes)))
    known = [(at(unit), unit) for unit in starts]
    least = polished(lambda unit: at(unit)[1], min(known, key=lambda each: each[0][1])[1])
    most = polished(lambda unit: -at(unit)[0] / 1000, max(known, key=lambda each: each[0][0])[1])
    known += [(at(least), least), (at(most), most)]
    found = []
    # Closer together where waste is least: there the front bends.
    from_least = np.linspace(0, 1, count) ** 3
    for limit in at(least)[1] + from_least * (at(most)[1] - at(least)[1]):

        def fall(unit: Array, limit: float = float(limit)) -> float:
            sty, waste = at(unit)
            return -sty / 1000 + _PENALTY * max(waste - limit, 0.0)

        start = min(known, key=lambda each, limit=limit: -each[0][0] + 1e9 * max(each[0][1] - limit, 0.0))[1]  # type: ignore[misc]
        unit = polished(fall, polished(fall, start))
        known.append((at(unit), unit))
        found.append(at(unit))
    return _rising(found)


def _rising(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that no other one beats, from least waste to most product."""
    ordered = sorted(points, key=lambda each: (each[1], -each[0]))
    kept = ordered[:1]
    for _, each in pairwise(ordered):
        if each[0] > kept[-1][0]:
            kept.append(each)
    return kept


if __name__ == "__main__":
    front = find()
    rows = ",\n".join(f"  [{sty:.3f}, {waste:.5f}]" for sty, waste in front)
    (HERE / "front.json").write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    print(f"{len(front)} points; hypervolume {hypervolume(load_problem(), front):,.1f}")
