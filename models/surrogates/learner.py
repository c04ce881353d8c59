"""Fit, suggest, predict: pure functions of what they are given (on the same device and library versions)."""

from __future__ import annotations

import importlib.metadata
import itertools
import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from botorch.utils.multi_objective.pareto import is_non_dominated
from linear_operator.utils.errors import NanError, NotPSDError

from labqueue.problem import Problem
from labqueue.strategy import DESIGN as DESIGN_ALONE
from labqueue.strategy import FILLING, Strategy

from . import design, fitting, pools, reasons
from .acquisition import Situation, complete, partial
from .cost import Cost
from .data import Space, tensor
from .encoding import Array, Encoding
from .expected import chances, expected
from .feasible import Feasibility
from .fitting import Files, seeded, usable
from .goals import Goals
from .pools import PoolSpace
from .reasons import Sentences
from .refresh import Ask, Choice, choose
from .search import Effort
from .seeds import seed_for
from .surrogate import Surrogate
from .values import (
    DESIGN,
    SUGGESTER,
    Candidate,
    LearningError,
    Observation,
    Point,
    Snapshot,
    Suggestion,
)

_BEST = 4
#: Points of a design that are looked at for some that can be run, and two more for each that is wanted.
_LOOKED_AT = 64
#: The share of the time left that an ask without a model has for its fit.
_OF_FIT = 0.5
#: What linear algebra raises where a model is ill-conditioned beyond repair.
_BROKEN = (NotPSDError, NanError, torch.linalg.LinAlgError)  # type: ignore[attr-defined]
_LIBRARIES = ("torch", "botorch", "gpytorch", "linear_operator", "numpy", "scipy")

fit = fitting.fit


def suggest(
    snapshot: Snapshot, clock: Callable[[], float] = time.monotonic, files: Files | None = None
) -> Suggestion:
    """What is left of the initial design, then the staged candidates and new ones as the model orders them.

    Fewer than wanted only where a finite space is used up. The clock matters only where the snapshot has a deadline.
    Raises LearningError where the constraints leave no point at all, or there is nothing to choose from.
    """
    if not snapshot.problem.parameters and snapshot.problem.pool is None:
        raise LearningError("The problem has no parameters: its caller suggests.")
    device, began = usable(snapshot.device), clock()

    def left() -> float | None:
        limit = snapshot.deadline_seconds
        return None if limit is None else limit - (clock() - began)

    space, effort = fitting.space_of(snapshot.problem, snapshot.rows, files), Effort(left)
    found, gain = _designed(snapshot, space), None
    wanted = snapshot.count - len(found)
    if snapshot.strategy.method != DESIGN_ALONE and (wanted > 0 or snapshot.staged):
        with seeded(seed_for("suggest", snapshot.seed, snapshot.number), device):
            also = [each.parameters for each in found]
            modelled, gain = _modelled(snapshot, space, also, effort, device)
        gain = None if found else gain
        found += modelled
    cost = {
        "raw": effort.raw,
        "starts": effort.starts,
        "evaluations": effort.evaluations,
        "cut": effort.cut,
    }
    return Suggestion(tuple(found), cost, device, versions(), gain)


def predict(
    problem: Problem,
    rows: Sequence[Observation],
    state: bytes,
    points: Sequence[Point],
    device: str = "cpu",
    files: Files | None = None,
) -> list[Mapping[str, tuple[float, float]]]:
    """Mean and standard deviation of each modelled output, and of the score where there is one, in lab units."""
    space = fitting.space_of(problem, rows, files)
    surrogate = fitting.restore(problem, Strategy(), space, rows, state, device)
    return list(expected(surrogate, Goals(problem, surrogate.outputs), space.encode(points)))


def versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **found}


