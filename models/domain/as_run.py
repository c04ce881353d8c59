"""A point as it was run: what was planned, with what was reported of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labqueue.problem import Categorical, Fixed, Problem, Value


def as_run(problem: Problem, point: Mapping[str, Any]) -> dict[str, Value]:
    """`point` (planned values, actual ones in their place) in the problem's own order. Where another category was run
    than was planned, values that exist only with the planned one were never set: they are left out."""
    gone: set[str] = set()
    for each in problem.parameters:
        if each.when is None:
            continue
        parent = problem.parameter(each.when.parameter)
        # A number that was nearly met still has what depends on it; a category is another one or it is not.
        told = isinstance(parent, (Categorical, Fixed)) and parent.name in point
        if parent.name in gone or (told and point[parent.name] not in each.when.values):
            gone.add(each.name)
    return {name: value for name, value in problem.ordered(point).items() if name not in gone}
