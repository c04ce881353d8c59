"""allowing: which measured rows lie where a problem, as it is since its last edit, could still send an experiment.

The others teach the model as before; but the best, a target and what is to be improved on are looked for among these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labqueue.problem import Categorical, Context, Discrete, Fixed, Parameter, Problem
from models.domain import records as r


def allowed(campaign: r.Campaign, problem: Problem, rows: Sequence[r.TrainingRow]) -> Sequence[r.TrainingRow]:
    """Those at points that the problem allows; all, until it is edited. A value off its steps counts as beside one on
    them."""
    if campaign.problem_version == 1 or problem.opaque:
        return rows
    return [row for row in rows if _allows(problem, row.planned)]


def _allows(problem: Problem, point: Any) -> bool:
    if problem.check_run(point):
        return False
    active = problem.active(point)
    if not all(_within(each, point.get(each.name)) for each in active):
        return False
    fixed = {each.name: each.value for each in active if isinstance(each, Fixed)}
    return not any(each.check({**fixed, **point}) for each in problem.constraints)


def _within(parameter: Parameter, value: Any) -> bool:
    if isinstance(parameter, (Fixed, Context)):
        return True  # a fixed one was looked at with the run
    if isinstance(parameter, Categorical):
        return value in parameter.available
    if isinstance(parameter, Discrete):
        return bool(min(parameter.values) <= value <= max(parameter.values))
    return bool(parameter.low <= value <= parameter.high)
