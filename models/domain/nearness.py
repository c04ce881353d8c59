"""How alike two points are: each parameter's difference as a share of its range."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from labqueue.problem import ROW, Categorical, Continuous, Discrete, Fixed, Integer, Parameter, Problem


def distance(problem: Problem, one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """0 for the same point; 1 for the opposite ends of one parameter, another category, or a conditional
    parameter that only one of them has. Of a pool: 0 for the same row, 1 for another.

    Planned points: what is fixed is the same in all, and the context is no part of them.
    """
    if problem.pool is not None:
        return 0.0 if one.get(ROW) == other.get(ROW) else 1.0
    shares = [
        _share(each, one.get(each.name), other.get(each.name))
        for each in problem.planned
        if not isinstance(each, Fixed)
    ]
    return math.sqrt(math.fsum(share**2 for share in shares))


def drop_nearest(
    problem: Problem, candidates: Sequence[Mapping[str, Any]], points: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Indices of `candidates`, in order, without the one nearest to each of `points`."""
    keep = list(range(len(candidates)))
    for point in points:
        if keep:
            keep.remove(min(keep, key=lambda number: distance(problem, candidates[number], point)))
    return keep


def _share(parameter: Parameter, one: Any, other: Any) -> float:
    if one is None or other is None:
        return 0.0 if one is other else 1.0
    if isinstance(parameter, Categorical):
        if not parameter.ordered:
            return 0.0 if one == other else 1.0
        places = parameter.categories.index(one), parameter.categories.index(other)
        return abs(places[0] - places[1]) / ((len(parameter.categories) - 1) or 1)
    assert isinstance(parameter, (Continuous, Integer, Discrete)), "what is chosen"
    if isinstance(parameter, Discrete):
        low, high = min(parameter.values), max(parameter.values)
    else:
        low, high = parameter.low, parameter.high
    if parameter.log:
        one, other, low, high = (math.log(each) for each in (one, other, low, high))
    return float(abs(one - other)) / ((high - low) or 1.0)
