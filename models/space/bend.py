"""Expressions kept: a search from a point that keeps the rest, by sequential quadratic programming and rounding."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from labqueue.problem import Categorical, Continuous, Discrete, Expression, Integer, Parameter, Problem, Value

from .operations import margin_and_slope
from .rounding import allowed, levels, numeric, span
from .settle import Point, free, linear_rules, missing, settled

Array = NDArray[np.float64]

#: How far inside of an expression to aim, as a share of its size where the search begins.
_INSIDE = 1e-5
_NEAR = 8  # combinations of whole numbers tried around what a search found
_SWITCHES, _FEW = 4, 100
_MIXED = 8  # of which so many are taken the other way
_ITERATIONS = 60


def search(problem: Problem, start: Point) -> Point | None:
    """From here to where the expressions hold too: numbers as if all were continuous, then whole, then the rest."""
    point = problem.normal(start)
    stepped = [each.name for each in problem.active(point) if _stepped(each)]
    relaxed = _descend(problem, point, [*free(problem, point), *stepped])
    for rounded in _roundings(problem, relaxed, stepped):
        whole = problem.normal({**start, **rounded})  # a rounding may have switched a condition
        loose = list(free(problem, whole))
        for each in (whole, _descend(problem, whole, loose) if loose else whole):
            found = settled(problem, each, {**start, **each})
            if found is not None:
                return found
    return None


def switched(problem: Problem, wanted: Point) -> Point:
    """The values wanted, after single changes of parameters of few values, each the one after which the rules are
    broken least: where a condition, a category or a whole number far away is what keeps an expression."""
    best = dict(wanted)
    excess = _excess(problem, best)
    for _ in range(_SWITCHES):
        tries = [
            (_excess(problem, moved), place, moved)
            for name in best
            for place, value in enumerate(_others(problem, name))
            for moved in [{**best, name: value}]
        ]
        if not excess or not tries:
            break
        least, _, moved = min(tries, key=lambda each: each[:2])
        if least >= excess:
            break
        best, excess = moved, least
    return best


def _others(problem: Problem, name: str) -> Sequence[Value]:
    parameter = problem.parameter(name)
    if isinstance(parameter, Categorical):
        return parameter.available
    listed = levels(numeric(parameter))
    if listed is None or len(listed) > _FEW:
        return ()
    return [allowed(numeric(parameter), float(each)) for each in listed]


def _excess(problem: Problem, wanted: Point) -> float:
    """By how much expressions are broken, as shares of their sides, and one for each other rule that is."""
    point = problem.normal(wanted)
    whole = {name: value for name, value in point.items() if not isinstance(value, str)}
    total = 0.0
    for rule in problem.constraints:
        if rule.check(point) is None:
            continue
        total += 1.0
        if isinstance(rule, Expression):
            gap, _ = margin_and_slope(rule, {name: float(whole.get(name, 0.0)) for name in rule.names})
            total += 1.0 if math.isnan(gap) else min(-gap / _size(rule, whole), 1.0)
    return total


def _stepped(parameter: Parameter) -> bool:
    if isinstance(parameter, Continuous):
        return parameter.step is not None
    return isinstance(parameter, (Integer, Discrete))


def _descend(problem: Problem, point: Point, names: Sequence[str]) -> Point:
    """The least change of these numbers that keeps sums and expressions, by sequential quadratic programming."""
    narrow = free(problem, point)
    spans = [narrow.get(name) or span(numeric(problem.parameter(name))) for name in names]
    low = np.array([each[0] for each in spans])
    reach = np.array([(each[1] - each[0]) or 1.0 for each in spans])
    begin = (np.array([float(point[name]) for name in names]) - low) / reach
    fixed = {name: float(value) for name, value in point.items() if not isinstance(value, str)}

    def lab(shares: Array) -> dict[str, float]:
        return {**fixed, **dict(zip(names, map(float, low + reach * shares), strict=True))}

    rules: list[dict[str, Any]] = []
    for linear in linear_rules(problem):
        slope = np.array([dict(linear.coefficients).get(name, 0.0) for name in names]) * reach
        sign = 1.0 if linear.operator == ">=" else -1.0
        rules.append(
            {
                "type": "eq" if linear.operator == "==" else "ineq",
                "fun": lambda shares, r=linear, s=sign: -s * missing(r, lab(shares)),
                "jac": lambda _, s=sign, d=slope: s * d,
            }
        )
    for rule in problem.constraints:
        if isinstance(rule, Expression):
            size = _size(rule, lab(begin))
            rules.append(
                {
                    "type": "ineq",
                    "fun": lambda shares, r=rule, s=size: _margin(r, lab(shares))[0] / s - _INSIDE,
                    "jac": lambda shares, r=rule, s=size: _margin(r, lab(shares), names)[1] * reach / s,
                }
            )
    with np.errstate(all="ignore"):
        answer = minimize(
            lambda shares: float(((shares - begin) ** 2).sum()),
            begin,
            jac=lambda shares: 2 * (shares - begin),
            method="SLSQP",
            bounds=[(0.0, 1.0)] * len(names),
            constraints=rules,
            options={"maxiter": _ITERATIONS},
        )
    shares = np.clip(np.where(np.isfinite(answer.x), answer.x, begin), 0.0, 1.0)
    return {**point, **dict(zip(names, map(float, low + reach * shares), strict=True))}


def _margin(rule: Expression, amounts: Mapping[str, float], names: Sequence[str] = ()) -> tuple[float, Array]:
    """The margin and its slope; where it is no real number, far from holding and flat."""
    gap, slopes = margin_and_slope(rule, {name: amounts.get(name, 0.0) for name in rule.names})
    if math.isnan(gap):
        return -1e6, np.zeros(len(names))
    return gap, np.array([slopes.get(name, 0.0) for name in names])


def _size(rule: Expression, amounts: Mapping[str, float]) -> float:
    gap, slopes = margin_and_slope(rule, {name: amounts.get(name, 0.0) for name in rule.names})
    sizes = [abs(gap), *(abs(slope * amounts.get(name, 0.0)) for name, slope in slopes.items())]
    return max((each for each in sizes if math.isfinite(each)), default=1.0) or 1.0


def _roundings(problem: Problem, point: Point, names: Sequence[str]) -> Iterator[Point]:
    """The point with these numbers at values that they may have: nearest ones first, then mixed with their other
    neighbours, the least change of all first."""
    choices: list[list[tuple[float, Value]]] = []
    for name in names:
        parameter = numeric(problem.parameter(name))
        value = float(point[name])
        listed = levels(parameter)
        near = [allowed(parameter, value)]
        if listed is not None:
            place = int(np.searchsorted(listed, value))
            sides = {float(listed[at]) for at in (place - 1, place) if 0 <= at < len(listed)}
            near = [allowed(parameter, each) for each in sorted(sides, key=lambda each: abs(each - value))]
        low, high = span(parameter)
        choices.append([(abs(float(each) - value) / ((high - low) or 1.0), each) for each in near])
    for picks in _cheapest([[cost for cost, _ in each] for each in choices], _NEAR):
        rounded = {name: choice[pick][1] for name, choice, pick in zip(names, choices, picks, strict=True)}
        yield {**point, **rounded}


def _cheapest(costs: Sequence[Sequence[float]], count: int) -> Iterator[tuple[int, ...]]:
    """Picks, one of each list, by rising sum: the lists have one or two entries, the cheaper first, and only the
    second entries that cost least more are picked."""
    extra = sorted((each[1] - each[0], place) for place, each in enumerate(costs) if len(each) > 1)[:_MIXED]
    sums = sorted(
        (sum(cost for cost, _ in chosen), [place for _, place in chosen])
        for size in range(len(extra) + 1)
        for chosen in itertools.combinations(extra, size)
    )
    for _, seconds in sums[:count]:
        yield tuple(int(place in seconds) for place in range(len(costs)))
