"""What an acquisition function is made from: the model, what was measured, what is in flight, what is wanted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from botorch.acquisition.multi_objective.objective import GenericMCMultiOutputObjective
from botorch.acquisition.multi_objective.utils import prune_inferior_points_multi_objective
from botorch.acquisition.objective import GenericMCObjective
from botorch.acquisition.utils import prune_inferior_points
from botorch.sampling.normal import IIDNormalSampler, SobolQMCNormalSampler
from botorch.utils.multi_objective.pareto import is_non_dominated
from botorch.utils.objective import compute_smoothed_feasibility_indicator
from botorch.utils.safe_math import logmeanexp
from torch import Tensor

from labqueue.problem import OutcomeConstraint, Problem
from labqueue.strategy import JOINT, POSTERIOR, Strategy
from models.surrogates.attainable import attainable
from models.surrogates.encoding import Array
from models.surrogates.goals import Goals
from models.surrogates.pending import believed
from models.surrogates.surrogate import Surrogate
from models.surrogates.values import LearningError, Observation, Point

#: Views of the surrogate share the samples: they are averaged in the end.
_SAMPLES, _LEAST_SAMPLES = 128, 32
#: Of so many of the best measured rows (where there are constraints, of the best admissible ones besides) it is asked
#: whether they may really be the best.
_AMONG = 200
#: Samples by which it is asked for a front; of three and more objectives far more rows are on it in each.
_PRUNED, _PRUNED_OF_MANY = 2048, 256
#: Sobol sequences end at this many dimensions; so many baseline points are never left after pruning.
_SOBOL_LIMIT = 20_000
#: Weight of the sum beside the least value in a scalarised front (Knowles 2006: augmented Chebyshev).
_AUGMENT = 0.05

#: What is the same whatever is in flight; the second ones also depend on the direction of a scalarised front.
_OF_DATA = ("values", "admissible", "ranges", "constraints", "reference", "front_baseline")
_OF_DIRECTION = ("scores", "_steps", "baseline")

Scalar = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Situation:
    """Inputs are rows of the cube on the surrogate's device.

    measured  the rows that `complete` gives; `outputs` are theirs (rows, outputs), lab units, NaN where one is
              outstanding
    partial   outputs of the rows that `partial` gives, likewise
    attainable  (rows,): which of them were planned where a point still may be
    pending   points in flight, and those chosen already in the same ask; `policy`: how they enter
    beta      of the upper confidence bound
    seed      of the samples that expectations are taken over
    leader    of another view of the same situation (the place of which is `view`): the first one
    """

    surrogate: Surrogate
    goals: Goals
    measured: Tensor
    outputs: Tensor
    partial: Tensor
    attainable: Tensor
    pending: Tensor
    policy: str
    beta: float
    seed: int
    leader: Situation | None = None
    view: int = 0

    @classmethod
    def of(
        cls,
        surrogate: Surrogate,
        rows: Sequence[Observation],
        pending: Sequence[Point],
        strategy: Strategy,
        seed: int,
        beside: Sequence[Observation] = (),
    ) -> Situation:
        """`rows`: those that `complete` gives; `beside`: those that `partial` does."""
        names = surrogate.outputs
        encode, points = surrogate.space.encode, [row.parameters for row in rows]

        def outputs(of: Sequence[Observation]) -> Tensor:
            values = [[row.outputs.get(name, math.nan) for name in names] for row in of]
            return surrogate.tensor(np.array(values).reshape(len(of), len(names)))

        return cls(
            surrogate,
            Goals(surrogate.problem, names),
            surrogate.tensor(encode(points)),
            outputs(rows),
            outputs(beside),
            torch.as_tensor(
                attainable(surrogate.space, [row.asked for row in rows]), device=surrogate.device
            ),
            surrogate.tensor(encode(pending)),
            strategy.pending,
            strategy.beta,
            seed,
        )

    def beside(self, inputs: Tensor, seed: int) -> Situation:
        """The same with further points in flight."""
        following = self._following(inputs, seed, None)
        others = (each._following(inputs, seed, following) for each in self.views[1:])
        following.__dict__["views"] = (following, *others)
        return following

    def _following(self, inputs: Tensor, seed: int, leader: Situation | None) -> Situation:
        following = replace(self, pending=torch.cat([self.pending, inputs]), seed=seed, leader=leader)
        kept = _OF_DATA if self.goals.problem.pareto else (*_OF_DATA, *_OF_DIRECTION)
        following.__dict__.update({name: self.__dict__[name] for name in kept if name in self.__dict__})
        return following

    @cached_property
    def views(self) -> tuple[Situation, ...]:
        """This one first, then the same as the surrogate's other views see it."""
        others = enumerate(self.surrogate.views[1:], 1)
        return (self, *(replace(self, surrogate=each, leader=self, view=view) for view, each in others))

    @cached_property
    def model(self) -> Any:
        """The model, with what the policy believes of the points in flight."""
        return self.surrogate.joint if self.policy == JOINT else self.settled

    @cached_property
    def settled(self) -> Any:
        """The model for what cannot average over points in flight: with `joint`, they come out as expected."""
        if not len(self.pending):
            return self.surrogate.joint
        return believed(
            self.surrogate, self.goals, self.pending, POSTERIOR if self.policy == JOINT else self.policy
        )

    def others(self, baseline: Tensor) -> Tensor:
        """What a further point has to be better than: rows that may be the best, and the points in flight, of which
        something is believed or which are averaged over, as `model` has it."""
        return torch.cat([baseline, self.pending])

    def sampler(self, baseline: Tensor) -> Any:
        """Of joint samples at a baseline, the points in flight and one more."""
        wide = (len(baseline) + len(self.pending) + 1) * len(self.surrogate.outputs) > _SOBOL_LIMIT
        views = (self.leader or self).surrogate.views
        samples = torch.Size([max(_LEAST_SAMPLES, 2 ** int(math.log2(_SAMPLES / len(views))))])
        return (IIDNormalSampler if wide else SobolQMCNormalSampler)(samples, seed=self.seed + self.view)

    @cached_property
    def values(self) -> Tensor:
        """(rows, objectives): what is maximized of each measured row."""
        return self.goals.values(self.outputs)

    @cached_property
    def admissible(self) -> Tensor:
        """(rows,): could the measured row be planned, and does it satisfy every outcome constraint? Not where one is
        outstanding."""
        good = self.attainable.clone()
        for each in self.goals.problem.outcome_constraints:
            good &= self.goals.slack(self.outputs, each) >= 0
        return good

    @cached_property
    def constraints(self) -> list[Scalar] | None:
        """Outcome constraints as BoTorch takes them: of model samples, negative where satisfied, in steps of the
        spread that was measured. None where there are none."""
        limits = self.goals.problem.outcome_constraints
        return [self._limit(each) for each in limits] or None

    def _limit(self, limit: OutcomeConstraint) -> Scalar:
        values = self.outputs[:, self.goals.outputs.index(limit.output)]
        values = values[values.isfinite()]
        spread = float(values.std(correction=0)) if len(values) else 0.0
        step = spread if spread > 0 else max(abs(limit.bound), 1.0)
        return lambda samples: -self.goals.slack(self.surrogate.lab(samples), limit) / step

    def log_chance(self, samples: Tensor) -> Tensor:
        """Samples (samples, ..., 1, outputs) -> (...): the log of the chance that every outcome constraint is kept."""
        if self.constraints is None:
            return samples.new_zeros(samples.shape[1:-2])
        chance: Tensor = logmeanexp(self.log_kept(samples).squeeze(-1), dim=0)
        return chance

    def log_kept(self, samples: Tensor) -> Tensor:
        """Samples (..., outputs) -> (...): near 0 where every outcome constraint is kept, far below where one is not."""
        if self.constraints is None:
            return samples.new_zeros(samples.shape[:-1])
        return compute_smoothed_feasibility_indicator(self.constraints, samples, eta=1e-3, log=True, fat=True)

    # One score: of the goals, or of a front in one direction.

    @property
    def best(self) -> float:
        """The best admissible score so far; where nothing is admissible, the best attainable, or else of all."""
        return self._steps[0]

    @property
    def step(self) -> float:
        """A typical difference among the better half of the scores: the unit of what is searched."""
        return self._steps[1]

    def scalar(self, samples: Tensor) -> Tensor:
        """Samples (..., outputs) of the model -> (...): the score above the best so far, in steps."""
        best, step = self._steps
        return (self._score(self.surrogate.lab(samples)) - best) / step

    @cached_property
    def objective(self) -> GenericMCObjective:
        return GenericMCObjective(self._scalar)

    def _scalar(self, samples: Tensor, X: Tensor | None = None) -> Tensor:  # BoTorch's name
        return self.scalar(samples)

    @cached_property
    def scores(self) -> Tensor:
        """(rows,): as measured."""
        return self._score(self.outputs)

    @cached_property
    def _steps(self) -> tuple[float, float]:
        scores = self.scores.cpu().numpy()
        masks = (self.admissible.cpu().numpy(), self.attainable.cpu().numpy())
        best = next((float(scores[good].max()) for good in masks if good.any()), float(scores.max()))
        better = scores[scores >= np.median(scores)]
        return best, float(np.std(better)) or float(np.std(scores)) or max(abs(best), 1.0)

    @cached_property
    def baseline(self) -> Tensor:
        """The measured rows without those that are hardly the best (as the first view sees it). Draws from torch's
        global generator."""
        if self.leader is not None:
            return self.leader.baseline
        if len(self.measured) < 2:
            return self.measured
        order = self.scores.argsort(descending=True, stable=True)
        if bool(self.attainable.any()):
            order = order[self.attainable[order]]
        good = order[self.admissible[order]]
        among = _union(order[:_AMONG], good[:_AMONG])
        kept: Tensor = prune_inferior_points(
            self.surrogate.joint, self.measured[among], objective=self.objective, constraints=self.constraints
        )
        return kept

    def _score(self, lab: Tensor) -> Tensor:
        if not self.goals.problem.pareto:
            return self.goals.climbed(lab)
        low, span = self.ranges
        weighed = (self.goals.values(lab) - low) / span * low.new_tensor(self._direction)
        return weighed.min(dim=-1).values + _AUGMENT * weighed.sum(dim=-1)

    @cached_property
    def _direction(self) -> Array:
        """Weights of the objectives, others for each seed: towards another part of the front (ParEGO)."""
        count = len(self.goals.problem.objectives)
        drawn = np.random.default_rng(self.seed).exponential(size=count)
        return np.asarray(count * drawn / drawn.sum())

    # A front: values from the least that was measured, in units of their range.

    @cached_property
    def ranges(self) -> tuple[Tensor, Tensor]:
        """(objectives,) twice: the least measured value of each objective, and how far they reach."""
        low, high = self._ends
        span = high - low
        return low, torch.where(span > 0, span, low.abs().clamp_min(1.0))

    def several(self, samples: Tensor) -> Tensor:
        """Samples (..., outputs) of the model -> (..., objectives)."""
        low, span = self.ranges
        return (self.goals.values(self.surrogate.lab(samples)) - low) / span

    @cached_property
    def front(self) -> GenericMCMultiOutputObjective:
        return GenericMCMultiOutputObjective(self._several)

    def _several(self, samples: Tensor, X: Tensor | None = None) -> Tensor:  # BoTorch's name
        return self.several(samples)

    @cached_property
    def reference(self) -> Tensor:
        """(objectives,): what the front is measured against, scaled. Where it is inferred while most rows lack an objective
        (one that was set late, or takes long), it is no better than the least values measured: the others may lie close
        together, and a front around them would only grow in small steps."""
        low, span = self.ranges
        found = self.goals.reference(self.values, self.admissible)
        if self._sparse:
            given = low.new_tensor([each.reference is not None for each in self.goals.problem.objectives])
            found = torch.where(given > 0, found, torch.minimum(found, low))
        return (found - low) / span

    @property
    def _sparse(self) -> bool:
        return len(self.partial) > len(self.outputs)

    @property
    def _ends(self) -> tuple[Tensor, Tensor]:
        """(objectives,) twice: the least and the greatest measured value; of all rows where most lack an objective."""
        if not self._sparse:
            return self.values.min(dim=0).values, self.values.max(dim=0).values
        every = torch.cat([self.values, self.goals.values(self.partial)])
        low, high = every.nan_to_num(nan=math.inf), every.nan_to_num(nan=-math.inf)
        return low.min(dim=0).values, high.max(dim=0).values

    @cached_property
    def front_baseline(self) -> Tensor:
        """The measured rows without those that are hardly on the front (as the first view sees it). Draws from
        torch's global generator."""
        if self.leader is not None:
            return self.leader.front_baseline
        everything = torch.arange(len(self.measured), device=self.measured.device)
        if bool(self.attainable.any()):
            everything = everything[self.attainable]
        good = everything[self.admissible[everything]]
        among = _union(_ahead(self.values, everything), _ahead(self.values, good))
        kept: Tensor = prune_inferior_points_multi_objective(
            self.surrogate.joint,
            self.measured[among],
            self.reference,
            objective=self.front,
            constraints=self.constraints,
            num_samples=_PRUNED if self.values.shape[-1] == 2 else _PRUNED_OF_MANY,
        )
        return kept


