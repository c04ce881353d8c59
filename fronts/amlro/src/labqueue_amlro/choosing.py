"""Which candidates are best by their predictions: the largest value, or the front that no other one beats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def ranked(predicted: Any, directions: Sequence[str], count: int) -> list[int]:
    """The places of the best `count` rows of predictions (rows, objectives), the best first; fewer where there are
    no more. Several objectives: front by front, each by the sum of its objectives, scaled to what was predicted."""
    values = np.asarray(predicted, dtype=float).reshape(len(predicted), -1)
    values = values * np.array([1.0 if each == "max" else -1.0 for each in directions])
    low = values.min(axis=0, initial=np.inf)
    span = values.max(axis=0, initial=-np.inf) - low
    scores = ((values - low) / np.where(span > 0, span, 1.0)).sum(axis=1)
    order = np.argsort(-scores, kind="stable")
    if values.shape[1] == 1:
        return [int(each) for each in order[:count]]
    chosen: list[int] = []
    while len(chosen) < count and len(order):
        front = on_front(values[order])
        chosen += [int(each) for each in order[front]]
        order = order[~front]
    return chosen[:count]


def on_front(values: Any) -> Any:
    """A mask of the rows that no other row beats, larger being better; equal rows are on it together."""
    points, back = np.unique(np.asarray(values, dtype=float), axis=0, return_inverse=True)
    # By falling sums a row can only be beaten by one before it: each survivor strikes out what it beats.
    left = np.argsort(-points.sum(axis=1), kind="stable")
    front = np.zeros(len(points), dtype=bool)
    while len(left):
        best = points[left[0]]
        front[left[0]] = True
        left = left[1:][(points[left[1:]] > best).any(axis=1)]
    return front[np.ravel(back)]
