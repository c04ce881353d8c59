"""Rows of numbers in [0, 1) that fill a space: the designs that have as many points as are wanted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.surrogates import sobol
from models.surrogates.encoding import Array
from models.surrogates.seeds import seed_for

BLOCK = 128


def shares(kind: str, dimensions: int, seed: int, initial: int) -> Iterator[Array]:
    """Endless blocks of rows, one number a dimension. `initial`: the rows of one Latin hypercube.

    Scrambled Sobol and Halton sequences go on where they were; a further Latin hypercube is another one.
    """
    if kind == "latin_hypercube":
        return _hypercubes(dimensions, seed, initial)
    if kind == "halton":
        return _halton(dimensions, seed)
    if kind == "random":
        generator = np.random.default_rng(seed)
        return (generator.random((BLOCK, dimensions)) for _ in iter(int, 1))
    return (block.numpy() for block in sobol.blocks(dimensions, seed, BLOCK))


def _halton(dimensions: int, seed: int) -> Iterator[Array]:
    from scipy.stats import qmc  # a second to import

    engine = qmc.Halton(dimensions, scramble=True, rng=seed)
    while True:
        yield np.asarray(engine.random(BLOCK), dtype=np.float64)


def _hypercubes(dimensions: int, seed: int, initial: int) -> Iterator[Array]:
    from scipy.stats import qmc

    block = 0
    while True:
        engine = qmc.LatinHypercube(dimensions, rng=seed_for("hypercube", seed, block))
        yield np.asarray(engine.random(initial), dtype=np.float64)
        block += 1
