"""A random forest (scikit-learn's), kept as plain arrays. Its trees' disagreement is its uncertainty.

It has no gradients, follows steps and interactions of categories well, and needs no scaling. Each tree leaves a quarter
of the rows out, so that every row is foretold by trees that never saw it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from torch import Tensor

from models.surrogates.blend import Spread
from models.surrogates.data import Data, tensor
from models.surrogates.encoding import Array
from models.surrogates.packing import pack, unpack
from models.surrogates.values import LearningError
from models.surrogates.warps import Warp, candidates

from .folds import PARTS, by_strangers, parts, unseen
from .kind import Fit, Foretold, Labels, Part

_TREES = 100
#: Leaves of one tree, fewer with many classes: bounds the size of what is kept.
_LEAVES = 600
_LEAST_NOISE = 1e-4


@dataclass(frozen=True)
class Trees:
    """Nodes of all trees, (trees, nodes) each, padded with leaves: children (of a leaf: itself), the column that is
    compared with a threshold, and values (trees, nodes, outputs): standardised numbers, or shares of the classes."""

    left: Array
    right: Array
    column: Array
    threshold: Array
    values: Array
    depth: int
    classes: int
    warp: Warp | None
    noise: float

    def to_json(self) -> dict[str, Any]:
        return {
            "left": pack(self.left, "<i4"),
            "right": pack(self.right, "<i4"),
            "column": pack(self.column, "<i4"),
            "threshold": pack(self.threshold),
            "values": pack(self.values),
            "depth": self.depth,
            "warp": None if self.warp is None else self.warp.to_json(),
            "noise": self.noise,
        }

    def describe(self) -> dict[str, Any]:
        return {"trees": _TREES, "warp": "classes" if self.warp is None else self.warp.kind}

    def part(self, data: Data, device: str) -> Part | Labels:
        grown = _Grown(self, device)
        if self.warp is None:
            return Ballots(grown)
        return Part(Spread(lambda inputs: grown(inputs).squeeze(-1), self.noise), self.warp, smooth=False)

    def foretell(self, data: Data, seed: int, device: str) -> Foretold | Array:
        mean, spread = _strangers(self, data, device)
        if self.warp is None:
            return mean
        return Foretold.of(data, self.warp, mean[:, 0], spread + self.noise)


class _Grown:
    """The trees as tensors: rows (..., columns) -> (trees, ..., outputs)."""

    def __init__(self, trees: Trees, device: str) -> None:
        self._left, self._right, self._column = (
            torch.as_tensor(each, dtype=torch.long, device=device)
            for each in (trees.left, trees.right, trees.column)
        )
        self._threshold = tensor(trees.threshold, device)
        self._values = tensor(trees.values, device)
        self._depth = trees.depth

    def __call__(self, inputs: Tensor) -> Tensor:
        rows = inputs.detach().reshape(-1, inputs.shape[-1])
        node = torch.zeros((len(self._column), len(rows)), dtype=torch.long, device=rows.device)
        places = torch.arange(len(rows), device=rows.device).expand_as(node)
        for _ in range(self._depth):
            own = rows[places, self._column.gather(1, node)]
            down = own <= self._threshold.gather(1, node)
            node = torch.where(down, self._left.gather(1, node), self._right.gather(1, node))
        trees = torch.arange(len(node), device=rows.device)[:, None]
        return self._values[trees, node].reshape(len(node), *inputs.shape[:-1], -1)


@dataclass(frozen=True)
class Ballots:
    grown: _Grown
    smooth: bool = False

    def draws(self, inputs: Tensor) -> Tensor:
        return self.grown(inputs)


def fit(data: Data, warm: Fit | None, seed: int, device: str) -> Trees:
    warp = None if data.classes else candidates(data.values)[0]
    grown = _grow(data, warp, seed)
    if warp is None:
        return grown
    mean, spread = _strangers(grown, data, device)
    error = float(np.mean((warp.forward(data.values) - mean[:, 0]) ** 2 - spread))
    return replace(grown, noise=max(error, _LEAST_NOISE))


def read(body: Mapping[str, Any], width: int, classes: int) -> Trees:
    left = unpack(body["left"], (_TREES, None), "<i4")
    nodes = left.shape[1]
    right, column = (unpack(body[name], (_TREES, nodes), "<i4") for name in ("right", "column"))
    trees = Trees(
        left,
        right,
        column,
        unpack(body["threshold"], (_TREES, nodes)),
        unpack(body["values"], (_TREES, nodes, classes or 1)),
        int(body["depth"]),
        classes,
        None if classes else Warp.from_json(body["warp"]),
        float(body["noise"]),
    )
    inside = all(
        nodes > 0 and each.min() >= 0 and each.max() < limit
        for each, limit in ((left, nodes), (right, nodes), (column, width))
    )
    if not inside or not 0 <= trees.depth <= nodes or not math.isfinite(trees.noise) or trees.noise < 0:
        raise LearningError("The model state holds numbers that no fit gives.")
    return trees


def _grow(data: Data, warp: Warp | None, seed: int) -> Trees:
    """Tree number k leaves out part k, modulo the number of parts."""
    part, own = parts(data.inputs), []
    for each in range(PARTS):
        kept = part != each
        own.append(_trees(data.take(kept) if kept.any() else data, warp, seed + each))
    trees = [tree for group in zip(*own, strict=True) for tree in group]
    nodes = max(each.node_count for each, _ in trees)
    left = np.tile(np.arange(nodes), (_TREES, 1))
    right, column, threshold = left.copy(), np.zeros_like(left), np.zeros(left.shape)
    values = np.zeros((*left.shape, data.classes or 1))
    for place, (tree, labels) in enumerate(trees):
        inner = np.flatnonzero(tree.children_left >= 0)
        left[place, inner], right[place, inner] = tree.children_left[inner], tree.children_right[inner]
        column[place, inner], threshold[place, inner] = tree.feature[inner], tree.threshold[inner]
        found = tree.value[:, 0, :]
        if warp is None:
            found = found / found.sum(axis=1, keepdims=True)
        values[place, : tree.node_count][:, labels] = found
    depth = max(each.max_depth for each, _ in trees)
    return Trees(left, right, column, threshold, values, depth, data.classes, warp, _LEAST_NOISE)


def _trees(data: Data, warp: Warp | None, seed: int) -> list[tuple[Any, Array]]:
    """Trees grown on these rows, each with the labels that its leaves' shares stand for."""
    options = {
        "n_estimators": _TREES // PARTS,
        "max_leaf_nodes": min(max(_LEAVES // max(data.classes // 4, 1), 2), max(2, len(data))),
        "bootstrap": True,
        "random_state": seed % 2**32,
        "n_jobs": 1,
    }
    inputs = data.inputs.astype(np.float32)
    if warp is None:
        labels, codes = np.unique(data.values.astype(int), return_inverse=True)
        model = ExtraTreesClassifier(**options).fit(inputs, codes)
    else:
        labels = np.array([0])
        model = ExtraTreesRegressor(**options).fit(inputs, warp.forward(data.values))
    return [(each.tree_, labels) for each in model.estimators_]


def _strangers(grown: Trees, data: Data, device: str) -> tuple[Array, Array]:
    """Each row as the trees that left it out see it, (rows, outputs); and the variance over all trees."""
    values = _Grown(grown, device)(tensor(data.inputs, device)).cpu().numpy()
    return by_strangers(values, unseen(_TREES, data.inputs)), values[..., 0].var(axis=0)
