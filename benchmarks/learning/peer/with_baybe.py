"""BayBE: a Campaign with its default two-phase recommender; two aims by ParetoObjective with the reference point.

It has no outcome constraints. In spaces with whole numbers or names it optimizes every combination of them by itself,
which takes minutes an ask: its own means against that, a farthest-point sample of the combinations, is used.
"""

from __future__ import annotations

import pandas as pd
from baybe import Campaign, active_settings
from baybe.acquisition import qLogNEHVI
from baybe.objectives import ParetoObjective
from baybe.parameters import CategoricalParameter, NumericalContinuousParameter, NumericalDiscreteParameter
from baybe.parameters.base import Parameter as BayBEParameter
from baybe.recommenders import BotorchRecommender, TwoPhaseMetaRecommender
from baybe.searchspace import SearchSpace
from baybe.targets import NumericalTarget

from benchmarks.learning.vocabulary import MINIMIZE, Names, Parameter, Point, Problem, Whole

from .side import WithTables

_SHARE = 0.05  # of the combinations of whole numbers and names


class BayBE(WithTables):
    packages = ("baybe", "botorch", "torch")
    left_out = frozenset({"gramacy", "snar"})

    def choose(self, run: int) -> Point:
        active_settings.random_seed = 1000 * self.seed + run
        campaign = _campaign(self.problem)
        campaign.add_measurements(pd.DataFrame([{**point, **outputs} for point, outputs in self.measured]))
        pending = pd.DataFrame([dict(point) for point in self.pending.values()]) if self.pending else None
        found = campaign.recommend(1, pending_experiments=pending)
        return {each.name: found[each.name].iloc[0] for each in self.problem.parameters}


def _campaign(problem: Problem) -> Campaign:
    targets = [NumericalTarget(aim.output, minimize=aim.goal == MINIMIZE) for aim in problem.aims]
    sampled = {} if problem.boxed else {"hybrid_sampler": "FPS", "sampling_percentage": _SHARE}
    if len(targets) == 1:
        objective, recommender = targets[0].to_objective(), BotorchRecommender(**sampled)
    else:
        worst = tuple(-aim.sign * float(aim.reference or 0.0) for aim in problem.aims)
        objective = ParetoObjective(targets)
        recommender = BotorchRecommender(acquisition_function=qLogNEHVI(reference_point=worst), **sampled)
    space = SearchSpace.from_product([_parameter(each) for each in problem.parameters])
    return Campaign(space, objective, TwoPhaseMetaRecommender(recommender=recommender))


def _parameter(parameter: Parameter) -> BayBEParameter:
    if isinstance(parameter, Names):
        return CategoricalParameter(parameter.name, list(parameter.values))
    if isinstance(parameter, Whole):
        return NumericalDiscreteParameter(parameter.name, list(range(parameter.low, parameter.high + 1)))
    return NumericalContinuousParameter(parameter.name, (parameter.low, parameter.high))
