"""The points among which an optimal design chooses: a grid inside the constraints, and where it meets their edges."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from services.fronts.alchemist.refusals import INFEASIBLE, Refusal
from services.fronts.alchemist.sessions.session import Constraint

from .factors import Factor, Point, keeps

#: No more candidates than this: fewer levels are taken, then a part of them that the seed draws.
MOST = 10_000
FEWEST_LEVELS = 3
#: No more systems of equations than this are solved for the vertices.
_SOLVED = 20_000


@dataclass
class Candidates:
    """points  each once
    total, feasible, boundary, vertices  how many the grid had, kept, and how many were added on edges and in corners
    skipped    were there too many corners to look at?
    """

    points: list[Point] = field(default_factory=list)
    total: int = 0
    feasible: int = 0
    boundary: int = 0
    vertices: int = 0
    skipped: bool = False


def candidates(factors: Sequence[Factor], rules: Sequence[Constraint], levels: int, seed: int) -> Candidates:
    """Raises Refusal (400) where none keeps the constraints."""
    grid = _grid(factors, levels, seed)
    inside = {_key(each): each for each in grid if keeps(each, rules)}
    found = Candidates(total=len(grid), feasible=len(inside))
    if rules:
        edges = _new(inside, _boundary(factors, rules, grid))
        found.boundary = len(edges)
        corners, found.skipped = _vertices(factors, rules, levels)
        found.vertices = len(_new(inside, corners))
    if not inside:
        raise Refusal(
            "No feasible design candidates could be generated for the constraints "
            f"{[each.name for each in rules]}: relax them, widen the bounds or take more levels.",
            INFEASIBLE,
        )
    found.points = list(inside.values())
    if len(found.points) > MOST:
        chosen = np.random.default_rng(seed).choice(len(found.points), MOST, replace=False)
        found.points = [found.points[int(place)] for place in np.sort(chosen)]
    return found


def _grid(factors: Sequence[Factor], levels: int, seed: int) -> list[Point]:
    while levels > FEWEST_LEVELS and math.prod(len(each.levels(levels)) for each in factors) > MOST:
        levels -= 1
    lists = [each.levels(levels) for each in factors]
    names = [each.name for each in factors]
    whole = math.prod(map(len, lists))
    if whole <= MOST:
        return [dict(zip(names, row, strict=True)) for row in itertools.product(*lists)]
    luck = np.random.default_rng(seed)
    drawn = (luck.integers(0, len(each), MOST) for each in lists)
    rows = dict.fromkeys(zip(*(map(int, each) for each in drawn), strict=True))
    return [{name: lists[number][row[number]] for number, name in enumerate(names)} for row in rows]


def _boundary(
    factors: Sequence[Factor], rules: Sequence[Constraint], grid: Sequence[Point]
) -> Iterator[Point]:
    """Grid points moved along one continuous variable until a constraint is just kept."""
    ranges = {each.name: each for each in factors if each.continuous}
    for rule in rules:
        for name, factor in rule.coefficients.items():
            if name not in ranges or factor == 0:
                continue
            low, high = ranges[name].low, ranges[name].high
            for point in {_key({**each, name: low}): each for each in grid}.values():
                rest = sum(other * point[each] for each, other in rule.coefficients.items() if each != name)
                value = (rule.rhs - rest) / factor
                moved = {**point, name: value}
                if low <= value <= high and keeps(moved, rules):
                    yield moved


def _vertices(
    factors: Sequence[Factor], rules: Sequence[Constraint], levels: int
) -> tuple[Iterator[Point], bool]:
    """Corners of the region of the continuous variables in the constraints, for the levels of all others."""
    named = {name for each in rules for name, factor in each.coefficients.items() if factor}
    free = [each for each in factors if each.continuous and each.name in named]
    others = [each for each in factors if each not in free]
    wide = min(levels, FEWEST_LEVELS)
    tried = math.comb(2 * len(free) + len(rules), len(free)) * math.prod(
        len(each.levels(wide)) for each in others
    )
    if not free or tried > _SOLVED:
        return iter(()), bool(free)
    return _corners(free, others, rules, wide), False


def _corners(
    free: Sequence[Factor], others: Sequence[Factor], rules: Sequence[Constraint], levels: int
) -> Iterator[Point]:
    names = [each.name for each in others]
    for values in itertools.product(*(each.levels(levels) for each in others)):
        known = dict(zip(names, values, strict=True))
        planes: list[tuple[list[float], float]] = []
        for rule in rules:
            taken = sum(factor * known[name] for name, factor in rule.coefficients.items() if name in known)
            planes.append(([rule.coefficients.get(each.name, 0.0) for each in free], rule.rhs - taken))
        for place, each in enumerate(free):
            unit = [float(place == other) for other in range(len(free))]
            planes += [(unit, each.low), (unit, each.high)]
        for some in itertools.combinations(range(len(planes)), len(free)):
            if some[0] >= len(rules):
                continue  # a corner of the ranges: the grid has it
            matrix = np.array([planes[each][0] for each in some])
            if abs(np.linalg.det(matrix)) < 1e-12:
                continue
            solved = np.linalg.solve(matrix, [planes[each][1] for each in some])
            spans = zip(free, map(float, solved), strict=True)
            corner = {each.name: min(max(value, each.low), each.high) for each, value in spans}
            if np.allclose(list(corner.values()), solved) and keeps({**known, **corner}, rules):
                yield {**known, **corner}


def _new(inside: dict[Any, Point], found: Iterator[Point]) -> list[Point]:
    """Those that were not there, put there."""
    added = []
    for each in found:
        key = _key(each)
        if key not in inside:
            inside[key] = each
            added.append(each)
    return added


def _key(point: Point) -> Any:
    return tuple(
        (name, round(value, 9) if isinstance(value, float) else value)
        for name, value in sorted(point.items())
    )
