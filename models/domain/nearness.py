"""How alike two points are: each parameter's difference as a share of its range."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from labqueue.problem import Categorical, Continuous, Discrete, Parameter, Problem


def distance(problem: Problem, one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """0 for the same point; 1 for the opposite ends of one parameter, or another category."""
    return math.sqrt(
        math.fsum(_share(each, one[each.name], other[each.name]) ** 2 for each in problem.parameters)
    )


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
    if isinstance(parameter, Categorical):
        return 0.0 if one == other else 1.0
    if isinstance(parameter, Discrete):
        return float(abs(one - other)) / ((max(parameter.values) - min(parameter.values)) or 1.0)
    if isinstance(parameter, Continuous) and parameter.log:
        return abs(math.log(one / other)) / math.log(parameter.high / parameter.low)
    return float(abs(one - other)) / (parameter.high - parameter.low)
