"""Fit, suggest, predict: pure functions of what they are given (on the same device and library versions)."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from botorch.models.gp_regression import SingleTaskGP

from labqueue.problem import Problem
from labqueue.strategy import SOBOL

from . import design, gp, reasons
from .acquisition import worth
from .encoding import Array, Encoding
from .search import Effort, ranked
from .seeds import seed_for
from .state import State, dump, load
from .surrogate import Surrogate, condition, datasets
from .values import (
    DESIGN,
    SUGGESTER,
    Candidate,
    Fitted,
    LearningError,
    Observation,
    Point,
    Snapshot,
    Suggestion,
)

#: Two points closer than this in every column of the cube are the same experiment.
NEAR = 1e-3
#: Warps and kernels are compared at each fit up to so many rows (it is cheap, and the best kind changes as results
#: come in), then when the rows have grown by this factor.
_COMPARED = 60
_GROWTH = 1.25
_BEST = 4
_LIBRARIES = ("torch", "botorch", "gpytorch", "linear_operator", "numpy", "scipy")


def fit(
    problem: Problem,
    rows: Sequence[Observation],
    warm: bytes | None = None,
    seed: int = 0,
    device: str = "cpu",
    clock: Callable[[], float] = time.monotonic,
) -> Fitted:
    """A model of the score on all rows, started from an earlier state where there is one.

    A warm state that cannot be read is left aside. Raises LearningError, which says why in plain words, where
    there are too few rows or no fit succeeds.
    """
    began, device = clock(), usable(device)
    encoding = Encoding(problem)
    data = datasets(problem, encoding, rows)
    with _seeded(seed_for("fit", seed), device):
        state = _fit(data, _warm(problem, warm), device)
        surrogate = condition(problem, encoding, data, state, device)
        outputs = {
            name: _quality(data[name], hyper, model)
            for name, hyper, model in zip(surrogate.outputs, surrogate.hypers, surrogate.models, strict=True)
        }
    metrics = {"n": state.rows, "outputs": outputs, "seconds": round(clock() - began, 3)}
    return Fitted(dump(state), metrics, device)


def suggest(snapshot: Snapshot, clock: Callable[[], float] = time.monotonic) -> Suggestion:
    """`snapshot.count` candidates; fewer only where a design has used up a finite space.

    The clock matters only where the snapshot has a deadline. Raises LearningError where the constraints leave no
    point at all, or the problem has no parameters.
    """
    if not snapshot.problem.parameters:
        raise LearningError("The problem has no parameters: its caller suggests.")
    device, began = usable(snapshot.device), clock()

    def left() -> float | None:
        limit = snapshot.deadline_seconds
        return None if limit is None else limit - (clock() - began)

    encoding, effort = Encoding(snapshot.problem), Effort(left)
    found = _designed(snapshot, encoding)
    missing = snapshot.count - len(found)
    if missing > 0 and snapshot.strategy.method != SOBOL:
        with _seeded(seed_for("suggest", snapshot.seed, snapshot.number), device):
            found += _modelled(snapshot, encoding, [each.parameters for each in found], effort, device)
    cost = {
        "raw": effort.raw,
        "starts": effort.starts,
        "evaluations": effort.evaluations,
        "cut": effort.cut,
    }
    return Suggestion(tuple(found), cost, device, versions())


def predict(
    problem: Problem, rows: Sequence[Observation], state: bytes, points: Sequence[Point], device: str = "cpu"
) -> list[Mapping[str, tuple[float, float]]]:
    """Mean and standard deviation of each objective's output and of the score at points, in lab units."""
    device, encoding = usable(device), Encoding(problem)
    surrogate = condition(problem, encoding, datasets(problem, encoding, rows), load(problem, state), device)
    return list(surrogate.expect(encoding.encode(points)))


def usable(device: str) -> str:
    """The device itself, or the CPU where this machine has no such thing."""
    return "cuda" if device == "cuda" and torch.cuda.is_available() else "cpu"


def versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **found}


@contextmanager
def _seeded(seed: int, device: str) -> Iterator[None]:
    """Torch's global generators seeded inside and put back after: some library code draws from nothing else."""
    devices = [torch.cuda.current_device()] if device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _warm(problem: Problem, data: bytes | None) -> State | None:
    if data is None:
        return None
    try:
        return load(problem, data)
    except LearningError:
        return None


def _fit(data: Mapping[str, gp.Data], warm: State | None, device: str) -> State:
    rows = max(len(each.values) for each in data.values())
    if warm is not None and rows > _COMPARED and rows < _GROWTH * warm.chosen:
        hypers = {name: gp.fit(each, warm.outputs[name], device) for name, each in data.items()}
        return State(hypers, rows, warm.chosen)
    return State({name: gp.fit(each, None, device) for name, each in data.items()}, rows, rows)


