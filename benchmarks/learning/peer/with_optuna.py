"""Optuna: its GPSampler and its default sampler, TPE. The first points are enqueued.

GPSampler is told that the design is its start-up, so that it chooses from the first ask on as the others do; TPE keeps
its defaults. Neither can be given a reference point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from benchmarks.learning.vocabulary import Names, Parameter, Point, Problem, Whole

from .side import Peer

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Optuna(Peer):
    packages: ClassVar[tuple[str, ...]] = ("optuna",)

    def __init__(
        self, problem: Problem, seed: int, first: Sequence[Point], sampler: optuna.samplers.BaseSampler
    ) -> None:
        super().__init__(problem, seed, first)
        self.space = {each.name: _distribution(each) for each in problem.parameters}
        self.study = optuna.create_study(directions=[aim.goal for aim in problem.aims], sampler=sampler)
        self.trials: dict[int, optuna.Trial] = {}

    def given(self, run: int, point: Point) -> None:
        self.study.enqueue_trial(dict(point))
        self.ask(run)

    def ask(self, run: int) -> Point:
        trial = self.trials[run] = self.study.ask(self.space)
        point: Point = trial.params
        return point

    def record(self, run: int, outputs: Mapping[str, float]) -> None:
        trial = self.trials.pop(run)
        for name, most in self.problem.limits:
            trial.set_constraint(name, outputs[name] - most)
        self.study.tell(trial, [outputs[aim.output] for aim in self.problem.aims])


class OptunaTPE(Optuna):
    def __init__(self, problem: Problem, seed: int, first: Sequence[Point]) -> None:
        super().__init__(problem, seed, first, optuna.samplers.TPESampler(seed=seed))


class OptunaGP(Optuna):
    packages = ("optuna", "torch")

    def __init__(self, problem: Problem, seed: int, first: Sequence[Point]) -> None:
        super().__init__(problem, seed, first, optuna.samplers.GPSampler(seed=seed, n_startup_trials=2))


def _distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Names):
        return CategoricalDistribution(parameter.values)
    kind = IntDistribution if isinstance(parameter, Whole) else FloatDistribution
    return kind(parameter.low, parameter.high)
