"""Fit a model to rows, and make it again from its state: pure functions of what they are given."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch

from labqueue.problem import Problem
from labqueue.strategy import Strategy

from . import metrology
from .data import Data, Space, datasets
from .encoding import Encoding
from .kinds.face import Labels, Part
from .kinds.table import KINDS, kind_for
from .pools import PoolSpace
from .seeds import seed_for
from .state import Found, State, dump, load
from .surrogate import Surrogate
from .values import Fitted, LearningError, Observation

Files = Callable[[str], Path]

#: From so many rows on a graphics card is expected to beat one core: an estimate, which `benchmarks/gpu.py` tests.
GPU_ROWS = 1_000
#: Up to so many rows every fit begins afresh: it is cheap, and the best map and kernel change as results come in.
_AFRESH = 60
#: Then when the rows have grown by this factor; in between the search starts where the last one ended.
_GROWTH = 1.25


def fit(
    problem: Problem,
    strategy: Strategy,
    rows: Sequence[Observation],
    warm: bytes | None = None,
    seed: int = 0,
    device: str = "cpu",
    clock: Callable[[], float] = time.monotonic,
    files: Files | None = None,
) -> Fitted:
    """A model of every wanted output on all rows, started from an earlier state where there is one.

    `files` finds a pool's file by its SHA-256. A warm state that cannot be read is left aside. Raises LearningError,
    which says why in plain words, where there are too few rows or no fit succeeds.
    """
    began, device = clock(), usable(device)
    space = space_of(problem, rows, files)
    data = datasets(problem, space, rows)
    earlier = _warm(problem, strategy, space, warm)
    with seeded(seed_for("fit", seed), device):
        found = {
            name: _fit(name, each, strategy.surrogate, earlier.get(name), seed, device)
            for name, each in data.items()
        }
        outputs = {
            name: metrology.quality(data[name], each, seed_for("quality", seed), device)
            for name, each in found.items()
        }
    metrics = {
        "n": max(len(each) for each in data.values()),
        "outputs": outputs,
        "refit": any(each.rows == len(data[name]) for name, each in found.items()),
        "seconds": round(clock() - began, 3),
    }
    return Fitted(dump(State(found, strategy.surrogate)), metrics, device)


def restore(
    problem: Problem,
    strategy: Strategy,
    space: Space,
    rows: Sequence[Observation],
    state: bytes,
    device: str = "cpu",
) -> Surrogate:
    """What was found, on all rows, also those that the fit had not seen. Raises LearningError."""
    found = load(problem, space.width, state).outputs
    device = usable(device)
    data = datasets(problem, space, rows)
    made = {name: each.fit.part(data[name], device) for name, each in found.items()}
    numbers = {name: each for name, each in made.items() if isinstance(each, Part)}
    labels = {name: cast(Labels, each) for name, each in made.items() if name not in numbers}
    return Surrogate(problem, space, tuple(numbers), tuple(numbers.values()), labels, device)


def space_of(problem: Problem, rows: Sequence[Observation], files: Files | None = None) -> Space:
    """With the context that was reported last. Raises LearningError where a pool's file is not to be had."""
    if problem.pool is not None:
        if files is None:
            raise LearningError("the pool's file is not to be had")
        return PoolSpace.of(problem.pool, files)
    names = {each.name for each in problem.context}
    context = {name: row.parameters[name] for row in rows for name in names if name in row.parameters}
    return Encoding(problem, context)


def device_for(rows: int, outputs: int = 1) -> str:
    """Where a problem of so many rows is fitted soonest on this machine."""
    return usable("cuda") if rows * math.sqrt(outputs) >= GPU_ROWS else "cpu"


def usable(device: str) -> str:
    """The device itself, or the CPU where this machine has no such thing."""
    return "cuda" if device == "cuda" and torch.cuda.is_available() else "cpu"


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Torch's global generators seeded inside and put back after: some library code draws from nothing else."""
    devices = [torch.cuda.current_device()] if device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _warm(problem: Problem, strategy: Strategy, space: Space, data: bytes | None) -> Mapping[str, Found]:
    if data is None:
        return {}
    try:
        state = load(problem, space.width, data)
    except LearningError:
        return {}
    return state.outputs if state.asked == strategy.surrogate else {}


def _fit(name: str, data: Data, asked: str, earlier: Found | None, seed: int, device: str) -> Found:
    kind = kind_for(asked, data)
    warm = None
    if earlier is not None and earlier.kind == kind and _AFRESH < len(data) < _GROWTH * earlier.rows:
        warm = earlier
    try:
        fitted = KINDS[kind].fit(data, None if warm is None else warm.fit, seed_for("fit", seed), device)
    except LearningError as error:
        raise LearningError(f"{name}: {error}") from error
    return Found(kind, fitted, len(data) if warm is None else warm.rows)
