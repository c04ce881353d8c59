"""How a model foretells rows that it has not seen, row by row: what parity plots and learning curves are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labqueue.problem import Problem
from labqueue.strategy import MULTI_OUTPUT, Strategy

from . import fitting
from .data import datasets, related
from .fitting import Files
from .kinds.kind import Foretold
from .seeds import seed_for
from .state import load
from .values import LearningError, Observation


@dataclass(frozen=True)
class HeldOut:
    """Values of one output in lab units, and what was foretold of each without it: mean and standard deviation of a
    measurement, the latter to first order where the model sees the output through a map. `rows`: how many."""

    rows: int
    observed: tuple[float, ...]
    predicted: tuple[float, ...]
    sd: tuple[float, ...]


def held_out(
    problem: Problem,
    strategy: Strategy,
    rows: Sequence[Observation],
    state: bytes,
    sizes: Sequence[int] = (),
    seed: int = 0,
    device: str = "cpu",
    files: Files | None = None,
) -> dict[str, list[HeldOut]]:
    """By output that is a number: of all rows with what the state found, then of the first so many measured ones, each
    with a fit of its own; sizes that nothing can be fitted to are left out. Raises LearningError."""
    found = {name: [each] for name, each in _foretold(problem, rows, state, seed, device, files).items()}
    measured = [each for each in rows if each.outcome == "measured"]
    for size in sizes:
        first = measured[:size]
        if len(first) < size:
            continue
        try:
            fitted = fitting.fit(problem, strategy, first, None, seed, device, files=files)
            part = _foretold(problem, first, fitted.state, seed, device, files)
        except LearningError:
            continue
        for name, each in part.items():
            found[name].append(each)
    return found


def _foretold(
    problem: Problem,
    rows: Sequence[Observation],
    state: bytes,
    seed: int,
    device: str,
    files: Files | None,
) -> dict[str, HeldOut]:
    space = fitting.space_of(problem, rows, files)
    kept, device = load(problem, space.width, state), fitting.usable(device)
    data = datasets(problem, space, rows, kept.outputs)
    if kept.asked == MULTI_OUTPUT:
        data = related(data)
    found = {}
    for name, each in kept.outputs.items():
        told = each.fit.foretell(data[name], seed_for("quality", seed), device)
        if isinstance(told, Foretold):
            spread = np.sqrt(told.variance) / told.slope
            values = (data[name].values, told.lab, spread)
            found[name] = HeldOut(len(data[name]), *(tuple(map(float, each)) for each in values))
    return found
