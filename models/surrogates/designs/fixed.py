"""Designs with a number of points of their own: factorial, central composite, Box-Behnken, Plackett-Burman.

Coded from -1 to 1 a parameter, then taken to its range, on its own scale. `models.domain.design_size` counts them
and `design_fit` says which suit a problem.
"""

from __future__ import annotations

import itertools

import numpy as np

from labqueue.strategy import Design
from models.space.counts import base_factors, factors, levels, plackett_burman_runs
from models.surrogates.columns import FEW
from models.surrogates.encoding import Array, Encoding
from models.surrogates.seeds import seed_for
from models.surrogates.values import LearningError


def rows(encoding: Encoding, design: Design, seed: int) -> Array:
    """The design's points as rows of lab values (`models.space.table`), constraints aside, in an order that the
    seed shuffles, so that what drifts while they are run looks like the effect of no parameter."""
    coded = np.concatenate([_coded(encoding, design), np.zeros((design.center, encoding.dimensions))])
    lab = encoding.spread_lab(np.zeros((len(coded), encoding.dimensions)))
    for number, place in enumerate(encoding.axes):
        lab[:, place] = _values(encoding, place, coded[:, number])
    return np.asarray(lab[np.random.default_rng(seed_for("order", seed)).permutation(len(lab))])


def _coded(encoding: Encoding, design: Design) -> Array:
    count = encoding.dimensions
    if design.kind == "full_factorial":
        counts = [levels(each, design.levels) for each in factors(encoding.problem)]
        ends = [np.linspace(-1.0, 1.0, each) if each > 1 else [0.0] for each in counts]
        return np.array(list(itertools.product(*ends)), dtype=np.float64)
    if design.kind == "fractional_factorial":
        return _fraction(count)
    import pyDOE3  # a second to import

    if design.kind == "plackett_burman":
        runs = plackett_burman_runs(count)
        return np.asarray(pyDOE3.pbdesign(runs - 1)[:, :count], dtype=np.float64)
    if design.kind == "box_behnken":
        return np.asarray(pyDOE3.bbdesign(count, center=0), dtype=np.float64)
    if design.kind == "central_composite":  # face-centred: nothing outside the ranges
        return np.asarray(pyDOE3.ccdesign(count, center=(0, 0), face="ccf"), dtype=np.float64)
    raise LearningError(f"There is no design called {design.kind}.")


def _values(encoding: Encoding, place: int, codes: Array) -> Array:
    """Lab values of one parameter from codes in [-1, 1]: along its scale, or along its list where that is short.

    A category between two others does not exist: centre points take each in turn.
    """
    each, shares = encoding.columns[place], (codes + 1) / 2
    if each.count is None or (each.ordered and each.count > FEW):
        return each.decode(shares[:, None])
    listed = each.listed()
    index = np.round(shares * (len(listed) - 1)).astype(int)
    if not each.ordered and len(listed) % 2 == 0:
        index = np.where(codes == 0, np.cumsum(codes == 0) % len(listed), index)
    return np.asarray(listed[index])


def _fraction(count: int) -> Array:
    """The smallest regular two-level fraction of resolution IV: products of odd order of the factors that are
    varied freely, of which no product of two equals a third."""
    base = base_factors(count)
    free = np.array(list(itertools.product([-1.0, 1.0], repeat=base)))
    words = [each for order in range(1, base + 1, 2) for each in itertools.combinations(range(base), order)]
    if base == count:
        words = [(each,) for each in range(base)]
    return np.stack([free[:, list(word)].prod(axis=1) for word in words[:count]], axis=1)
