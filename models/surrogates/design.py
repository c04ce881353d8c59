"""Points that fill the space evenly without a model: scrambled Sobol inside the constraints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from botorch.utils.sampling import get_polytope_samples

from labqueue.problem import Categorical, Problem, Value

from .encoding import Array, Encoding, bounds
from .seeds import seed_for
from .values import LearningError, Point

_BLOCK = 128
#: Below this share of Sobol points that keep the constraints, a walk inside them is used instead.
_SHARE = 0.02
_TRIED = 16 * _BLOCK
_WALK = 8

_Rule = tuple[torch.Tensor, torch.Tensor, float]


def points(encoding: Encoding, seed: int, start: int, count: int, taken: Sequence[Point] = ()) -> list[Point]:
    """`count` points of the sequence that `seed` names, from index `start` on, none of them in `taken`.

    The sequence depends on the problem and the seed alone, so a design goes on where it stopped. Fewer points
    come back only where a finite space holds no more. Raises LearningError where the constraints leave nothing.
    """
    seen = {_key(each) for each in taken}
    found: list[Point] = []
    fruitless = 0
    for index, point in enumerate(_sequence(encoding, seed)):
        if len(found) == count or fruitless > _TRIED:
            break
        if index < start:
            continue
        fruitless += 1
        if _key(point) not in seen:
            seen.add(_key(point))
            found.append(point)
            fruitless = 0
    return found


def _key(point: Point) -> tuple[tuple[str, object], ...]:
    return tuple(sorted(point.items()))


def _sequence(encoding: Encoding, seed: int) -> Iterator[Point]:
    if any(each.operator == "==" for each in encoding.problem.constraints):
        yield from _walk(encoding, seed)
    tried = kept = 0
    for row in _sobol(len(encoding.problem.parameters), seed):
        point = encoding.spread(row)
        tried, kept = tried + 1, kept + (point is not None)
        if tried >= _TRIED and kept < _SHARE * tried:
            yield from _walk(encoding, seed)
        if point is not None:
            yield point


def _sobol(dimensions: int, seed: int) -> Iterator[Array]:
    engine: Any = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
    while True:
        yield from engine.draw(_BLOCK, dtype=torch.double).numpy()


def _walk(encoding: Encoding, seed: int) -> Iterator[Point]:
    """Hit-and-run inside the constraints, in blocks; in each the points come in an order that spreads."""
    problem = encoding.problem
    block = 0
    while True:
        drawn = _polytope(problem, seed_for("walk", seed, block))
        valid = [
            point
            for row in drawn
            for point in [encoding.decode(_to_cube(encoding, row))]
            if point is not None
        ]
        if not valid:
            raise LearningError("The constraints leave no point that can be run; please check their bounds.")
        rows = encoding.encode(valid)
        for place in _spreading(rows):
            yield valid[place]
        block += 1


def _polytope(problem: Problem, seed: int) -> Array:
    """Rows of one number in [0, 1] a parameter, uniform where the linear constraints hold (rounding aside)."""
    names = problem.names
    lower: list[_Rule] = []
    higher: list[_Rule] = []
    equal: list[_Rule] = []
    for each in problem.constraints:
        factors, bound = torch.zeros(len(names), dtype=torch.double), each.bound
        for name, factor in each.coefficients:
            low, high = bounds(problem.parameter(name))
            factors[names.index(name)] += factor * (high - low)
            bound -= factor * low
        used = factors.nonzero().flatten()
        row = (used, factors[used], bound)
        (equal if each.operator == "==" else higher if each.operator == ">=" else lower).append(row)
    inside = higher + [(used, -factors, -bound) for used, factors, bound in lower]
    box = torch.stack([torch.zeros(len(names)), torch.ones(len(names))]).double()
    try:
        drawn = get_polytope_samples(
            _BLOCK,
            box,
            inequality_constraints=inside or None,
            equality_constraints=equal or None,
            seed=seed,
            n_burnin=500,
            n_thinning=_WALK,
        )
    except ValueError as error:
        raise LearningError(
            "The constraints leave no point that can be run; please check their bounds."
        ) from error
    return np.asarray(drawn.clamp(0, 1).numpy(), dtype=np.float64)


def _to_cube(encoding: Encoding, shares: Array) -> Array:
    """A row of shares of each range, linear in lab units, as a row of the model's cube."""
    lab: dict[str, Value] = {}
    for parameter, share in zip(encoding.problem.parameters, map(float, shares), strict=True):
        if isinstance(parameter, Categorical):
            lab[parameter.name] = parameter.categories[
                min(int(share * len(parameter.categories)), len(parameter.categories) - 1)
            ]
        else:
            low, high = bounds(parameter)
            lab[parameter.name] = low + share * (high - low)
    (row,) = encoding.encode([lab])
    return np.asarray(row, dtype=np.float64)


def _spreading(rows: Array) -> list[int]:
    """An order in which each row is the one farthest from all before it."""
    order = [int(np.argmin(((rows - rows.mean(axis=0)) ** 2).sum(axis=1)))]
    nearest = ((rows - rows[order[0]]) ** 2).sum(axis=1)
    while len(order) < len(rows):
        nearest[order[-1]] = -1.0
        order.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, ((rows - rows[order[-1]]) ** 2).sum(axis=1))
        nearest[order] = -1.0
    return order
