"""Ax: its Client with method "fast". The reference point becomes objective thresholds.

The first points are attached and stand for its own start, the centre included.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from ax.utils.common.logger import set_ax_logger_levels

from benchmarks.learning.vocabulary import MINIMIZE, Aim, Names, Parameter, Point, Problem, Whole

from .side import Peer

set_ax_logger_levels(logging.ERROR)


class Ax(Peer):
    packages = ("ax-platform", "botorch", "torch")
    left_out = frozenset({"snar"})

    def __init__(self, problem: Problem, seed: int, first: Sequence[Point]) -> None:
        super().__init__(problem, seed, first)
        self.client = Client(random_seed=seed)
        self.client.configure_experiment([_parameter(each) for each in problem.parameters])
        limits = [f"{name} <= {most}" for name, most in problem.limits]
        thresholds = [_threshold(aim) for aim in problem.aims if aim.reference is not None]
        self.client.configure_optimization(
            ", ".join(("-" if aim.goal == MINIMIZE else "") + aim.output for aim in problem.aims),
            outcome_constraints=limits + thresholds or None,
        )
        self.client.configure_generation_strategy(method="fast", initialize_with_center=False)
        self.trials: dict[int, int] = {}

    def given(self, run: int, point: Point) -> None:
        self.trials[run] = self.client.attach_trial(dict(point))

    def ask(self, run: int) -> Point:
        found: dict[int, Point] = self.client.get_next_trials(1)
        ((trial, point),) = found.items()
        self.trials[run] = trial
        return point

    def record(self, run: int, outputs: Mapping[str, float]) -> None:
        self.client.complete_trial(self.trials.pop(run), dict(outputs))


def _threshold(aim: Aim) -> str:
    return f"{aim.output} {'<=' if aim.goal == MINIMIZE else '>='} {aim.reference}"


def _parameter(parameter: Parameter) -> RangeParameterConfig | ChoiceParameterConfig:
    if isinstance(parameter, Names):
        return ChoiceParameterConfig(
            name=parameter.name, values=list(parameter.values), parameter_type="str", is_ordered=False
        )
    return RangeParameterConfig(
        name=parameter.name,
        bounds=(parameter.low, parameter.high),
        parameter_type="int" if isinstance(parameter, Whole) else "float",
    )
