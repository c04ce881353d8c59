"""Designs with a structure of their own: factorial, central composite, Box-Behnken, Plackett-Burman, and subsets.

Coded from -1 to 1, in standard order, taken to the values that the variables have. Whether they keep constraints is
asked afterwards.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from services.fronts.alchemist.refusals import VALUE, Refusal

from . import hadamard
from .factors import Factor, Point

FULL, FRACTION, COMPOSITE, BOX, SCREEN, SUBSET = (
    "full_factorial",
    "fractional_factorial",
    "ccd",
    "box_behnken",
    "plackett_burman",
    "gsd",
)
#: A design larger than this is no design any more.
LIMIT = 10_000
#: By number of variables: which products of the first few the others are. Resolution III, as few runs as there can be.
GENERATORS = {
    3: "a b ab",
    4: "a b c abc",
    5: "a b c ab ac",
    6: "a b c ab ac bc",
    7: "a b c ab ac bc abc",
}
_WORD = re.compile(r"[+-]?[A-Za-z]+")

Codes = tuple[float, ...]


@dataclass(frozen=True)
class Spec:
    """levels     of each number in full factorials and subsets
    center     how many centre points are added (to each of the two blocks of a central composite)
    reduction  the part of the full factorial that a subset takes
    criterion  by which a Latin hypercube is chosen among many
    """

    method: str
    levels: int = 2
    center: int = 1
    generators: str | None = None
    alpha: str = "orthogonal"
    face: str = "circumscribed"
    reduction: int = 2
    criterion: str = "maximin"


@dataclass(frozen=True)
class Made:
    """`info`: how many runs of which kind, in ALchemist's words."""

    points: list[Point]
    info: dict[str, Any]


def make(factors: Sequence[Factor], spec: Spec) -> Made:
    """Raises Refusal (400) where these variables have no such design."""
    if spec.method in (FULL, SUBSET):
        return _crossed(factors, spec)
    categories = [each.name for each in factors if each.categorical]
    if categories:
        raise Refusal(
            f"{spec.method} does not support categorical variables. Found categorical: {categories}. Use "
            "full_factorial or gsd.",
            VALUE,
        )
    least = 3 if spec.method == BOX else 2
    if len(factors) < least:
        raise Refusal(
            f"{spec.method} requires at least {least} variables with a range, got {len(factors)}.", VALUE
        )
    makers: dict[str, Callable[[int, Spec], tuple[list[Codes], dict[str, Any]]]] = {
        FRACTION: _fraction,
        COMPOSITE: _composite,
        BOX: _box,
        SCREEN: _screen,
    }
    codes, info = makers[spec.method](len(factors), spec)
    middle = {each.name: each.middle for each in factors}
    points = [
        {each.name: each.at(code) for each, code in zip(factors, row, strict=True)}
        if any(row)
        else dict(middle)
        for row in codes
    ]
    return Made(points, info)


def _crossed(factors: Sequence[Factor], spec: Spec) -> Made:
    levels = [each.levels(spec.levels) for each in factors]
    counts, whole = [len(each) for each in levels], math.prod(map(len, levels))
    _small(whole)
    places = list(itertools.product(*(range(each) for each in reversed(counts))))
    first_fastest = [each[::-1] for each in places]
    if spec.method == SUBSET:
        kept = _subset(first_fastest, counts, spec.reduction)
        info = {"full_factorial_runs": whole, "gsd_runs": len(kept), "total_runs": len(kept)}
        more = {"reduction": spec.reduction, "levels_per_factor": counts}
        return Made(_taken(factors, levels, kept), {**info, **more})
    points = _taken(factors, levels, first_fastest)
    points += [{each.name: each.middle for each in factors} for _ in range(spec.center)]
    info = {"factorial_runs": whole, "center_runs": spec.center, "total_runs": whole + spec.center}
    return Made(points, {**info, "levels_per_factor": counts})


def _taken(
    factors: Sequence[Factor], levels: Sequence[Sequence[Any]], places: Sequence[Sequence[int]]
) -> list[Point]:
    return [
        {
            each.name: levels[number][place]
            for number, (each, place) in enumerate(zip(factors, row, strict=True))
        }
        for row in places
    ]


def _subset(rows: Sequence[tuple[int, ...]], counts: Sequence[int], reduction: int) -> list[tuple[int, ...]]:
    """Those in which the last variable's level is the sum of the others', by remainder: each pair of variables stays
    balanced as far as their levels go (after Surowiec et al., Anal. Chem. 89 (2017) 6491)."""
    if len(counts) < 2:
        raise Refusal("gsd requires at least 2 variables.", VALUE)
    if reduction > 2 * max(counts) - 1:
        raise Refusal(
            f"gsd_reduction {reduction} is too large for variables of {list(counts)} levels.", VALUE
        )
    return [each for each in rows if (sum(each[:-1]) - each[-1]) % reduction == 0]


