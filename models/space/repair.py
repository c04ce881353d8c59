"""The nearest point that keeps every constraint, in lab units."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from labqueue.problem import Categorical, Context, Expression, Fixed, Problem, Value

from .bend import search, switched
from .program import Impossible, solve
from .rounding import allowed, numeric, span
from .settle import Point, settled

#: The solver keeps a constraint to about 1e-7 of its scale; `Problem.check_point` asks for 1e-9.
_MARGINS = (1e-6, 0.0)
_RESTARTS = 6
_SEED = 20


def quickly_valid(problem: Problem, wanted: Mapping[str, Value]) -> Point | None:
    """`nearest_valid` as far as it needs no solver; None also where it would."""
    whole = _whole(problem, wanted)
    point = problem.normal(whole)
    return settled(problem, point, whole) if problem.check_point(point) else point


def nearest_valid(problem: Problem, wanted: Mapping[str, Value], restarts: int = _RESTARTS) -> Point | None:
    """A valid point near this one; None where none is found.

    wanted  a value for each parameter that is chosen, also for one that is not active there; the middle where
            one is missing

    Continuous values move alone where that is enough, then steps and whole numbers. Else a mixed-integer program
    finds the least sum of changes, each relative to its range, that keeps what is no expression; expressions are
    then kept by a search from there and, where that fails, from `restarts` other places.
    """
    try:
        return _nearest(problem, _whole(problem, wanted), restarts)
    except Impossible:
        return None


def impossible(problem: Problem) -> bool:
    """Is it proven that no point keeps the constraints (expressions, about which nothing is proven, aside)?"""
    try:
        solve(problem, _whole(problem, {}))
    except Impossible:
        return True
    return False


def _nearest(problem: Problem, wanted: Point, restarts: int) -> Point | None:
    point = problem.normal(wanted)
    if not problem.check_point(point):
        return point
    found = settled(problem, point, wanted)
    if found is not None:
        return found
    bent = [each for each in problem.constraints if isinstance(each, Expression)]
    solved = None
    for margin in _MARGINS:
        solved = _solved(problem, wanted, margin) or solved
        found = None if solved is None else settled(problem, problem.normal(solved), wanted)
        if found is not None or (solved is not None and bent):
            break
    if found is not None or not bent or solved is None:
        return found
    for start in _starts(problem, solved, restarts):
        found = search(problem, start)
        if found is not None:
            return found
    return None


def _solved(problem: Problem, wanted: Point, margin: float) -> Point | None:
    """Raises Impossible only where that is proven without a margin."""
    try:
        return solve(problem, wanted, margin)
    except Impossible:
        if margin:
            return None
        raise


def _whole(problem: Problem, wanted: Mapping[str, Value]) -> Point:
    """A value of its kind for every parameter that is chosen."""
    found: Point = {}
    for each in problem.planned:
        if isinstance(each, Fixed):
            continue
        value = wanted.get(each.name)
        if isinstance(each, Categorical):
            known = value in each.available
            found[each.name] = str(value) if known else each.available[0]
        elif value is None or isinstance(value, str) or math.isnan(value):
            found[each.name] = allowed(numeric(each), sum(span(numeric(each))) / 2)
        else:
            found[each.name] = allowed(numeric(each), float(value))
    return found


def _starts(problem: Problem, first: Point, restarts: int) -> Iterator[Point]:
    """Where a search begins: near what was wanted, then anywhere that keeps the rest of the rules."""
    yield first
    yield switched(problem, first)
    generator = np.random.default_rng(_SEED)
    for _ in range(restarts):
        drawn: Point = {}
        for each in problem.planned:
            if isinstance(each, Categorical):
                drawn[each.name] = each.available[int(generator.integers(len(each.available)))]
            elif not isinstance(each, (Fixed, Context)):
                low, high = span(each)
                drawn[each.name] = allowed(each, low + float(generator.random()) * (high - low))
        solved = solve(problem, drawn)
        if solved is not None:
            yield solved
