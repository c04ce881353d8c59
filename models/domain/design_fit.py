"""Does an initial design suit a problem? Said before a campaign begins, with what to take instead."""

from __future__ import annotations

from labqueue.errors import FieldError
from labqueue.problem import Categorical, Linear, Mixture, Problem
from labqueue.strategy import CALLER, FILLING, Strategy
from models.space.counts import factors, values

from .design_size import size

#: A design larger than this is no design any more.
LIMIT = 10_000

_TWO_LEVELS = ("fractional_factorial", "plackett_burman")
_CURVED = {"central_composite": 2, "box_behnken": 3}  # the least number of factors
_KIND = "strategy.design.kind"


def check(problem: Problem, strategy: Strategy) -> list[FieldError]:
    """What is wrong with this design for this problem; empty where it can be made."""
    design = strategy.design
    if strategy.method == CALLER:
        return []
    if design.kind in FILLING:
        if design.center:
            return [
                FieldError(
                    "strategy.design.center",
                    f"has no meaning for {design.kind}: it has no levels, so it has no centre.",
                    design.center,
                    0,
                )
            ]
        return []
    wrong = _problem(problem) or _factors(problem, design.kind)
    if wrong:
        return [FieldError(_KIND, f"cannot be {design.kind} here: {wrong}", design.kind, ", ".join(FILLING))]
    if size(problem, strategy) > LIMIT:
        field = "strategy.design.levels" if design.kind == "full_factorial" else _KIND
        came = design.levels if design.kind == "full_factorial" else design.kind
        return [
            FieldError(
                field,
                f"makes a {design.kind} of more than {LIMIT:,} experiments.",
                came,
                f"a design of at most {LIMIT:,} experiments",
            )
        ]
    return []


def _problem(problem: Problem) -> str:
    if problem.pool is not None or not factors(problem):
        return "there are no parameters to give levels to."
    conditional = [each.name for each in factors(problem) if each.when is not None]
    if conditional:
        return f"{_listed(conditional)} exists only under a condition."
    for rule in problem.constraints:
        if isinstance(rule, Mixture) or (isinstance(rule, Linear) and rule.operator == "=="):
            return f"its corners cannot keep the sum {rule}; d_optimal can."
    return ""


def _factors(problem: Problem, kind: str) -> str:
    named = factors(problem)
    if kind in _TWO_LEVELS:
        odd = [
            each.name
            for each in named
            if isinstance(each, Categorical) and not each.ordered and len(each.available) != 2
        ]
        return f"it has two levels, and {_listed(odd)} has not two categories." if odd else ""
    if kind not in _CURVED:
        return ""
    categories = [each.name for each in named if isinstance(each, Categorical) and not each.ordered]
    if categories:
        return f"it needs a middle between two ends, and {_listed(categories)} is a category."
    short = [each.name for each in named if (values(each) or 3) < 3]
    if short:
        return f"it needs three levels, and {_listed(short)} has fewer values."
    least = _CURVED[kind]
    return f"it needs at least {least} parameters, and there are {len(named)}." if len(named) < least else ""


def _listed(names: list[str]) -> str:
    return ", ".join(names)
