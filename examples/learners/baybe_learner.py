"""BayBE as a campaign's learner. It has no state: each time a recommendation is made from the rows, with what is in
flight as pending.    labqueue serve-learner baybe_learner.py:Baybe --campaign snar"""

import baybe
import pandas as pd
from baybe.constraints import ContinuousLinearConstraint
from baybe.objectives import ParetoObjective, SingleTargetObjective
from baybe.parameters import CategoricalParameter, NumericalContinuousParameter, NumericalDiscreteParameter
from baybe.recommenders import BotorchRecommender
from baybe.searchspace import SearchSpace
from baybe.settings import Settings
from baybe.targets import NumericalTarget

from labqueue.learning import sample
from labqueue.problem import Categorical, Continuous, Discrete, Fixed, Integer, Linear, Mixture

FEWEST = 2  # rows before the model is asked


class Baybe:
    def __init__(self):
        self.versions = {"baybe": baybe.__version__}

    def suggest(self, problem, rows, pending, count, state, seed):
        names = [each.name for each in problem.planned if not isinstance(each, Fixed)]
        table = pd.DataFrame([values for row in rows if (values := numbers(problem, row, names)) is not None])
        if len(table) < FEWEST:
            return sample(problem, count, seed, but=[*pending, *(row.planned for row in rows)])
        space = SearchSpace.from_product(
            [parameter(each) for each in problem.planned if each.name in names],
            [rule for each in problem.constraints for rule in rules(each)],
        )
        targets = [NumericalTarget(f"goal{n}") for n in range(len(problem.objectives))]
        objective = SingleTargetObjective(targets[0]) if len(targets) == 1 else ParetoObjective(targets)
        flying = (
            pd.DataFrame([{name: point[name] for name in names} for point in pending]) if pending else None
        )
        with Settings(random_seed=seed):
            chosen = BotorchRecommender().recommend(
                count, space, objective, table, pending_experiments=flying
            )
        return [settled(problem, each) for each in chosen.to_dict("records")]


def numbers(problem, row, names):
    """A line of the table: parameters, and what is maximized of each objective; None where that is not known."""
    values = problem.values({name: problem.output(name).encode(each) for name, each in row.outputs.items()})
    if values is None:
        return None
    return {name: row.parameters[name] for name in names} | {
        f"goal{n}": each for n, each in enumerate(values)
    }


def parameter(each):
    if isinstance(each, Categorical):
        return CategoricalParameter(each.name, each.categories, active_values=each.available)
    if isinstance(each, Discrete):
        return NumericalDiscreteParameter(each.name, each.values)
    # Many whole numbers times other values would be a very long table: they are rounded afterwards.
    return NumericalContinuousParameter(each.name, (each.low, each.high))


def rules(constraint):
    linear = constraint.sum if isinstance(constraint, Mixture) else constraint
    if not isinstance(linear, Linear):
        raise TypeError(f"this learner takes no {linear.kind} constraint")
    names, factors = zip(*linear.coefficients, strict=True)
    return [ContinuousLinearConstraint(names, linear.operator.replace("==", "="), factors, linear.bound)]


def settled(problem, point):
    """Steps, and whole numbers, to the last decimal."""
    found = {}
    for name, value in point.items():
        kind = problem.parameter(name)
        value = round(value) if isinstance(kind, Integer) else value
        found[name] = kind.nearest(value) if isinstance(kind, Continuous) else value
    return found
