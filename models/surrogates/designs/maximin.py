"""Rows that are each as far as can be from those before them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.surrogates.encoding import Array


def farthest(rows: Array, first: int = 0) -> Iterator[int]:
    """An order of the rows in which each is the one farthest from all before it (Gonzalez 1985): greedily, what a maximin
    design goes for (Johnson, Moore and Ylvisaker 1990). Of equally far ones the first."""
    nearest, last = np.full(len(rows), np.inf), first
    for _ in rows:
        yield last
        nearest = np.minimum(nearest, ((rows - rows[last]) ** 2).sum(axis=1))
        nearest[last] = -1.0
        last = int(np.argmax(nearest))
