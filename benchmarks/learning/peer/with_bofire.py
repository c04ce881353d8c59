"""BoFire: SoboStrategy with its default qLogNEI, MoboStrategy with the reference point where there are two aims.

Outcome limits are sigmoid objectives, which is how BoFire takes them; they are made steep.
"""

from __future__ import annotations

import bofire.strategies.api as strategies
import pandas as pd
from bofire.data_models.domain.api import Domain, Inputs, Outputs
from bofire.data_models.features.api import (
    AnyInput,
    CategoricalInput,
    ContinuousInput,
    ContinuousOutput,
    DiscreteInput,
)
from bofire.data_models.objectives.api import MaximizeObjective, MinimizeObjective, MinimizeSigmoidObjective
from bofire.data_models.strategies.api import MoboStrategy, SoboStrategy

from benchmarks.learning.vocabulary import MINIMIZE, Names, Parameter, Point, Problem, Whole

from .side import WithTables

_STEEPNESS = 1000.0  # BoTorch's usual softness of a constraint, 1e-3


class BoFire(WithTables):
    packages = ("bofire", "botorch", "torch")
    left_out = frozenset({"snar"})

    def choose(self, run: int) -> Point:
        strategy = strategies.map(_strategy(self.problem, 1000 * self.seed + run))
        rows = [
            {**point, **outputs, **{f"valid_{name}": 1 for name in outputs}}
            for point, outputs in self.measured
        ]
        strategy.tell(pd.DataFrame(rows))
        if self.pending:
            strategy.set_candidates(pd.DataFrame([dict(point) for point in self.pending.values()]))
        found = strategy.ask(1)
        return {each.name: found[each.name].iloc[0] for each in self.problem.parameters}


def _strategy(problem: Problem, seed: int) -> SoboStrategy | MoboStrategy:
    aims = [
        ContinuousOutput(
            key=aim.output,
            objective=MinimizeObjective(w=1) if aim.goal == MINIMIZE else MaximizeObjective(w=1),
        )
        for aim in problem.aims
    ]
    limits = [
        ContinuousOutput(key=name, objective=MinimizeSigmoidObjective(w=1, tp=most, steepness=_STEEPNESS))
        for name, most in problem.limits
    ]
    domain = Domain(
        inputs=Inputs(features=[_input(each) for each in problem.parameters]),
        outputs=Outputs(features=[*aims, *limits]),
    )
    if len(problem.aims) == 1:
        return SoboStrategy(domain=domain, seed=seed)
    worst = {aim.output: aim.reference for aim in problem.aims}
    return MoboStrategy(domain=domain, ref_point=worst, seed=seed)


def _input(parameter: Parameter) -> AnyInput:
    if isinstance(parameter, Names):
        return CategoricalInput(key=parameter.name, categories=list(parameter.values))
    if isinstance(parameter, Whole):
        return DiscreteInput(key=parameter.name, values=list(range(parameter.low, parameter.high + 1)))
    return ContinuousInput(key=parameter.name, bounds=(parameter.low, parameter.high))
