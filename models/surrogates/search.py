"""Where a worth is greatest among points that can be staged."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from botorch.exceptions.errors import OptimizationGradientError
from botorch.generation.gen import gen_candidates_scipy
from scipy.optimize import minimize
from torch import Tensor

from . import design
from .acquisition.worth import CHUNK, Worth
from .encoding import Array, Encoding
from .seeds import seed_for
from .values import Point

_RAW = 512
_NEAR = 128  # raw points around the best rows
_STARTS = 8
#: A later search of the same ask looks again at the best points of the one before it, at some of the others (what was
#: best there may be taken by now), and climbs from fewer.
_AGAIN, _OTHERS, _FEWER = 64, 96, 4
_ITERATIONS = 200
#: A climb ends where a step no longer gains so much (of the worth, a logarithm): tighter ones end at the same points.
_ENOUGH = 1e-6
_ROUNDS = 3  # of single moves of parameters with few values
_ENUMERATED = 4096
_APART = 0.1


@dataclass
class Effort:
    """What a search cost. `left` gives the seconds left, or None where no deadline was set."""

    left: Callable[[], float | None]
    raw: int = 0
    starts: int = 0
    evaluations: int = 0
    cut: bool = field(default=False)

    def spent(self) -> bool:
        """Whether the deadline has passed; noted once it has."""
        return self._below(0.0)

    def part(self, share: float) -> Callable[[], bool]:
        """Says whether this share of the time that is left now has passed; noted once it has."""
        now = self.left()
        rest = 0.0 if now is None else max(0.0, (1 - share) * now)
        return lambda: self._below(rest)

    def _below(self, rest: float) -> bool:
        seconds = self.left()
        short = seconds is not None and seconds <= rest
        self.cut = self.cut or short
        return short


@dataclass(frozen=True)
class Ranking:
    """Points that can be staged, the most valuable first; `rows` of the cube and `values` of the worth are theirs."""

    points: Sequence[Point]
    rows: Array
    values: Array


def ranked(
    worth: Worth,
    encoding: Encoding,
    best: Sequence[Point],
    seed: int,
    effort: Effort,
    earlier: Ranking | None = None,
) -> Ranking:
    """`best`: the best rows so far, best first; `earlier`: what the search for the place before this one found."""
    before = worth.evaluations
    raw, known, found = _of_space(worth, encoding, best, seed, effort, earlier)
    points = [*found, *raw]
    rows = encoding.encode(points)
    values = np.concatenate([np.full(len(found), -np.inf), known])
    if found:
        again = max(len(found), CHUNK)  # with some of the others: see there
        fresh = _values(worth, rows[:again], effort)
        values[:again] = np.where(np.isfinite(fresh), fresh, values[:again])
    order = np.argsort(-values, kind="stable")
    effort.evaluations += worth.evaluations - before
    return Ranking([points[place] for place in order], rows[order], values[order])


def _of_space(
    worth: Worth,
    encoding: Encoding,
    best: Sequence[Point],
    seed: int,
    effort: Effort,
    earlier: Ranking | None,
) -> tuple[list[Point], Array, list[Point]]:
    """Points looked at, their values, and what was found from the best of them."""
    every = encoding.listed(_ENUMERATED)
    if every is not None:
        effort.raw += len(every)
        return every, _values(worth, encoding.encode(every), effort), []
    if earlier is not None and worth.local:
        others = earlier.points[_AGAIN:]
        raw = [*earlier.points[:_AGAIN], *others[:: max(1, len(others) // _OTHERS)]]
    else:
        raw = _raw(worth, encoding, best, seed)
    effort.raw += len(raw)
    rows = encoding.encode(raw)
    values = _values(worth, rows, effort)
    starts = _spread_out(raw, rows, values, _STARTS if earlier is None else _FEWER)
    effort.starts += len(starts)
    found: list[Point] = []
    if not effort.spent():
        found = _climb(worth, encoding, starts, effort)
    if not effort.spent():
        found = _swap(worth, encoding, found, effort) + found
    return raw, values, found


def _raw(worth: Worth, encoding: Encoding, best: Sequence[Point], seed: int) -> list[Point]:
    """Evenly over the space, and scattered around the best rows, ever closer."""
    found = design.points(encoding, seed_for("raw", seed), 0, _RAW)
    smooth = list(encoding.smooth)
    if not best or not smooth or not worth.local:
        return found
    generator = np.random.default_rng(seed_for("near", seed))
    centers = np.clip(encoding.encode(best), 0, 1)
    rows = centers[np.arange(_NEAR) % len(centers)]
    reach = 0.2 * 0.5 ** (6 * np.arange(_NEAR) / _NEAR)
    moved = generator.standard_normal((_NEAR, len(smooth))) * reach[:, None]
    # In every other point only some of the columns move: a best row may be right in all but one.
    few = generator.random((_NEAR, len(smooth))) < np.minimum(1.0, 2.0 / len(smooth))
    moved[1::2] *= few[1::2]
    rows[:, smooth] = np.clip(rows[:, smooth] + moved, 0, 1)
    return found + [point for point in encoding.decode_many(rows) if point is not None]


def _spread_out(raw: list[Point], rows: Array, values: Array, count: int) -> list[Point]:
    """The best raw points that are not close to a better one."""
    chosen: list[int] = []
    for place in np.argsort(-values, kind="stable"):
        if len(chosen) == count:
            break
        if all(float(np.abs(rows[place] - rows[other]).max()) > _APART for other in chosen):
            chosen.append(int(place))
    return [raw[place] for place in chosen]


def _climb(worth: Worth, encoding: Encoding, starts: list[Point], effort: Effort) -> list[Point]:
    """Each start moved uphill along its smooth columns, then rounded to a point that can be staged."""
    if not encoding.smooth or not starts or not worth.smooth:
        return starts
    rows = np.clip(encoding.encode(starts), 0, 1)
    if encoding.problem.constraints:
        tops = np.stack([_constrained(worth, encoding, row, effort) for row in rows])
    else:
        tops = rows.copy()
        columns = [encoding.smooth_at(row) for row in rows]
        for free in dict.fromkeys(columns):
            places = [place for place, each in enumerate(columns) if each == free]
            tops[places] = _free(worth, rows[places], free, effort)
    return [
        point if point is not None else start
        for point, start in zip(encoding.decode_many(tops), starts, strict=True)
    ]


def _free(worth: Worth, rows: Array, free: Sequence[int], effort: Effort) -> Array:
    """All rows at once, along the columns `free`, within the cube."""
    if not free:
        return rows

    def level(inputs: Tensor) -> Tensor:
        """The worth; flat once the deadline has passed, so that every climb ends where it is."""
        value = worth(inputs)
        return value.detach() + 0.0 * inputs.sum(dim=(-2, -1)) if effort.spent() else value

    tensor = worth.tensor(rows)[:, None, :]
    fixed = {column: tensor[:, 0, column] for column in range(rows.shape[1]) if column not in free}
    try:
        with warnings.catch_warnings(record=True):  # a climb that stops early still gives its highest point
            found, _ = gen_candidates_scipy(
                tensor,
                level,  # type: ignore[arg-type]  # any function of inputs will do
                lower_bounds=torch.zeros(rows.shape[1]).to(tensor),
                upper_bounds=torch.ones(rows.shape[1]).to(tensor),
                options={"maxiter": _ITERATIONS, "ftol": _ENOUGH, "factr": None},
                fixed_features=fixed or None,
            )
    except OptimizationGradientError:  # a slope that is no number leads nowhere
        return rows
    tops = np.asarray(found.detach().squeeze(1).cpu().numpy(), dtype=np.float64)
    return np.where(np.isfinite(tops), tops, rows)


def _constrained(worth: Worth, encoding: Encoding, start: Array, effort: Effort) -> Array:
    """One start, by SLSQP: the constraints are those of the lab units and may be curved in the cube."""
    smooth = list(encoding.smooth_at(start))
    if effort.spent() or not smooth:
        return start

    def whole(part: Array) -> Array:
        row = start.copy()
        row[smooth] = part
        return row

    def fall(part: Array) -> tuple[float, Array]:
        """Flat once the deadline has passed, so that the climb ends where it is."""
        tensor = worth.tensor(whole(part)).requires_grad_(True)
        value = worth(tensor[None, None, :]).sum()
        if effort.spent():
            return -float(value.detach()), np.zeros(len(smooth))
        (slope,) = torch.autograd.grad(value, tensor)
        return -float(value.detach()), -slope.cpu().numpy()[smooth]

    kinds = [kind for kind, _ in encoding.constraints(start)]
    rules = [
        {
            "type": kind,
            "fun": lambda part, n=number: encoding.constraints(whole(part))[n][1][0],
            "jac": lambda part, n=number: encoding.constraints(whole(part))[n][1][1:][smooth],
        }
        for number, kind in enumerate(kinds)
    ]
    answer = minimize(
        fall,
        start[smooth],
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(smooth),
        constraints=rules,
        options={"maxiter": _ITERATIONS},
    )
    good = bool(np.isfinite(answer.x).all()) and -float(answer.fun) >= -fall(start[smooth])[0]
    return whole(np.clip(answer.x, 0, 1)) if good else start


def _swap(worth: Worth, encoding: Encoding, tops: list[Point], effort: Effort) -> list[Point]:
    """The best point after single moves of parameters that have few values, and a climb after each."""
    if not tops:
        return []
    point = tops[int(np.argmax(_values(worth, encoding.encode(tops), effort)))]
    for _ in range(_ROUNDS):
        near = list(encoding.neighbours(point))
        if not near or effort.spent():
            break
        values = _values(worth, encoding.encode([point, *near]), effort)
        place = int(np.argmax(values))
        if place == 0:
            break
        point = _climb(worth, encoding, [near[place - 1]], effort)[0]
    return [point]


def _values(worth: Worth, rows: Array, effort: Effort) -> Array:
    """-inf where the deadline left no time. Looked at in an order that is even over the rows, so that what is valued by
    then is of everywhere."""
    steps = max(1, len(rows) // CHUNK)
    order = np.concatenate([np.arange(first, len(rows), steps) for first in range(steps)])
    values = np.empty(len(rows))
    values[order] = worth.of(worth.tensor(rows[order]), effort.spent).numpy()
    return values
