"""Which points are the same experiment as one that was run, is in flight or is about to be.

Points are compared as they were planned: an instrument that reports 1.004 for a planned 1 has run 1. A context is
measured, not chosen, and so makes no other experiment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labqueue.problem import ROW, Context

from .data import Space
from .encoding import Array, Encoding
from .values import Point

#: Two points that are closer than this in every continuous column of the cube, and equal in the others, are the same.
#: A column of so many values in order that neighbours are closer counts as continuous.
NEAR = 1e-3
_SAME = 1e-9


class Taken:
    """Points that are not to be chosen again."""

    def __init__(self, space: Space, points: Sequence[Point]) -> None:
        self.points = tuple(points)
        self._space = space
        self._ids: frozenset[object] = frozenset()
        self._rows: Array = np.zeros((0, space.width))
        if isinstance(space, Encoding):
            self._rows = space.encode(self.points)
            self._reach = np.full(space.width, _SAME)
            parameters = space.problem.parameters
            for parameter, columns, where in zip(parameters, space.columns, space.slices, strict=True):
                if isinstance(parameter, Context):
                    self._reach[where] = np.inf
                elif columns.ordered and (columns.count is None or (columns.count - 1) * NEAR > 1):
                    self._reach[where] = NEAR
        else:
            self._ids = frozenset(each[ROW] for each in self.points)

    def beside(self, points: Sequence[Point]) -> Taken:
        """With further points."""
        if not points:
            return self
        more = Taken(self._space, points)
        more.points = self.points + more.points
        more._ids |= self._ids
        more._rows = np.concatenate([self._rows, more._rows])
        return more

    def has(self, point: Point, row: Array) -> bool:
        """`row`: the point's, in the cube."""
        if not isinstance(self._space, Encoding):
            return point[ROW] in self._ids
        if not len(self._rows):
            return False
        return bool((np.abs(self._rows - row) <= self._reach).all(axis=1).any())