def _designed(snapshot: Snapshot, space: Space) -> list[Candidate]:
    """What is left of the initial design (a campaign of a design alone has nothing else)."""
    strategy, left = snapshot.strategy, snapshot.count
    if strategy.method != DESIGN_ALONE and strategy.design.kind in FILLING:
        left = min(left, max(strategy.initial - snapshot.designed, 0))
    drawn = _draw(snapshot, space, left, _taken(snapshot))
    kind = _kind(snapshot, space)
    return [
        Candidate(point, reasons.design(snapshot.designed + number, strategy, kind), {}, DESIGN)
        for number, point in enumerate(drawn)
    ]


def _kind(snapshot: Snapshot, space: Space) -> str | None:
    """Of the design, as `reasons` has it."""
    asked = snapshot.strategy.design.kind
    if isinstance(space, PoolSpace):
        return pools.kind_for(asked)
    return design.kind_for(snapshot.problem, asked)


def _draw(
    snapshot: Snapshot, space: Space, count: int, taken: Sequence[Point], endless: bool = False
) -> list[Point]:
    """The next points of the design; `endless`: of one that fills the space where the strategy's own has an end."""
    if count <= 0:
        return []
    seed, start = seed_for("design", snapshot.seed), snapshot.designed
    if isinstance(space, PoolSpace):
        return space.design(snapshot.strategy.design.kind, seed, start, count, taken)
    assert isinstance(space, Encoding), "the two kinds of space"
    ends = snapshot.strategy.design.kind not in FILLING
    return design.points(space, seed, start, count, taken, None if endless and ends else snapshot.strategy)


def _taken(snapshot: Snapshot) -> list[Point]:
    return [*(row.asked for row in snapshot.rows), *snapshot.pending, *snapshot.staged]


def _modelled(
    snapshot: Snapshot,
    space: Space,
    also: Sequence[Point],
    effort: Effort,
    device: str,
) -> tuple[list[Candidate], float | None]:
    count = snapshot.count - len(also)
    try:
        surrogate = _surrogate(snapshot, space, device, effort)
        return _chosen(snapshot, surrogate, also, count, effort)
    except (LearningError, *_BROKEN) as error:
        why = str(error) if isinstance(error, LearningError) else f"its numbers broke down: {error}"
        kept = [
            Candidate(point, reasons.waiting(why), {}, SUGGESTER, place)
            for place, point in enumerate(snapshot.staged)
        ]
        drawn = _filled(snapshot, space, count, [*_taken(snapshot), *also], device)
        reason = reasons.fallback(why)
        return [*kept, *(Candidate(point, reason, {}, SUGGESTER) for point in drawn)], None


def _filled(snapshot: Snapshot, space: Space, count: int, taken: Sequence[Point], device: str) -> list[Point]:
    """The next points of a design; where runs are likely to be impossible, only for want of others."""
    feasibility = _feasibility(snapshot, space, device)
    if count <= 0 or feasibility is None:
        return _draw(snapshot, space, count, taken, endless=True)
    drawn = _draw(snapshot, space, _LOOKED_AT + 2 * count, taken, endless=True)
    impossible = feasibility.likely_impossible(tensor(space.encode(drawn), device)).cpu().numpy()
    return [drawn[place] for place in np.argsort(impossible, kind="stable")[:count]]


def _surrogate(snapshot: Snapshot, space: Space, device: str, effort: Effort) -> Surrogate:
    state = snapshot.model
    if state is None:
        spent = effort.part(_OF_FIT)
        state = fitting.hurried(
            snapshot.problem, snapshot.strategy, space, snapshot.rows, snapshot.seed, device, spent
        )
    return fitting.restore(snapshot.problem, snapshot.strategy, space, snapshot.rows, state, device)


