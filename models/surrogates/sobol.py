"""Scrambled Sobol points, and normal variables made of them: the same for the same seed, on any machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

#: The sequence has no more dimensions than about so many.
_LIMIT = 20_000
#: Within this of 0 and 1 a normal variable would be infinite.
_EDGE = 1e-6


def blocks(dimensions: int, seed: int, size: int) -> Iterator[Tensor]:
    """The sequence without end, (size, dimensions) in [0, 1) of float64 at a time."""
    engine: Any = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
    while True:
        yield engine.draw(size, dtype=torch.double)


def uniform(count: int, dimensions: int, seed: int) -> Tensor:
    """The first points of the sequence, (count, dimensions) in [0, 1)."""
    return next(blocks(dimensions, seed, count))


def normal(count: int, dimensions: int, seed: int) -> Tensor:
    """(count, dimensions) standard normal; by chance where the sequence has not so many dimensions."""
    if dimensions > _LIMIT:
        return torch.randn(
            count, dimensions, dtype=torch.double, generator=torch.Generator().manual_seed(seed)
        )
    above: Tensor = torch.special.ndtri(uniform(count, dimensions, seed).clamp(_EDGE, 1 - _EDGE))
    return above
