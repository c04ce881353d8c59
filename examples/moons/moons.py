"""Two moons: points of two interleaved half circles, and pools of them for active learning."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch

SHARE_OF_ONES = 0.3
NOISE = 0.2


def two_moons(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (count, 2), and the moon that each lies on (count,): 0, or with a share of 30 % 1."""
    random = torch.Generator().manual_seed(seed)
    which = (torch.rand(count, generator=random) < SHARE_OF_ONES).float()
    angle = math.pi * torch.rand(count, generator=random)
    upper = torch.stack([angle.cos(), angle.sin()], dim=1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], dim=1)
    points = torch.where(which[:, None] == 1, lower, upper)
    return points + NOISE * torch.randn(count, 2, generator=random), which


class Pool:
    """A data pool in memory. Items are dicts: `index` and `x`, and `y` once a point is labelled."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self.items = items

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.items)

    def append(self, item: dict[str, Any]) -> None:
        self.items.append(item)


def pools(seed: int, count: int = 600, labelled: int = 20) -> tuple[Pool, Pool, Pool]:
    """For training (labelled), for validation (labelled), and without labels."""
    points, moons = two_moons(2 * count, seed)
    rows = [{"index": index, "x": points[index], "y": moons[index]} for index in range(2 * count)]
    bare = [{"index": row["index"], "x": row["x"]} for row in rows[labelled:count]]
    return Pool(rows[:labelled]), Pool(rows[count:]), Pool(bare)


def moon_of(item: dict[str, Any], seed: int, count: int = 600) -> torch.Tensor:
    """What an experiment would find out about this item."""
    return two_moons(2 * count, seed)[1][item["index"]]