def _quality(data: gp.Data, hyper: gp.Hyper, model: SingleTaskGP) -> dict[str, object]:
    """How well each row is foretold from the others, in lab units, and what the fit found."""
    mean, variance = gp.leave_one_out(model)
    z = hyper.warp.forward(data.values)
    density = -0.5 * ((z - mean) ** 2 / variance + np.log(2 * np.pi * variance)) + np.log(
        hyper.warp.slope(data.values)
    )
    foretold = hyper.warp.back(torch.as_tensor(mean)).numpy()
    return {
        "n": len(data.values),
        "rmse": float(np.sqrt(np.mean((foretold - data.values) ** 2))),
        "nll": float(-np.mean(density)),
        "warp": hyper.warp.kind,
        "kernel": hyper.kernel,
        "lengthscales": list(hyper.lengthscales),
        "noise": hyper.noise,
    }


def _designed(snapshot: Snapshot, encoding: Encoding) -> list[Candidate]:
    """What is left of the initial design (a Sobol campaign has nothing else)."""
    strategy = snapshot.strategy
    left = snapshot.count
    if strategy.method != SOBOL:
        left = min(left, max(strategy.initial - snapshot.designed, 0))
    drawn = _draw(snapshot, encoding, left, _taken(snapshot))
    return [
        Candidate(point, reasons.design(snapshot.designed + number, strategy), {}, DESIGN)
        for number, point in enumerate(drawn)
    ]


def _draw(snapshot: Snapshot, encoding: Encoding, count: int, taken: Sequence[Point]) -> list[Point]:
    if count <= 0:
        return []
    return design.points(encoding, seed_for("design", snapshot.seed), snapshot.designed, count, taken)


def _taken(snapshot: Snapshot) -> list[Point]:
    return [*(row.parameters for row in snapshot.rows), *snapshot.pending]


def _modelled(
    snapshot: Snapshot, encoding: Encoding, also: Sequence[Point], effort: Effort, device: str
) -> list[Candidate]:
    count = snapshot.count - len(also)
    try:
        surrogate = _surrogate(snapshot, encoding, device)
        return _greedy(snapshot, surrogate, also, count, effort)
    except LearningError as error:
        drawn = _draw(snapshot, encoding, count, [*_taken(snapshot), *also])
        return [Candidate(point, reasons.fallback(str(error)), {}, SUGGESTER) for point in drawn]


def _surrogate(snapshot: Snapshot, encoding: Encoding, device: str) -> Surrogate:
    data = datasets(snapshot.problem, encoding, snapshot.rows)
    if snapshot.model is None:
        state = _fit(data, None, device)
    else:
        state = load(snapshot.problem, snapshot.model)
    return condition(snapshot.problem, encoding, data, state, device)


def _greedy(
    snapshot: Snapshot, surrogate: Surrogate, also: Sequence[Point], count: int, effort: Effort
) -> list[Candidate]:
    """One after the other: each candidate is chosen as if those before it were being measured already.

    The first of several is the one that asking for a single one gives.
    """
    encoding = surrogate.encoding
    scored = [row for row in snapshot.rows if row.score is not None and row.outcome == "measured"]
    if not scored:
        raise LearningError("no result with a score is in")
    scores = [float(row.score) for row in scored if row.score is not None]
    order = np.argsort([-score for score in scores], kind="stable")[:_BEST]
    best = [scored[place].parameters for place in order]
    failed = [row.parameters for row in snapshot.rows if row.outcome == "infeasible"]
    pending = [*snapshot.pending, *also]
    found: list[Candidate] = []
    for number in range(count):
        seed = seed_for("candidate", snapshot.seed, snapshot.number, number)
        torch.manual_seed(seed)
        value = worth(
            surrogate,
            encoding.encode([row.parameters for row in scored]),
            encoding.encode(failed),
            scores,
            encoding.encode(pending),
            seed,
        )
        points = ranked(value, encoding, best, seed, effort)
        taken = [*(row.parameters for row in snapshot.rows), *pending]
        point, repeated = _first_new(encoding, points, taken)
        (expected,) = surrogate.expect(encoding.encode([point]))
        reason = reasons.chosen(snapshot.problem, expected, max(scores), len(pending), repeated)
        found.append(Candidate(point, reason, expected, SUGGESTER))
        pending.append(point)
    return found


def _first_new(encoding: Encoding, points: Sequence[Point], taken: Sequence[Point]) -> tuple[Point, bool]:
    """The first point that is not near one that was run or is in flight; else the first, as a replicate."""
    known: Array = encoding.encode(taken)
    for point, row in zip(points, encoding.encode(points), strict=True):
        if not len(known) or float(np.abs(known - row).max(axis=1).min()) > NEAR:
            return point, False
    return points[0], True