def _fraction(count: int, spec: Spec) -> tuple[list[Codes], dict[str, Any]]:
    text = spec.generators or GENERATORS.get(count)
    if text is None:
        _small(2**count)
        rows = _corners(count)
    else:
        rows = _generated(text, count)
    info = {"factorial_runs": len(rows), "center_runs": spec.center, "total_runs": len(rows) + spec.center}
    return rows + [(0.0,) * count] * spec.center, {**info, "generators": text}


def _generated(text: str, count: int) -> list[Codes]:
    words = text.split()
    if len(words) != count:
        raise Refusal(
            f"generators names {len(words)} variables, and {count} are to be varied: write a word for each, such as "
            f"'{GENERATORS.get(count, 'a b ab')}'.",
            VALUE,
        )
    wrong = [each for each in words if not _WORD.fullmatch(each)]
    letters = sorted({each.lower().lstrip("+-") for each in words if len(each.lstrip("+-")) == 1})
    used = {letter for each in words for letter in each.lower().lstrip("+-")}
    if wrong or used - set(letters):
        raise Refusal(
            f"generators {text[:200]!r} cannot be read: single letters are varied freely, and the other words are "
            "products of these.",
            VALUE,
        )
    bare = ["".join(sorted(each.lower().lstrip("+-"))) for each in words]
    if len(set(bare)) < len(bare):
        raise Refusal(f"generators {text[:200]!r} are not unique: two variables would be the same.", VALUE)
    _small(2 ** len(letters))
    rows = []
    for corner in _corners(len(letters)):
        known = dict(zip(letters, corner, strict=True))
        rows.append(
            tuple(
                math.prod(
                    (known[each] for each in word.lower().lstrip("+-")), start=-1.0 if word[0] == "-" else 1.0
                )
                for word in words
            )
        )
    return rows


def _composite(count: int, spec: Spec) -> tuple[list[Codes], dict[str, Any]]:
    """Within the ranges whatever its kind: where the star would lie outside, its ends are the ends of the ranges and
    the corners move in. Orthogonal blocking after Box and Hunter (Ann. Math. Statist. 28 (1957) 195)."""
    _small(2**count)
    corners = 2**count
    if spec.face == "faced":
        alpha = 1.0
    elif spec.alpha == "rotatable":
        alpha = corners**0.25
    else:
        star = 1 + spec.center / (2 * count)
        alpha = math.sqrt(count * star / (1 + spec.center / corners))
    ends = [
        tuple(sign if place == number else 0.0 for place in range(count))
        for number in range(count)
        for sign in (-1.0, 1.0)
    ]
    middle: list[Codes] = [(0.0,) * count] * spec.center
    inner = [tuple(each / max(alpha, 1.0) for each in row) for row in _corners(count)]
    info = {"factorial_runs": corners, "axial_runs": 2 * count, "center_runs": 2 * spec.center}
    total = corners + 2 * count + 2 * spec.center
    return [*inner, *middle, *ends, *middle], {
        **info,
        "total_runs": total,
        "alpha": spec.alpha,
        "face": spec.face,
    }


def _box(count: int, spec: Spec) -> tuple[list[Codes], dict[str, Any]]:
    """Box and Behnken, Technometrics 2 (1960) 455: each pair of variables at its corners, the others in the middle."""
    edges = [
        tuple(dict(zip(pair, signs, strict=True)).get(place, 0.0) for place in range(count))
        for pair in itertools.combinations(range(count), 2)
        for signs in _corners(2)
    ]
    _small(len(edges))
    info = {"edge_runs": len(edges), "center_runs": spec.center, "total_runs": len(edges) + spec.center}
    return edges + [(0.0,) * count] * spec.center, info


def _screen(count: int, spec: Spec) -> tuple[list[Codes], dict[str, Any]]:
    """Plackett and Burman, Biometrika 33 (1946) 305."""
    rows = [
        tuple(map(float, row[1 : count + 1]))
        for row in hadamard.hadamard(hadamard.order(4 * (count // 4 + 1)))
    ]
    info = {"screening_runs": len(rows), "center_runs": spec.center, "total_runs": len(rows) + spec.center}
    return rows + [(0.0,) * count] * spec.center, info


def _corners(count: int) -> list[Codes]:
    return list(itertools.product((-1.0, 1.0), repeat=count))


def _small(runs: int) -> None:
    if runs > LIMIT:
        raise Refusal(f"This design has {runs:,} runs; at most {LIMIT:,} are made.", VALUE)
