"""Fit a model to rows, and make it again from its state: pure functions of what they are given."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from labqueue.problem import Problem
from labqueue.strategy import AUTO, MULTI_OUTPUT, Strategy

from . import hurry, metrology
from .data import Data, Space, datasets, known, related
from .encoding import Encoding
from .kinds import multi
from .kinds.kind import Labels, Part
from .kinds.registry import KINDS, kind_for
from .pools import PoolSpace
from .seeds import seed_for
from .state import Found, State, dump, load
from .surrogate import Surrogate
from .values import Fitted, LearningError, Observation

Files = Callable[[str], Path]

#: From so many rows on a graphics card is expected to beat one core: an estimate, which `benchmarks/gpu.py` tests.
GPU_ROWS = 1_000
#: Up to so many rows of each output every fit begins afresh: it is cheap, and the best map and kernel change as results
#: come in.
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
    data = _datasets(problem, space, rows, strategy.surrogate, strategy.kernel)
    earlier = _warm(problem, strategy, space, warm)
    earlier = earlier if set(earlier) == set(data) else {}  # outputs that are learnt together go on together
    with seeded(seed_for("fit", seed), device):
        found = _fits(data, strategy.surrogate, earlier, seed, device)
        outputs = {
            name: metrology.quality(data[name], each, seed_for("quality", seed), device)
            for name, each in found.items()
        }
    metrics = {
        "n": max(len(each) for each in data.values()),
        "outputs": outputs,
        "refit": any(each.rows == data[name].rows for name, each in found.items()),
        "seconds": round(clock() - began, 3),
    }
    return Fitted(dump(State(found, strategy.surrogate)), metrics, device)


def hurried(
    problem: Problem,
    strategy: Strategy,
    space: Space,
    rows: Sequence[Observation],
    seed: int,
    device: str,
    spent: Callable[[], bool],
) -> bytes:
    """The state alone, searched for until `spent`: the same as `fit` finds where that is never. Raises LearningError as
    it does."""
    device = usable(device)
    data = _datasets(problem, space, rows, strategy.surrogate, strategy.kernel)
    with seeded(seed_for("fit", seed), device), hurry.until(spent):
        return dump(State(_fits(data, strategy.surrogate, {}, seed, device), strategy.surrogate))


def restore(
    problem: Problem,
    strategy: Strategy,
    space: Space,
    rows: Sequence[Observation],
    state: bytes,
    device: str = "cpu",
) -> Surrogate:
    """What was found, on all rows, also those that the fit had not seen. Raises LearningError."""
    kept = load(problem, space.width, state)
    device = usable(device)
    data = _datasets(problem, space, rows, kept.asked, names=kept.outputs)
    made = {name: each.fit.part(data[name], device) for name, each in kept.outputs.items()}
    numbers = {name: each for name, each in made.items() if isinstance(each, Part)}
    labels = {name: cast(Labels, each) for name, each in made.items() if name not in numbers}
    problem = known(problem, kept.outputs)
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


def _datasets(
    problem: Problem,
    space: Space,
    rows: Sequence[Observation],
    asked: str,
    kernel: str = AUTO,
    names: Collection[str] | None = None,
) -> dict[str, Data]:
    found = datasets(problem, space, rows, names)
    if kernel != AUTO:
        found = {name: replace(each, kernels=(kernel,)) for name, each in found.items()}
    return related(found) if asked == MULTI_OUTPUT else found


def _fits(
    data: Mapping[str, Data], asked: str, earlier: Mapping[str, Found], seed: int, device: str
) -> dict[str, Found]:
    kinds = {name: kind_for(asked, each) for name, each in data.items()}
    joint = {name: each for name, each in data.items() if kinds[name] == MULTI_OUTPUT}
    found = _fit_together(joint, earlier, seed, device) if joint else {}
    return {
        name: found[name] if name in found else _fit(name, each, kinds[name], earlier.get(name), seed, device)
        for name, each in data.items()
    }


def _fit(name: str, data: Data, kind: str, earlier: Found | None, seed: int, device: str) -> Found:
    warm = _going_on(kind, data, earlier)
    try:
        fitted = KINDS[kind].fit(data, None if warm is None else warm.fit, seed_for("fit", seed), device)
    except LearningError as error:
        raise LearningError(f"{name}: {error}") from error
    return Found(kind, fitted, data.rows if warm is None else warm.rows)


def _fit_together(
    family: Mapping[str, Data], earlier: Mapping[str, Found], seed: int, device: str
) -> dict[str, Found]:
    """One fit of all."""
    going = {name: _going_on(MULTI_OUTPUT, each, earlier.get(name)) for name, each in family.items()}
    warm = {name: each for name, each in going.items() if each is not None}
    warm = warm if len(warm) == len(family) else {}
    starts = {name: each.fit for name, each in warm.items()}
    return {
        name: Found(MULTI_OUTPUT, each, warm[name].rows if warm else family[name].rows)
        for name, each in multi.together(family, starts, seed_for("fit", seed), device).items()
    }


def _going_on(kind: str, data: Data, earlier: Found | None) -> Found | None:
    """The earlier fit where the search starts from it."""
    few = _AFRESH * len(data.together)
    if earlier is None or earlier.kind != kind or not few < data.rows < _GROWTH * earlier.rows:
        return None
    return earlier
