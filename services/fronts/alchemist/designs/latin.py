"""Latin hypercubes: of each variable one value in each of so many equal parts; the best of many by a criterion.

McKay, Beckman, Conover, Technometrics 21 (1979) 239; maximin: Johnson, Moore, Ylvisaker, J. Stat. Plan. Inference 26
(1990) 131.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from .factors import Factor, Point

Array = NDArray[np.float64]

#: So many are drawn, and fewer where their distances take long.
_MOST, _LEAST, _DISTANCES = 1000, 20, 20_000_000


def points(factors: Sequence[Factor], count: int, each: int, criterion: str, seed: int) -> list[Point] | None:
    """`count` points, as hypercubes of `each` one after the other; None where points would be the same, as of a few
    categories."""
    luck = np.random.default_rng(seed)
    found: list[Point] = []
    while len(found) < count:
        cube = best(luck, min(each, count - len(found)), len(factors), criterion)
        found += [
            {one.name: one.share(float(share)) for one, share in zip(factors, row, strict=True)}
            for row in cube
        ]
    return found if len({tuple(point.values()) for point in found}) == len(found) else None


def best(luck: np.random.Generator, size: int, width: int, criterion: str) -> Array:
    """(size, width), each column with one number in each part of [0, 1)."""
    if size == 1:
        return drawn(luck, size, width)
    tries = max(_LEAST, min(_MOST, _DISTANCES // (size * size * width)))
    score = SCORES[criterion]
    return min((drawn(luck, size, width) for _ in range(tries)), key=score)


def drawn(luck: np.random.Generator, size: int, width: int) -> Array:
    places = np.column_stack([luck.permutation(size) for _ in range(width)])
    return np.asarray((places + luck.random((size, width))) / size)


def _nearest(cube: Array) -> float:
    return -float(pdist(cube).min())


def _correlation(cube: Array) -> float:
    """The largest between two columns; of one column there is none, and nothing to choose by."""
    if cube.shape[1] == 1:
        return 0.0
    found = np.atleast_2d(np.corrcoef(cube, rowvar=False))
    return float(np.abs(found[np.triu_indices_from(found, 1)]).max())


def _ratio(cube: Array) -> float:
    apart = pdist(cube)
    return float(apart.max() / max(apart.min(), 1e-12))


#: The smaller, the better: the nearest two points far apart; columns that do not follow each other; the farthest two not
#: much farther than the nearest two.
SCORES: Mapping[str, Callable[[Array], float]] = {
    "maximin": _nearest,
    "correlation": _correlation,
    "ratio": _ratio,
}
