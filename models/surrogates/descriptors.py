"""A table of descriptors as few columns: what tells the categories apart, without what is said twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from labqueue.problem import Categorical

Array = NDArray[np.float64]

#: Two descriptors that are correlated as closely as this say the same.
_SAME = 0.999
#: Principal components are kept until they explain this share of the variance.
_EXPLAINED = 0.95


def reduce(parameter: Categorical) -> Array:
    """(categories, columns) in [0, 1], the columns in order of what they explain, no two rows the same: categories
    with equal descriptors are told apart by further columns, for they are still different. No column where no
    descriptor tells any of them apart.

    Constant descriptors and those correlated with an earlier one are dropped, the rest standardised and turned
    into principal components, of which as many are kept as explain 95 % of the variance (at most one fewer than
    there are categories). All are scaled by the same number, so that the first spans [0, 1] and the others as much less
    as they explain less: a component of little weight would be mostly chance, were it stretched.
    """
    table = np.array([list(parameter.descriptors[each].values()) for each in parameter.categories])
    with np.errstate(all="ignore"):
        spread = np.nan_to_num(table.std(axis=0))
        told = spread > 1e-12 * np.maximum(1.0, np.abs(table).max(axis=0, initial=0.0))
    table = (table[:, told] - table[:, told].mean(axis=0)) / spread[told]
    table = table[:, _different(table)]
    if not table.size:
        return np.zeros((len(parameter.categories), 0))
    left, sizes, _ = np.linalg.svd(table, full_matrices=False)
    share = np.cumsum(sizes**2) / (sizes**2).sum()
    count = int(np.searchsorted(share, _EXPLAINED - 1e-12)) + 1
    count = min(count, len(parameter.categories) - 1)
    parts = left[:, :count] * sizes[:count]
    # The sign of a component is arbitrary: its largest entry is positive, on every machine.
    parts = parts * np.sign(parts[np.abs(parts).argmax(axis=0), np.arange(parts.shape[1])])
    low, high = parts.min(axis=0), parts.max(axis=0)
    return _apart(np.asarray(0.5 + (parts - (low + high) / 2) / (high - low).max(), dtype=np.float64))


def _apart(points: Array) -> Array:
    """The same with a column for the second, third, ... of each set of equal rows."""
    seen: dict[tuple[float, ...], int] = {}
    place = []
    for row in points:
        key = tuple(np.round(row, 9).tolist())
        place.append(seen.get(key, 0))
        seen[key] = place[-1] + 1
    further = [[float(each == column) for each in place] for column in range(1, max(place) + 1)]
    return np.column_stack([points, *further]) if further else points


def _different(table: Array) -> list[int]:
    """The first of each set of columns that are correlated closely."""
    kept: list[int] = []
    like = np.abs(table.T @ table) / max(len(table), 1)
    for column in range(table.shape[1]):
        if not kept or like[column, kept].max() < _SAME:
            kept.append(column)
    return kept
