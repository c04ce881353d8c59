"""How far a campaign is from the best that its problem allows. Numpy alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from .vocabulary import Problem


def trace(problem: Problem, results: Iterable[Mapping[str, float]]) -> list[float]:
    """The regret after each result, in the order in which they came; never below the problem's floor.

    One aim: the best valid value minus the least possible one. Two: the greatest hypervolume minus that of the
    results so far. Before the first result within the limits it is `problem.start`.
    """
    found: list[float] = []
    front: list[tuple[float, ...]] = []
    regret = problem.start
    for outputs in results:
        if all(outputs[name] <= most for name, most in problem.limits):
            values = tuple(aim.sign * outputs[aim.output] for aim in problem.aims)
            if len(values) == 1:
                regret = min(regret, values[0] - problem.best)
            else:
                front.append(values)
                worst = [aim.sign * float(aim.reference or 0.0) for aim in problem.aims]
                regret = problem.best - hypervolume(front, worst)
        found.append(max(regret, problem.floor))
    return found


def hypervolume(points: Sequence[Sequence[float]], worst: Sequence[float]) -> float:
    """The area between points of two values, less being better in both, and the worst values that count."""
    total, ceiling = 0.0, worst[1]
    for first, second in sorted((a, b) for a, b in points if a < worst[0]):
        if second < ceiling:
            total += (worst[0] - first) * (ceiling - second)
            ceiling = second
    return total


def improvements(regrets: Sequence[float]) -> list[list[float]]:
    """A trace as [number of the result, regret from it on], only where it fell: short to keep."""
    found: list[list[float]] = []
    for number, regret in enumerate(regrets, 1):
        rounded = float(f"{regret:.6g}")
        if not found or rounded < found[-1][1]:
            found.append([number, rounded])
    return found


def last(improved: Sequence[Sequence[float]]) -> float:
    """The regret at the end, from what `improvements` kept."""
    return improved[-1][1]


def after(improved: Sequence[Sequence[float]], number: int) -> float:
    """The regret after so many results, from what `improvements` kept."""
    return [regret for when, regret in improved if when <= number][-1]


def nondominated(values: np.ndarray) -> np.ndarray:
    """The places of the rows (two values, less is better) that no other row beats, by the first value."""
    order = np.lexsort((values[:, 1], values[:, 0]))
    least = np.minimum.accumulate(np.concatenate([[math.inf], values[order, 1][:-1]]))
    kept: np.ndarray = order[values[order, 1] < least]
    return kept
