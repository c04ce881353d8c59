"""Where the acquisition is greatest among points that can be staged."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from botorch.generation.gen import gen_candidates_scipy
from scipy.optimize import minimize
from torch import Tensor

from . import design
from .acquisition import Worth
from .encoding import Array, Encoding
from .seeds import seed_for
from .values import Point

_RAW = 512
_NEAR = 64  # raw points around the best rows
_STARTS = 8
_ITERATIONS = 200
_ROUNDS = 3  # of single moves of parameters with few values
_ENUMERATED = 4096
_CHUNK = 512


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
        seconds = self.left()
        self.cut = self.cut or (seconds is not None and seconds <= 0)
        return self.cut


def ranked(worth: Worth, encoding: Encoding, best: Sequence[Point], seed: int, effort: Effort) -> list[Point]:
    """Points that can be staged, the most valuable first. `best`: the best rows so far, best first."""
    before = worth.evaluations
    if encoding.size is not None and encoding.size <= _ENUMERATED:
        found = list(encoding.every())
        effort.raw += len(found)
    else:
        raw = _raw(encoding, best, seed)
        effort.raw += len(raw)
        found = raw
        starts = _spread_out(raw, encoding, _values(worth, encoding.encode(raw)))
        effort.starts += len(starts)
        if not effort.spent():
            found = _climb(worth, encoding, starts, effort) + raw
        if not effort.spent():
            found = _swap(worth, encoding, found[: len(starts)], effort) + found
    values = _values(worth, encoding.encode(found))
    effort.evaluations += worth.evaluations - before
    return [found[place] for place in np.argsort(-values, kind="stable")]


def _raw(encoding: Encoding, best: Sequence[Point], seed: int) -> list[Point]:
    """Evenly over the space, and scattered around the best rows, ever closer."""
    found = design.points(encoding, seed_for("raw", seed), 0, _RAW)
    if not best:
        return found
    generator = np.random.default_rng(seed_for("near", seed))
    centers = np.clip(encoding.encode(best), 0, 1)
    smooth = list(encoding.smooth)
    for number in range(_NEAR if smooth else 0):
        row = centers[number % len(centers)].copy()
        reach = 0.2 * 0.5 ** (4 * number / _NEAR)
        moved = row[smooth] + reach * generator.standard_normal(len(smooth))
        row[smooth] = np.clip(moved, 0, 1)
        point = encoding.decode(row)
        if point is not None:
            found.append(point)
    return found


def _spread_out(raw: list[Point], encoding: Encoding, values: Array) -> list[Point]:
    """The best raw points that are not close to a better one."""
    rows = encoding.encode(raw)
    chosen: list[int] = []
    for place in np.argsort(-values, kind="stable"):
        if len(chosen) == _STARTS:
            break
        if all(float(np.abs(rows[place] - rows[other]).max()) > 0.1 for other in chosen):
            chosen.append(int(place))
    return [raw[place] for place in chosen]


def _climb(worth: Worth, encoding: Encoding, starts: list[Point], effort: Effort) -> list[Point]:
    """Each start moved uphill along its smooth columns, then rounded to a point that can be staged."""
    if not encoding.smooth or not starts:
        return starts
    rows = np.clip(encoding.encode(starts), 0, 1)
    if encoding.problem.constraints:
        tops = np.stack([_constrained(worth, encoding, row, effort) for row in rows])
    else:
        tops = _free(worth, encoding, rows, effort)
    return [
        point if point is not None else start
        for row, start in zip(tops, starts, strict=True)
        for point in [encoding.decode(row)]
    ]


def _free(worth: Worth, encoding: Encoding, rows: Array, effort: Effort) -> Array:
    tensor = _tensor(worth, rows)[:, None, :]
    fixed = {
        column: tensor[:, 0, column] for column in range(encoding.width) if column not in encoding.smooth
    }
    with warnings.catch_warnings(record=True):  # a climb that stops early still gives its highest point
        found, _ = gen_candidates_scipy(
            tensor,
            worth,
            lower_bounds=torch.zeros(encoding.width).to(tensor),
            upper_bounds=torch.ones(encoding.width).to(tensor),
            options={"maxiter": _ITERATIONS},
            fixed_features=fixed or None,
            timeout_sec=effort.left(),
        )
    return np.asarray(found.detach().squeeze(1).cpu().numpy(), dtype=np.float64)


def _constrained(worth: Worth, encoding: Encoding, start: Array, effort: Effort) -> Array:
    """One start, by SLSQP: the constraints are linear in lab units and may be curved in the cube."""
    if effort.spent():
        return start
    smooth = list(encoding.smooth)

    def whole(part: Array) -> Array:
        row = start.copy()
        row[smooth] = part
        return row

    def fall(part: Array) -> tuple[float, Array]:
        tensor = _tensor(worth, whole(part)).requires_grad_(True)
        value = worth(tensor[None, None, :]).sum()
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
    point = tops[int(np.argmax(_values(worth, encoding.encode(tops))))]
    for _ in range(_ROUNDS):
        near = list(encoding.neighbours(point))
        if not near or effort.spent():
            break
        values = _values(worth, encoding.encode([point, *near]))
        place = int(np.argmax(values))
        if place == 0:
            break
        point = _climb(worth, encoding, [near[place - 1]], effort)[0]
    return [point]


def _values(worth: Worth, rows: Array) -> Array:
    if not len(rows):
        return np.zeros(0)
    with torch.no_grad():
        parts = [worth(part[:, None, :]) for part in torch.split(_tensor(worth, rows), _CHUNK)]
    values = torch.cat(parts).cpu().numpy()
    return np.where(np.isfinite(values), values, -np.inf)


def _tensor(worth: Worth, rows: Array) -> Tensor:
    device = next(iter(worth.model.parameters())).device
    return torch.as_tensor(rows, dtype=torch.double, device=device)
