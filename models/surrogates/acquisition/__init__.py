"""How much a point is worth measuring next: acquisition functions by name, each the log of something positive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from botorch.utils.safe_math import logmeanexp
from torch import Tensor

from labqueue.problem import Problem
from labqueue.strategy import AUTO
from models.surrogates.cost import Cost
from models.surrogates.feasible import Feasibility

from .bound import ucb
from .chance import RANDOM, avoiding, random
from .front import MOST_OBJECTIVES, log_nehvi
from .improvement import log_ei, log_nei
from .information import disagreement, entropy, uncertainty
from .lookahead import knowledge_gradient
from .paths import thompson
from .situation import Situation, complete, partial
from .worth import Worth

__all__ = ["MAKERS", "RANDOM", "Situation", "Worth", "complete", "gain", "made", "meant", "partial"]

#: Each gives a function of inputs (batch, 1, columns) -> (batch,).
MAKERS: Mapping[str, Callable[[Situation], Any]] = {
    "log_ei": log_ei,
    "log_nei": log_nei,
    "log_nehvi": log_nehvi,
    "ucb": ucb,
    "knowledge_gradient": knowledge_gradient,
    "thompson": thompson,
    "uncertainty": uncertainty,
    "entropy": entropy,
    "disagreement": disagreement,
    RANDOM: random,
}
#: These look at one draw, and another view is another draw.
_OF_ONE_VIEW = ("thompson", RANDOM)
#: These need nothing to be best.
_WITHOUT_SCORE = ("uncertainty", "entropy", "disagreement", RANDOM)


def meant(name: str, problem: Problem) -> str:
    """The function that a name stands for with this problem: what has no score is learnt, and a front of many
    objectives is scalarised."""
    if problem.learning or not problem.objectives:
        return name if name in _WITHOUT_SCORE else "uncertainty"
    several = problem.pareto and len(problem.objectives) <= MOST_OBJECTIVES
    if name == AUTO:
        return "log_nehvi" if several else "log_nei"
    return "log_nei" if name == "log_nehvi" and not several else name


def made(
    name: str, situation: Situation, feasibility: Feasibility | None = None, cost: Cost | None = None
) -> Worth:
    """The function of this name (one that `meant` gives) in this situation. What is drawn by chance is drawn whatever it
    costs."""
    surrogate, views = situation.surrogate, situation.views
    if name in _OF_ONE_VIEW:
        views = (views[situation.seed % len(views)],)
    function = _averaged([MAKERS[name](each) for each in views])
    if name == RANDOM:
        drawn = function if feasibility is None else avoiding(function, feasibility)
        return Worth(name, drawn, surrogate.device, smooth=surrogate.smooth)
    return Worth(name, function, surrogate.device, feasibility, cost, surrogate.smooth)


def _averaged(functions: Sequence[Any]) -> Any:
    """The log of the mean of what they are the logs of."""
    if len(functions) == 1:
        return functions[0]

    def averaged(inputs: Tensor) -> Tensor:
        value: Tensor = logmeanexp(torch.stack([each(inputs) for each in functions]), dim=0)
        return value

    return averaged


def gain(situation: Situation, worth: Worth, row: Any) -> float | None:
    """What measuring this row (1, columns) is expected to improve: the score, or the hypervolume of a front (lab
    units); None where nothing is to be improved."""
    problem = situation.goals.problem
    name = meant(AUTO, problem)
    if name in _WITHOUT_SCORE:
        return None
    unit = float(situation.ranges[1].prod()) if name == "log_nehvi" else situation.step
    judge = worth if worth.name == name else made(name, situation, worth.feasibility)
    return judge.improvement(row) * unit
