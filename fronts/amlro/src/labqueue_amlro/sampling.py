"""Which conditions of the grid are the training set: drawn at random, by a Latin hypercube, by a Sobol sequence."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist
from scipy.stats import qmc
from sklearn.utils import resample

from .scope import Scope

KINDS = ("random", "lhs", "sobol")
#: Latin hypercubes of which the one with the largest smallest distance is taken, and their seed, as AMLRO has them.
TRIES, SEED = 1000, 42
#: Draws beyond which a grid that is nearly used up is completed in its own order instead.
DRAWS = 64


def sample(scope: Scope, kind: str, count: int) -> list[int]:
    """The places in the grid of `count` different conditions, in the order in which they are to be run.

    Where the grid is smaller, all of it, with a warning. Raises ValueError.
    """
    if kind not in KINDS:
        raise ValueError(f"sampling: {kind!r} is not one of {', '.join(KINDS)}.")
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
        raise ValueError(f"training_size: {count!r} must be a whole number from 1.")
    if count > scope.size:
        warnings.warn(
            f"training_size: {count} conditions are asked for, and the grid has {scope.size}: it is all of them.",
            stacklevel=3,
        )
    count = min(int(count), scope.size)
    if kind == "random":
        # As AMLRO draws: from numpy's global state, so that a program's np.random.seed holds.
        return [int(each) for each in resample(np.arange(scope.size), replace=False, n_samples=count)]
    units = _sobol(scope, count) if kind == "sobol" else _hypercube(scope, count)
    places = list(dict.fromkeys(_place(scope, row) for row in units))[:count]
    # Near points of a coarse grid fall together; the rest of a small grid comes in its own order.
    taken = set(places)
    left = (each for each in range(scope.size) if each not in taken)
    return places + [next(left) for _ in range(count - len(places))]


def _sobol(scope: Scope, count: int) -> Any:
    engine = qmc.Sobol(len(scope.features), scramble=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a count is no power of two is no news to anybody here
        return engine.random(count * DRAWS)


def _hypercube(scope: Scope, count: int) -> Any:
    """The best of many, and after it others, for where its points fall together."""
    rng = np.random.default_rng(SEED)
    shape = (count, len(scope.features))
    drawn = [(rng.permuted(np.tile(np.arange(count), (shape[1], 1)), axis=1).T + rng.random(shape)) / count
             for _ in range(TRIES)]  # fmt: skip
    if count > 1:
        drawn.sort(key=lambda each: -float(pdist(each).min()))
    return np.vstack(drawn[:DRAWS])


def _place(scope: Scope, unit: Any) -> int:
    """The place in the grid of the condition nearest to a point of the unit cube."""
    place = 0
    for axis, at in zip(scope.continuous, unit):
        wanted = axis.low + (axis.high - axis.low) * float(at)
        place = place * len(axis.exact) + int(np.argmin(np.abs(np.array(axis.exact) - wanted)))
    for choice, at in zip(scope.categorical, unit[len(scope.continuous) :]):
        place = place * len(choice.values) + min(int(at * len(choice.values)), len(choice.values) - 1)
    return place
