"""Points chosen without a model: designs of experiments, inside the constraints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from labqueue.problem import Categorical, Continuous, Linear, Mixture, Problem
from labqueue.strategy import AUTO, FILLING, MAXIMIN, SOBOL, Strategy

from .designs import fixed, optimal
from .designs.filling import BLOCK, shares
from .designs.maximin import farthest
from .designs.walk import Walk, drawn
from .encoding import Array, Encoding
from .seeds import seed_for
from .values import LearningError, Point

#: Below this share of tried points that keep the constraints, a walk inside them is used instead.
_SHARE = 0.02
_TRIED = 16 * BLOCK
#: Candidates of a D-optimal design: listed where there are no more, else half of them inside, half on the edges.
_CANDIDATES = 600
#: Of a maximin design: listed where there are no more, else half as many of a Sobol sequence.
_LISTED = 4096
_REPAIRED = 40
#: Of a block of a walk so many points are made to keep the constraints, where it takes a solver.
_ENOUGH = 32


def points(
    encoding: Encoding,
    seed: int,
    start: int,
    count: int,
    taken: Sequence[Point] = (),
    strategy: Strategy | None = None,
) -> list[Point]:
    """`count` points of the sequence that `seed` names, from index `start` on. None: a Sobol sequence.

    The sequence depends on the problem, the strategy and the seed alone, so a design goes on where it stopped.
    A design that fills a space gives each point once and none of those in `taken`; fewer come back only where a
    finite space holds no more. One with a number of points of its own gives those, centre points again and again,
    whatever was run before, and then no more. Raises LearningError where the constraints leave nothing.
    """
    if strategy is not None and strategy.design.kind not in FILLING:
        return _fixed(encoding, seed, strategy)[start : start + count]
    context = {each.name for each in encoding.problem.context}
    seen = {_key({name: each[name] for name in each if name not in context}) for each in taken}
    found: list[Point] = []
    fruitless = 0
    for index, point in enumerate(_sequence(encoding, seed, strategy)):
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


def kind_for(problem: Problem, asked: str) -> str:
    """The kind of design that is meant by `auto`: maximin where every parameter is one of some values and a category has
    descriptors (ADR 24), else Sobol; any other is meant as asked."""
    if asked != AUTO:
        return asked
    described = any(isinstance(each, Categorical) and each.descriptors for each in problem.parameters)
    endless = any(isinstance(each, Continuous) for each in problem.parameters)
    return MAXIMIN if described and not endless else SOBOL


def _key(point: Point) -> tuple[tuple[str, object], ...]:
    return tuple(sorted(point.items()))


def _sequence(encoding: Encoding, seed: int, strategy: Strategy | None) -> Iterator[Point]:
    kind, initial = (SOBOL, 1) if strategy is None else (strategy.design.kind, strategy.initial)
    kind = kind_for(encoding.problem, kind)
    if kind == MAXIMIN:
        yield from _maximin(encoding, seed)
        kind = SOBOL
    if kind == "d_optimal":
        yield from _optimal(encoding.problem, seed, initial)
        kind = SOBOL
    yield from _inside(encoding, seed, kind, initial)


def _inside(encoding: Encoding, seed: int, kind: str, initial: int) -> Iterator[Point]:
    """Points of a sequence that keep the constraints; where hardly any does, of a walk inside them."""
    if any(_thin(each) for each in encoding.problem.constraints):
        yield from _walk(encoding, seed)
    tried = kept = 0
    for block in shares(kind, encoding.dimensions, seed, initial):
        for point in encoding.spread_many(block):
            tried, kept = tried + 1, kept + (point is not None)
            if point is not None:
                yield point
        if tried >= _TRIED and kept < _SHARE * tried:
            yield from _walk(encoding, seed)


def _thin(rule: object) -> bool:
    """Does this rule leave a slice without volume?"""
    return isinstance(rule, Mixture) or (isinstance(rule, Linear) and rule.operator == "==")


def _walk(encoding: Encoding, seed: int) -> Iterator[Point]:
    """Hit-and-run inside the constraints, in blocks; in each the points come in an order that spreads."""
    walk = Walk(encoding.problem)
    blocks = shares(SOBOL, encoding.dimensions, seed, BLOCK)
    fruitless = 0
    for number, block in enumerate(blocks):
        lab = (
            drawn(encoding, walk, block, seed_for("walk", seed, number))
            if walk.names
            else encoding.spread_lab(block)
        )
        valid = _settled(encoding, lab)
        fruitless = 0 if valid else fruitless + 1
        if fruitless:
            raise LearningError("The constraints leave no point that can be run; please check their bounds.")
        rows = encoding.encode(valid)
        middle = ((rows - rows.mean(axis=0)) ** 2).sum(axis=1)
        for place in farthest(rows, int(np.argmin(middle))):
            yield valid[place]


def _settled(encoding: Encoding, lab: Array) -> list[Point]:
    """What keeps the constraints once its sums are made right; where that is hardly any, a solver moves the rest."""
    found = encoding.settle_many(lab, solve=False)
    missing = [place for place, point in enumerate(found) if point is None]
    enough = len(missing) - (len(lab) - _ENOUGH)
    if enough > 0:
        for place, point in zip(missing[:enough], encoding.settle_many(lab[missing[:enough]]), strict=True):
            found[place] = point
    return [point for point in found if point is not None]


def _fixed(encoding: Encoding, seed: int, strategy: Strategy) -> list[Point]:
    """A whole design. A point that breaks a constraint is moved to the nearest that does not, or, where one that was
    planned elsewhere is there already, gives way to one of a sequence that fills the space."""
    rows = fixed.rows(encoding, strategy.design, seed)
    settled, kept = encoding.settle_many(rows), {}
    planned: dict[object, bytes] = {}
    for place in np.argsort(
        ~encoding.table.holds(rows), kind="stable"
    ):  # what was not moved, before what was
        point, row = settled[place], rows[place].tobytes()
        if point is not None and planned.setdefault(_key(point), row) == row:
            kept[int(place)] = point
    if not kept:
        raise LearningError("The constraints leave no point that can be run; please check their bounds.")
    found = [kept[place] for place in sorted(kept)]
    missing = len(rows) - len(found)
    return found + (points(encoding, seed, 0, missing, found) if missing else [])


@lru_cache(maxsize=16)
def _optimal(problem: Problem, seed: int, count: int) -> tuple[Point, ...]:
    """Kept, since it is asked for again with every few points of it."""
    encoding = Encoding(problem)
    candidates = encoding.listed(_CANDIDATES)
    if candidates is None:
        half = _CANDIDATES // 2
        candidates = points(encoding, seed_for("inside", seed), 0, half) + _edges(encoding, half, seed)
    rows = encoding.encode(candidates)
    groups = [each for place, each in enumerate(encoding.slices) if place in encoding.axes]
    chosen = optimal.choose(rows, groups, count, seed_for("optimal", seed))
    return tuple(candidates[place] for place in chosen)


def _maximin(encoding: Encoding, seed: int) -> Iterator[Point]:
    """The first point, and which of equally far ones comes first, are by chance."""
    candidates = encoding.listed(_LISTED)
    if candidates is None:
        candidates = points(encoding, seed_for("inside", seed), 0, _LISTED // 2)
    order = np.random.default_rng(seed_for("maximin", seed)).permutation(len(candidates))
    rows = encoding.encode([candidates[place] for place in order])
    for place in farthest(rows):
        yield candidates[order[place]]


def _edges(encoding: Encoding, count: int, seed: int) -> list[Point]:
    """Points at the ends and in the middle of the ranges, moved to where the constraints hold."""
    generator = np.random.default_rng(seed_for("edges", seed))
    rows = generator.random((count, encoding.width))
    smooth = list(encoding.smooth)
    rows[:, smooth] = generator.choice([0.0, 0.5, 1.0], size=(count, len(smooth)), p=[0.4, 0.2, 0.4])
    found = encoding.decode_many(rows, repair=False)
    broken = [place for place, point in enumerate(found) if point is None]
    found += encoding.decode_many(rows[broken[:_REPAIRED]])
    return list({_key(point): point for point in found if point is not None}.values())
