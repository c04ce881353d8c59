"""How many experiments an initial design has: arithmetic alone, no design is made."""

from __future__ import annotations

import math

from labqueue.problem import Problem
from labqueue.strategy import FILLING, Strategy
from models.space.counts import base_factors, factors, levels, plackett_burman_runs


def size(problem: Problem, strategy: Strategy) -> int:
    """Points of the strategy's design: as many as `initial` where it fills a space, else its own number.

    A design with a number of its own must fit the problem (`design_fit.check`).
    """
    design = strategy.design
    if design.kind in FILLING:
        return strategy.initial
    count = len(factors(problem))
    if design.kind == "full_factorial":
        return math.prod(levels(each, design.levels) for each in factors(problem)) + design.center
    runs = {
        "fractional_factorial": int(2 ** base_factors(count)),
        "central_composite": int(2**count) + 2 * count,
        "box_behnken": 2 * count * (count - 1),
        "plackett_burman": plackett_burman_runs(count),
    }
    return runs[design.kind] + design.center
