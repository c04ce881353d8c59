"""Why a point was chosen, in a plain sentence."""

from __future__ import annotations

import math

from labqueue.problem import MINIMIZE, Problem
from labqueue.strategy import SOBOL, Strategy

from .values import SCORE


def design(number: int, strategy: Strategy) -> str:
    """For the point of index `number` of a design."""
    if strategy.method == SOBOL:
        return f"Point {number + 1} of a Sobol design that fills the space evenly."
    return (
        f"Point {number + 1} of {strategy.initial} of the initial Sobol design, which fills the space evenly."
    )


def fallback(why: str) -> str:
    """For a point of a design that stands in for a model."""
    return f"No model could be asked ({why.rstrip('.')}), so the space is filled on evenly instead."


def chosen(
    problem: Problem, expected: dict[str, tuple[float, float]], best: float, pending: int, repeated: bool
) -> str:
    """For a point that a model chose; `best` is the best score so far."""
    mean, spread = expected[SCORE]
    name, unit, sign = "a score", "", 1.0
    if len(problem.objectives) == 1:
        (objective,) = problem.objectives
        mean, spread = expected[objective.output]
        unit = next(
            f" {each.unit}" if each.unit else "" for each in problem.outputs if each.name == objective.output
        )
        name, sign = objective.output, -1.0 if objective.goal == MINIMIZE else 1.0
        best = sign * best / objective.weight
    gain = sign * (mean - best)
    chance = 0.5 * (1 + math.erf(gain / (spread * math.sqrt(2)))) if spread > 0 else float(gain > 0)
    figures = f"{name} of {mean:.4g} ± {spread:.2g}{unit}; the best so far is {best:.4g}"
    if repeated:
        text = f"Every point that can be run was run or is in flight, so this one is repeated: {figures}."
    elif gain > 0:
        text = f"Expected to beat the best so far: {figures}."
    else:
        share = f"{100 * chance:.0f} %" if chance >= 0.005 else "under 1 %"
        text = f"Uncertain, so worth a look: {figures} (chance to beat it: {share})."
    if pending:
        text += f" {pending} point{'s' if pending > 1 else ''} in flight taken into account."
    return text
