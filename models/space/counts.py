"""How many values and runs there are: arithmetic alone, without arrays."""

from __future__ import annotations

from labqueue.problem import Categorical, Context, Continuous, Discrete, Fixed, Integer, Parameter, Problem

Factor = Continuous | Integer | Discrete | Categorical


def factors(problem: Problem) -> tuple[Factor, ...]:
    """The parameters that a design varies: all that are chosen."""
    return tuple(each for each in problem.planned if not isinstance(each, (Fixed, Context)))


def values(parameter: Parameter) -> int | None:
    """How many values a parameter may be given; None: any number in a range."""
    if isinstance(parameter, Categorical):
        return len(parameter.available)
    if isinstance(parameter, Discrete):
        return len(parameter.values)
    if isinstance(parameter, Integer):
        return parameter.high - parameter.low + 1
    if isinstance(parameter, Continuous) and parameter.step is not None:
        return parameter.steps + 1
    return None


def endless(problem: Problem) -> bool:
    """May a parameter take any number in a range? Then no number of runs uses its space up."""
    return any(values(each) is None for each in factors(problem))


def levels(parameter: Factor, wanted: int) -> int:
    """How many values of it a full factorial takes: every category, `wanted` numbers or as many as there are."""
    known = values(parameter)
    if isinstance(parameter, Categorical) and known is not None:
        return known
    return wanted if known is None else min(wanted, known)


def base_factors(count: int) -> int:
    """m of the smallest regular two-level design of resolution IV, which has 2^m runs: the m factors that are
    varied freely have 2^(m-1) products of odd order, enough for `count` factors (Box, Hunter and Hunter 2005)."""
    return next(m for m in range(1, count + 1) if count <= 2 ** (m - 1) or m == count)


def plackett_burman_runs(count: int) -> int:
    """The least N > count, a multiple of 4, of which a Hadamard matrix is built from those of 1, 12 and 20."""
    runs = 4 * (count // 4 + 1)
    while not any(runs % seed == 0 and (runs // seed).bit_count() == 1 for seed in (1, 12, 20)):
        runs += 4
    return runs
