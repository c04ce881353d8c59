"""allowing: which measured rows lie where a problem, as it is since its last edit, could still send an experiment.

The others teach the model as before; but the best, a target and what is to be improved on are looked for among these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from labqueue.problem import Categorical, Context, Continuous, Discrete, Fixed, Integer, Parameter, Problem
from models.domain import records as r

_NEAR = 0.05


def allowed(campaign: r.Campaign, problem: Problem, rows: Sequence[r.TrainingRow]) -> Sequence[r.TrainingRow]:
    """Those at points that the problem allows; all, until it is edited. A value off its steps counts as beside one on
    them, and amounts that were rounded may break a constraint by a little: as the learner sees it
    (`models/surrogates/attainable`)."""
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
    whole = {**fixed, **point}
    return not any(each.check(whole) for each in problem.constraints) or _nearly(problem, whole)


def _nearly(problem: Problem, point: Mapping[str, Any]) -> bool:
    """Is there a point that keeps the constraints next to this one?"""
    # Imported here: only a problem with constraints needs a solver.
    from models.space.repair import quickly_valid
    from models.space.rounding import span

    numbers = [each for each in problem.active(point) if isinstance(each, (Continuous, Integer, Discrete))]
    found = quickly_valid(problem, point)
    return found is not None and all(
        abs(found.get(each.name, math.inf) - point[each.name]) <= _NEAR * (high - low)
        for each in numbers
        for low, high in [span(each)]
    )


def _within(parameter: Parameter, value: Any) -> bool:
    if isinstance(parameter, (Fixed, Context)):
        return True  # a fixed one was looked at with the run
    if isinstance(parameter, Categorical):
        return value in parameter.available
    if isinstance(parameter, Discrete):
        return bool(min(parameter.values) <= value <= max(parameter.values))
    return bool(parameter.low <= value <= parameter.high)
