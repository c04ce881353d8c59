"""Which measured rows a suggestion could equal: what was run elsewhere, or before bounds were narrowed, may lie outside.

Such a row teaches the model as any other; but a best value that nothing within the bounds comes near must not be what
suggestions have to improve on, or nothing would be worth more than anything else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labqueue.problem import Context
from models.space.table import Mask

from .columns import Places
from .data import Space
from .encoding import Encoding
from .values import Point

#: Numbers as they are written are not exact: this far out of bounds, as a share of a range, counts as inside.
_EXACT = 1e-9
#: Amounts that were rounded break a sum, and what was run elsewhere was planned without it: this near to a point that keeps
#: the constraints, as a share of each range, counts as one.
_NEAR = 0.05


def attainable(space: Space, points: Sequence[Point]) -> Mask:
    """(points, as they were planned): inside bounds, and constraints or nearly; of categories that can be run now. Steps
    do not matter."""
    if not isinstance(space, Encoding):
        return np.ones(len(points), dtype=np.bool_)
    rows, lab = space.encode(points), space.table.read(points)
    good = np.ones(len(points), dtype=np.bool_)
    for place, (parameter, column, where) in enumerate(
        zip(space.problem.parameters, space.columns, space.slices, strict=True)
    ):
        if isinstance(parameter, Context):
            continue
        if isinstance(column, Places):
            good &= np.isnan(lab[:, place]) | np.isin(lab[:, place], column.allowed)
        else:
            good &= ((rows[:, where] >= -_EXACT) & (rows[:, where] <= 1 + _EXACT)).all(axis=1)
    broken = np.flatnonzero(good & ~space.table.holds(lab))
    for row, point in zip(broken, space.decode_many(rows[broken]), strict=True):
        good[row] = point is not None and bool((np.abs(space.encode([point]) - rows[row]) <= _NEAR).all())
    return good
