"""Optuna as a campaign's learner: TPE, or its Gaussian process (`:Gaussian`). It has no state: each time a study is made
of the rows, with what is in flight as running trials.    labqueue serve-learner optuna_learner.py:Tpe --campaign snar"""

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from labqueue.problem import Categorical, Continuous, Discrete, Fixed, Integer

optuna.logging.set_verbosity(optuna.logging.WARNING)
TRIES = 200


class Tpe:
    def __init__(self):
        self.versions = {"optuna": optuna.__version__}

    def sampler(self, seed):
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)

    def suggest(self, problem, rows, pending, count, state, seed):
        space = {each.name: distribution(each) for each in problem.planned if not isinstance(each, Fixed)}
        goals = max(1, len(problem.objectives))
        study = optuna.create_study(directions=["maximize"] * goals, sampler=self.sampler(seed))
        for row in rows:
            measured = {name: problem.output(name).encode(value) for name, value in row.outputs.items()}
            values = problem.values(measured)
            if values is not None and inside(row.parameters, space):
                study.add_trial(trial(row.parameters, space, values=list(values)))
        for point in pending:
            study.add_trial(trial(point, space, state=TrialState.RUNNING))
        taken = [problem.ordered(each) for each in (*pending, *(row.planned for row in rows))]
        found = []
        for _ in range(TRIES):
            asked = study.ask(space)
            point = {
                each.name: asked.params[each.name]
                for each in problem.active(asked.params)
                if each.name in space
            }
            if problem.check_point(point) or problem.normal(point) in taken:
                study.tell(asked, state=TrialState.FAIL)  # it keeps no constraints, and repeats itself
                continue
            taken.append(problem.normal(point))
            found.append(point)
            if len(found) == count:
                return found
        raise RuntimeError(f"no {count} new allowed points in {TRIES} tries")


class Gaussian(Tpe):
    def sampler(self, seed):
        return optuna.samplers.GPSampler(seed=seed, deterministic_objective=False)


def distribution(parameter):
    if isinstance(parameter, Continuous):
        log = parameter.log and parameter.step is None
        return FloatDistribution(parameter.low, parameter.high, log=log, step=parameter.step)
    if isinstance(parameter, Integer):
        return IntDistribution(parameter.low, parameter.high, log=parameter.log)
    if isinstance(parameter, Discrete):
        return CategoricalDistribution(parameter.values)
    assert isinstance(parameter, Categorical)
    return CategoricalDistribution(parameter.available)


def inside(point, space):
    """What was really run may lie outside the bounds; Optuna cannot take that."""
    return all(
        each._contains(each.to_internal_repr(point[name])) for name, each in space.items() if name in point
    )


def trial(point, space, **more):
    known = {name: each for name, each in space.items() if name in point}
    return create_trial(params={name: point[name] for name in known}, distributions=known, **more)
