"""Points inside constraints that leave too little of the space to find it by trying: hit and run.

Many chains walk at once, from points that keep the rules, along random lines on which the sums that must be equal
stay equal: uniform inside convex constraints in the limit (Smith 1984). Inside expressions, which may be curved,
the line is shortened until a point of it holds (Neal's shrinkage, 2003).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import linprog

from labqueue.problem import (
    Categorical,
    Context,
    Continuous,
    Discrete,
    Expression,
    Fixed,
    Linear,
    Mixture,
    Parameter,
    Problem,
)
from models.space.operations import margins
from models.space.repair import nearest_valid
from models.space.table import Mask
from models.surrogates.encoding import Array, Encoding
from models.surrogates.values import LearningError

_MOVES = 40  # and four more a dimension
_SHRINKS = 12
_STARTS = 12
_TRIED = 512
_TINY = 1e-12

Holds = Callable[[Array], Mask]


class Walk:
    """The numbers that sums and expressions tie, as shares of their ranges.

    Rules about a number that exists only under a condition are left out: repair sees to them.
    """

    def __init__(self, problem: Problem) -> None:
        rules = [each.sum if isinstance(each, Mixture) else each for each in problem.constraints]
        kept = [
            each
            for each in rules
            if isinstance(each, (Linear, Expression))
            and all(problem.parameter(name).when is None for name in each.names)
        ]
        named = {name for each in kept for name in each.names}
        spans = {each.name: _ends(each) for each in problem.planned if each.name in named}
        self.names = [name for name, (low, high) in spans.items() if low < high]
        self._fixed = {name: low for name, (low, high) in spans.items() if low == high}
        self._expressions = [each for each in kept if isinstance(each, Expression)]
        ends = np.array([spans[name] for name in self.names]).reshape(-1, 2)
        self._low, self._reach = ends[:, 0], ends[:, 1] - ends[:, 0]
        self._set_rows([each for each in kept if isinstance(each, Linear)])
        numbers = [Continuous(name, *spans[name]) for name in self.names]
        fixed = [Fixed(name, value) for name, value in self._fixed.items()]
        self._relaxed = Problem((*numbers, *fixed), constraints=tuple(kept))

    def _set_rows(self, rules: list[Linear]) -> None:
        """inside @ shares <= bounds, and equal @ shares fixed by where a chain starts; each row of length 1."""
        inside, bounds, equal, sums = [], [], [], []
        for rule in rules:
            factors = dict(rule.coefficients)
            row = np.array([factors.get(name, 0.0) for name in self.names])
            bound = rule.bound - float(row @ self._low)
            bound -= sum(factors.get(name, 0.0) * value for name, value in self._fixed.items())
            row = row * self._reach
            size = float(np.linalg.norm(row))
            if not size:
                continue
            sign = -1.0 if rule.operator == ">=" else 1.0
            if rule.operator == "==":
                equal.append(row / size)
                sums.append(bound / size)
            else:
                inside.append(sign * row / size)
                bounds.append(sign * bound / size)
        width = len(self.names)
        box = np.eye(width)
        self._inside = np.concatenate([np.array(inside).reshape(len(inside), width), box, -box])
        self._bounds = np.concatenate([np.array(bounds), np.ones(width), np.zeros(width)])
        self._equal, self._sums = np.array(equal).reshape(len(equal), width), np.array(sums)

    def draw(self, chains: int, seed: int) -> Array:
        """(chains, names) values in lab units. Raises LearningError where no point was found that keeps the rules."""
        generator = np.random.default_rng(seed)
        rows = self._starts[generator.integers(len(self._starts), size=chains)]
        rows = self._walked(rows, generator, self._holds if self._expressions else None)
        return np.asarray(self._low + self._reach * np.clip(rows, 0.0, 1.0))

    def _walked(self, rows: Array, generator: np.random.Generator, holds: Holds | None) -> Array:
        """Rows after enough moves to have forgotten where they were."""
        lines = null_space(self._equal) if len(self._equal) else np.eye(len(self.names))
        if lines.shape[1]:
            for _ in range(_MOVES + 4 * len(self.names)):
                rows = self._move(rows, lines, generator, holds)
        return rows

    def _move(self, rows: Array, lines: Array, generator: np.random.Generator, holds: Holds | None) -> Array:
        directions = generator.standard_normal((len(rows), lines.shape[1])) @ lines.T
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        speed, room = directions @ self._inside.T, self._bounds - rows @ self._inside.T
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.maximum(room, 0.0) / speed
        far = np.where(speed > _TINY, ends, np.inf).min(axis=1)
        near = np.where(speed < -_TINY, ends, -np.inf).max(axis=1)
        moved, open_ = rows.copy(), np.ones(len(rows), dtype=np.bool_)
        for _ in range(1 if holds is None else _SHRINKS):
            step = near + generator.random(len(rows)) * (far - near)
            tried = rows + step[:, None] * directions
            good = open_ if holds is None else open_ & holds(tried)
            moved[good] = tried[good]
            open_ &= ~good
            near, far = np.where(step < 0, step, near), np.where(step > 0, step, far)
            if not open_.any():
                break
        return moved

    def _holds(self, rows: Array) -> Mask:
        good = np.ones(len(rows), dtype=np.bool_)
        if self._expressions:
            lab = self._low + self._reach * rows
            amounts = {name: lab[:, place] for place, name in enumerate(self.names)}
            amounts |= {name: np.full(len(rows), value) for name, value in self._fixed.items()}
            for rule in self._expressions:
                good &= margins(rule, amounts) > 0
        return good

    @cached_property
    def _starts(self) -> Array:
        """Where chains begin: the centre, or where expressions hold, found by trying and, if that fails, searched."""
        center = self._center()
        if not self._expressions:
            return center[None, :]
        generator = np.random.default_rng(0)
        tried = self._walked(np.tile(center, (_TRIED, 1)), generator, None)
        found = list(tried[self._holds(tried)])
        if len(found) < _STARTS:
            found += [
                row for shares in generator.random((_STARTS, len(self.names))) for row in self._near(shares)
            ]
        return np.array(found or [center])  # what breaks a rule there is for repair to move

    def _near(self, shares: Array) -> list[Array]:
        """The nearest row that keeps the rules, if one is found."""
        wanted = dict(zip(self.names, map(float, self._low + self._reach * shares), strict=True))
        point = nearest_valid(self._relaxed, wanted)
        if point is None:
            return []
        return [(np.array([float(point[name]) for name in self.names]) - self._low) / self._reach]

    def _center(self) -> Array:
        """The centre of the largest ball inside the linear rules."""
        width = len(self.names)
        answer = linprog(
            np.r_[np.zeros(width), -1.0],
            A_ub=np.c_[self._inside, np.ones(len(self._inside))],
            b_ub=self._bounds,
            A_eq=np.c_[self._equal, np.zeros(len(self._equal))] if len(self._equal) else None,
            b_eq=self._sums if len(self._equal) else None,
            bounds=[(0, 1)] * width + [(0, None)],
        )
        if answer.x is None:
            raise LearningError("The constraints leave no point that can be run; please check their bounds.")
        return np.asarray(answer.x[:width], dtype=np.float64)


def drawn(encoding: Encoding, walk: Walk, shares: Array, seed: int) -> Array:
    """Lab rows: what the rules tie from a walk, everything else from `shares`, in the order of `Encoding.spread`."""
    lab = encoding.spread_lab(shares)
    places = [encoding.table.places[name] for name in walk.names]
    lab[:, places] = walk.draw(len(shares), seed)
    generator = np.random.default_rng(seed)
    for rule in encoding.problem.constraints:
        if isinstance(rule, Mixture) and rule.at_most is not None:
            _keep_some(lab, [encoding.table.places[name] for name in rule.parameters], rule, generator)
    return lab


def _keep_some(lab: Array, places: list[int], rule: Mixture, generator: np.random.Generator) -> None:
    """Any of the parts of a mixture, as many as it may have, are as likely to be in it; the others are 0."""
    assert rule.at_most is not None
    order = generator.random((len(lab), len(places))).argsort(axis=1)
    parts = np.where(order < rule.at_most, lab[:, places], 0.0)
    sums = parts.sum(axis=1, keepdims=True)
    lab[:, places] = np.where(sums > 0, parts * rule.total / np.where(sums > 0, sums, 1.0), lab[:, places])


def _ends(parameter: Parameter) -> tuple[float, float]:
    """The range of a number; a fixed one ends where it begins."""
    assert not isinstance(parameter, (Categorical, Context)), "rules tie numbers"
    if isinstance(parameter, Fixed):
        return float(parameter.value), float(parameter.value)
    if isinstance(parameter, Discrete):
        return min(parameter.values), max(parameter.values)
    return float(parameter.low), float(parameter.high)