def _union(one: Tensor, other: Tensor) -> Tensor:
    """Places that are in either, rising."""
    return one.new_tensor(sorted({*one.tolist(), *other.tolist()}))


def _ahead(values: Tensor, left: Tensor) -> Tensor:
    """Of the rows `left`, those on their front, on the front of the others, and so on: `_AMONG` or a few more."""
    found = left[:0]
    while len(left) and len(found) < _AMONG:
        first = is_non_dominated(values[left])
        found, left = torch.cat([found, left[first]]), left[~first]
    return found


def complete(problem: Problem, rows: Sequence[Observation]) -> list[Observation]:
    """The measured rows that have every objective's output (where all is to be learnt nothing is compared, and one is
    enough). Raises LearningError where there are none."""
    found = [row for row in rows if row.outcome == "measured" and _compared(problem, row)]
    if not found:
        raise LearningError("no result has every objective's output")
    return found


def partial(problem: Problem, rows: Sequence[Observation]) -> list[Observation]:
    """The other measured rows."""
    return [row for row in rows if row.outcome == "measured" and not _compared(problem, row)]


def _compared(problem: Problem, row: Observation) -> bool:
    names, enough = {each.output for each in problem.objectives}, any if problem.learning else all
    return enough(math.isfinite(row.outputs.get(name, math.nan)) for name in names)