def _chosen(
    snapshot: Snapshot, surrogate: Surrogate, also: Sequence[Point], count: int, effort: Effort
) -> tuple[list[Candidate], float | None]:
    """The candidates with what the model expects of them and why each was chosen."""
    problem, space = snapshot.problem, surrogate.space
    pending = [*snapshot.pending, *also]
    rows = complete(problem, snapshot.rows)
    seed = seed_for("candidate", snapshot.seed, snapshot.number, 0)
    beside = partial(problem, snapshot.rows)
    situation = Situation.of(surrogate, rows, pending, snapshot.strategy, seed, beside)
    ask = Ask(
        space,
        snapshot.strategy,
        snapshot.seed,
        snapshot.number,
        [row.asked for row in snapshot.rows],
        [rows[place].parameters for place in _best(situation)],
        pending,
        snapshot.staged,
        count,
        _feasibility(snapshot, space, surrogate.device),
        None if snapshot.strategy.cost is None else Cost(snapshot.strategy.cost, problem, space),
    )
    choices, gain = choose(ask, situation, effort)
    return _told(problem, situation, choices, ask), gain


def _told(problem: Problem, situation: Situation, choices: Sequence[Choice], ask: Ask) -> list[Candidate]:
    surrogate, goals = situation.surrogate, situation.goals
    inputs = ask.space.encode([each.point for each in choices])
    limits = goals.problem.outcome_constraints
    sentences = Sentences(
        goals.problem,
        *_standing(situation),
        inside=bool(situation.attainable.any()),
        unknown=[each for each in problem.outcome_constraints if each not in limits],
    )
    foretold = expected(surrogate, goals, inputs)
    if not all(map(math.isfinite, itertools.chain(*(pair for each in foretold for pair in each.values())))):
        raise LearningError("the model expects what is no number")
    told = zip(
        choices, foretold, chances(surrogate, goals, inputs), _possible(ask, situation, inputs), strict=True
    )
    return [
        Candidate(
            choice.point,
            sentences.chosen(
                choice.name,
                figures,
                kept,
                choice.flying,
                choice.staged is not None,
                choice.repeated,
                ask.cost is not None,
                possible,
            ),
            figures,
            SUGGESTER,
            choice.staged,
        )
        for choice, figures, kept, possible in told
    ]


def _possible(ask: Ask, situation: Situation, inputs: Array) -> list[float] | list[None]:
    """For each row the chance that it can be run; nothing where everything could be run so far."""
    if ask.feasibility is None:
        return [None] * len(inputs)
    chance: list[float] = ask.feasibility.log_probability(situation.surrogate.tensor(inputs)).exp().tolist()
    return chance


def _best(situation: Situation) -> list[int]:
    """The places of the best measured rows, best first: of the front, or by score, admissible ones before others."""
    if not situation.goals.ranked:
        return []
    good = situation.admissible
    if situation.goals.problem.pareto:
        places = torch.where(good)[0] if bool(good.any()) else torch.arange(len(good), device=good.device)
        front: list[int] = places[is_non_dominated(situation.values[places])].tolist()
        return front
    scores = situation.scores.cpu().numpy()
    order = np.lexsort((np.arange(len(scores)), -scores, ~good.cpu().numpy()))
    return [int(place) for place in order[:_BEST]]


def _standing(situation: Situation) -> tuple[float | None, bool]:
    """The best admissible score, and whether something measured beats the reference of the front."""
    problem, good = situation.goals.problem, situation.admissible
    if not situation.goals.ranked or not bool(good.any()):
        return None, not problem.pareto
    if problem.pareto:
        low, span = situation.ranges
        beaten = ((situation.values[good] - low) / span > situation.reference).all(dim=-1).any()
        return None, bool(beaten)
    return float(situation.goals.score(situation.outputs[good]).max()), True


def _feasibility(snapshot: Snapshot, space: Space, device: str) -> Feasibility | None:
    """None where nothing was infeasible so far."""
    bad = [row.parameters for row in snapshot.rows if row.outcome == "infeasible"]
    if not bad:
        return None
    good = [row.parameters for row in snapshot.rows if row.outcome == "measured"]
    return Feasibility(*(tensor(space.encode(points), device) for points in (good, bad)))
