"""What is wanted of the outputs, over samples in lab units: the same numbers as `Problem.values` and `Problem.score`.

Tensors are (..., outputs) with the outputs in the order of `Goals.outputs`; everything is differentiable.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from botorch.utils.multi_objective.pareto import is_non_dominated
from torch import Tensor

from labqueue.problem import (
    DESIRABILITY,
    MINIMIZE,
    TARGET,
    WINDOW,
    Objective,
    OutcomeConstraint,
    Problem,
)

#: A desirability of 0 tells a search nothing about the way out of it: below 0 the linear map goes on with this slope.
_LEAK = 1e-2
#: The reference of a front lies this share of its range beyond its worst values.
_BEYOND = 0.1
_TINY = 1e-12


@dataclass(frozen=True)
class Goals:
    """The goals of a problem over the modelled outputs."""

    problem: Problem
    outputs: tuple[str, ...]

    @cached_property
    def ranked(self) -> bool:
        """Is anything better than something else? Not where all is to be learnt."""
        return bool(self.problem.objectives) and not self.problem.learning

    @cached_property
    def scored(self) -> bool:
        """Is there one number that is maximized?"""
        return self.ranked and not self.problem.pareto

    def values(self, lab: Tensor) -> Tensor:
        """(..., outputs) -> (..., objectives): what is maximized of each objective."""
        columns = [_value(each, self._column(lab, each.output)) for each in self.problem.objectives]
        return torch.stack(columns, dim=-1)

    def score(self, lab: Tensor) -> Tensor:
        """(..., outputs) -> (...): the one number that is maximized."""
        if self.problem.combine == DESIRABILITY:
            return self._desirability(lab)[0]
        weights = lab.new_tensor([each.weight for each in self.problem.objectives])
        return (self.values(lab) * weights).sum(dim=-1)

    def climbed(self, lab: Tensor) -> Tensor:
        """The score for a search: a desirability falls a little below 0 where something is useless, the further the
        more useless it is."""
        if self.problem.combine != DESIRABILITY:
            return self.score(lab)
        mean, below = self._desirability(lab)
        return mean + _LEAK * below

    def reference(self, values: Tensor, admissible: Tensor) -> Tensor:
        """(objectives,): what the hypervolume of a front is measured against, of the measured `values` (rows,
        objectives): given, or a tenth of the front's range beyond its worst values (Ishibuchi et al. 2011). While
        nothing is admissible, all that was measured stands for the front."""
        kept = values[admissible] if bool(admissible.any()) else values
        front = kept[is_non_dominated(kept)]
        worst, best = front.min(dim=0).values, front.max(dim=0).values
        span = torch.where(best > worst, best - worst, values.max(dim=0).values - values.min(dim=0).values)
        found = worst - _BEYOND * torch.where(span > 0, span, worst.abs().clamp_min(1.0))
        given = [each.reference_value for each in self.problem.objectives]
        return torch.stack(
            [found[place] if each is None else found.new_tensor(each) for place, each in enumerate(given)]
        )

    def slack(self, lab: Tensor, limit: OutcomeConstraint) -> Tensor:
        """(..., outputs) -> (...): how far an outcome constraint is from being broken; negative where it is."""
        room = limit.bound - self._column(lab, limit.output)
        return room if limit.operator == "<=" else -room

    def _desirability(self, lab: Tensor) -> tuple[Tensor, Tensor]:
        """The weighted geometric mean, and the weighted mean of what is missing to a desirability of 0 (<= 0)."""
        objectives = self.problem.objectives
        raw = torch.stack([_share(each, self._column(lab, each.output)) for each in objectives], dim=-1)
        weights = raw.new_tensor([each.weight for each in objectives])
        weights = weights / weights.sum()
        shares = raw.clamp(0.0, 1.0)
        mean = (shares.clamp_min(_TINY).log() * weights).sum(dim=-1).exp()
        mean = torch.where(shares.min(dim=-1).values > 0, mean, torch.zeros_like(mean))
        return mean, (raw.clamp_max(0.0) * weights).sum(dim=-1)

    def _column(self, lab: Tensor, name: str) -> Tensor:
        return lab[..., self.outputs.index(name)]


def _value(objective: Objective, measured: Tensor) -> Tensor:
    if objective.goal == MINIMIZE:
        return -measured
    if objective.goal == TARGET:
        assert objective.target is not None, "read with its goal"
        return -(measured - objective.target).abs()
    if objective.goal == WINDOW:
        assert objective.low is not None and objective.high is not None, "read with its goal"
        return -torch.maximum(objective.low - measured, measured - objective.high).clamp_min(0.0)
    return measured


def _share(objective: Objective, measured: Tensor) -> Tensor:
    """Its desirability before it is cut to [0, 1]."""
    if objective.goal in (TARGET, WINDOW):
        assert objective.tolerance is not None, "read with its combination"
        return 1.0 + _value(objective, measured) / objective.tolerance
    assert objective.worst is not None and objective.best is not None, "read with its combination"
    return (measured - objective.worst) / (objective.best - objective.worst)
