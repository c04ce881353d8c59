"""Sums made right: the fast way to a point that keeps linear constraints and mixtures, without a solver."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from labqueue.problem import (
    TOLERANCE,
    Continuous,
    Discrete,
    Fixed,
    Integer,
    Linear,
    Mixture,
    Problem,
    Value,
)

from .rounding import allowed, decimals, levels, numeric, readable, span

Array = NDArray[np.float64]
Point = dict[str, Value]
Span = tuple[float, float]

_SLIDES = 100
_STEPS = 400


def settled(problem: Problem, point: Point, wanted: Point) -> Point | None:
    """The point with its sums made right, readable where that is possible; None where it still breaks a rule."""
    moved = dict(point)
    for rule in problem.constraints:
        if isinstance(rule, Mixture):
            _largest(problem, rule, moved)
    _slide(problem, moved)
    if _broken(problem, moved):
        _step(problem, moved, wanted)
        moved = problem.normal({**wanted, **moved})  # a step may have switched a condition
        _slide(problem, moved)
    if problem.check_point(moved):
        return None
    tidy = _tidy(problem, moved)
    return moved if problem.check_point(tidy) else tidy


def linear_rules(problem: Problem) -> list[Linear]:
    rules = problem.constraints
    return [
        each.sum if isinstance(each, Mixture) else each
        for each in rules
        if isinstance(each, (Linear, Mixture))
    ]


def _broken(problem: Problem, point: Mapping[str, Value]) -> list[Linear]:
    return [each for each in linear_rules(problem) if each.check(point)]


def missing(rule: Linear, point: Mapping[str, Value]) -> float:
    """What the sum lacks of its bound."""
    return rule.bound - math.fsum(
        factor * float(point.get(name) or 0.0) for name, factor in rule.coefficients
    )


def _largest(problem: Problem, rule: Mixture, point: Point) -> None:
    """Keeps the largest amounts of a mixture, as many as it may have; what is below the least becomes 0 or it."""
    names = [name for name in rule.parameters if name in point]
    order = sorted(names, key=lambda name: -float(point[name]))
    for place, name in enumerate(order):
        amount = float(point[name])
        surplus = rule.at_most is not None and place >= rule.at_most
        if surplus or (0 < amount < rule.least / 2):
            point[name] = allowed(numeric(problem.parameter(name)), 0.0)
        elif 0 < amount < rule.least:
            point[name] = allowed(numeric(problem.parameter(name)), rule.least)


def free(problem: Problem, point: Mapping[str, Value]) -> dict[str, Span]:
    """Continuous parameters that may move, and how far: an unused amount of a mixture stays unused."""
    found = {
        each.name: (each.low, each.high)
        for each in problem.active(point)
        if isinstance(each, Continuous) and each.step is None
    }
    for rule in problem.constraints:
        if not isinstance(rule, Mixture) or (rule.at_most is None and not rule.least):
            continue
        for name in rule.parameters:
            if name in found and float(point.get(name) or 0.0) <= TOLERANCE * max(1.0, rule.total):
                del found[name]
            elif name in found:
                low, high = found[name]
                found[name] = max(low, rule.least), high
    return found


def _slide(problem: Problem, point: Point) -> None:
    """Makes sums right with continuous values that have room, by the least change as shares of their ranges."""
    loose = free(problem, point)
    for _ in range(_SLIDES):
        broken = _broken(problem, point)
        if not broken:
            return
        moved = False
        for each in broken:
            lack = missing(each, point)
            ways = [
                (name, factor)
                for name, factor in each.coefficients
                if name in loose and _room(loose[name], float(point[name]), lack * factor)
            ]
            reach = {name: _reach(problem, name) for name, _ in ways}
            power = sum((factor * reach[name]) ** 2 for name, factor in ways)
            for name, factor in ways:
                low, high = loose[name]
                moved_to = float(point[name]) + lack * factor * reach[name] ** 2 / power
                point[name] = min(max(moved_to, low), high)
            moved = moved or bool(ways)
        if not moved:
            return


def _reach(problem: Problem, name: str) -> float:
    parameter = problem.parameter(name)
    if isinstance(parameter, Fixed):
        return 0.0
    low, high = span(numeric(parameter))
    return high - low


def _room(ends: Span, value: float, direction: float) -> bool:
    return value < ends[1] if direction > 0 else value > ends[0]


def _step(problem: Problem, point: Point, wanted: Point) -> None:
    """Makes sums right with single steps of values that come in steps, those first that stay near what was wanted."""
    stepped = {
        each.name: listed
        for each in problem.active(point)
        if isinstance(each, (Continuous, Integer, Discrete))
        for listed in [levels(each)]
        if listed is not None and len(listed) > 1
    }
    for _ in range(_STEPS):
        broken = _broken(problem, point)
        if not broken:
            return
        rule = broken[0]
        lack = missing(rule, point)
        moves = [
            (abs(value - float(wanted[name])) / (listed[-1] - listed[0]), name, value)
            for name, factor in rule.coefficients
            if name in stepped
            for listed in [stepped[name]]
            for value in _beside(listed, float(point[name]), lack * factor)
            if rule.operator != "==" or abs(factor * (value - float(point[name]))) <= abs(lack) * (1 + 1e-9)
        ]
        if not moves:
            return
        _, name, value = min(moves)
        point[name] = allowed(numeric(problem.parameter(name)), value)


def _beside(listed: Array, value: float, direction: float) -> list[float]:
    """The next level in this direction, if there is one."""
    place = int(np.argmin(np.abs(listed - value))) + (1 if direction > 0 else -1)
    return [float(listed[place])] if 0 <= place < len(listed) else []


def _tidy(problem: Problem, point: Point) -> Point:
    """Every continuous value rounded; what that takes from a sum is given to one that has room."""
    tidy = dict(point)
    loose = free(problem, point)
    for name in loose:
        parameter = problem.parameter(name)
        assert isinstance(parameter, Continuous)
        tidy[name] = float(readable(parameter, np.array([float(point[name])]))[0])
    for rule in _broken(problem, tidy):
        lack = missing(rule, tidy)
        widest_first = sorted(rule.coefficients, key=lambda each: -_reach(problem, each[0]))
        for name, factor in widest_first:
            parameter = problem.parameter(name)
            if name not in loose or not factor or not isinstance(parameter, Continuous):
                continue
            value = float(tidy[name]) + lack / factor
            if not parameter.log:
                value = round(value, max(decimals(parameter), 0) + 3)
            if loose[name][0] <= value <= loose[name][1]:
                tidy[name] = value
                break
    return tidy
