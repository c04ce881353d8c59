"""Ax as a campaign's learner. It has no state: each time a client is made of the rows, with what is in flight as running
trials.    labqueue serve-learner ax_learner.py:AxLearner --campaign snar"""

import logging

import ax
import torch
from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from ax.utils.common.logger import set_ax_logger_levels

from labqueue.learning import sample
from labqueue.problem import Categorical, Continuous, Fixed, Integer, Linear

set_ax_logger_levels(logging.WARNING)
FEWEST = 3  # rows before Ax's model is asked


class AxLearner:
    def __init__(self):
        self.versions = {"ax": ax.__version__}

    def suggest(self, problem, rows, pending, count, state, seed):
        torch.manual_seed(seed)
        names = [each.name for each in problem.planned if not isinstance(each, Fixed)]
        done = [row for row in rows if values(problem, row) is not None]
        if len(done) < FEWEST:
            return sample(problem, count, seed, but=[*pending, *(row.planned for row in rows)])
        client = Client(random_seed=seed)
        client.configure_experiment(
            parameters=[config(each) for each in problem.planned if each.name in names],
            parameter_constraints=[rule for each in problem.constraints for rule in rules(each)],
        )
        client.configure_optimization(objective=", ".join(f"goal{n}" for n in range(len(problem.objectives))))
        client.configure_generation_strategy("fast", initialization_budget=0, initialize_with_center=False)
        for row in done:
            number = client.attach_trial({name: row.parameters[name] for name in names})
            client.complete_trial(number, {f"goal{n}": each for n, each in enumerate(values(problem, row))})
        for point in pending:
            client.attach_trial({name: point[name] for name in names})
        return [settled(problem, each) for each in client.get_next_trials(count).values()]


def values(problem, row):
    """What is to be maximized of each objective; None where an output is missing."""
    return problem.values({name: problem.output(name).encode(each) for name, each in row.outputs.items()})


def config(parameter):
    if isinstance(parameter, Categorical):
        return ChoiceParameterConfig(parameter.name, list(parameter.available), "str", parameter.ordered)
    if isinstance(parameter, (Continuous, Integer)):
        kind = "int" if isinstance(parameter, Integer) else "float"
        step = getattr(parameter, "step", None)
        scaling = "log" if parameter.log and not step else None
        return RangeParameterConfig(parameter.name, (parameter.low, parameter.high), kind, step, scaling)
    return ChoiceParameterConfig(parameter.name, list(parameter.values), "float", is_ordered=True)


def rules(constraint):
    """Linear inequalities, in Ax's words."""
    if not isinstance(constraint, Linear) or constraint.operator == "==":
        raise TypeError(f"this learner does not take the constraint {constraint}")
    terms = " + ".join(f"{factor} * {name}" for name, factor in constraint.coefficients)
    return [f"{terms} {constraint.operator} {constraint.bound}"]


def settled(problem, point):
    """Steps, to the last decimal."""
    steps = {each.name: each for each in problem.planned if isinstance(each, Continuous)}
    return {name: steps[name].nearest(value) if name in steps else value for name, value in point.items()}
