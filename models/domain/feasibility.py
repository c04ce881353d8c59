"""Is there any point that a problem's constraints allow?"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product

from labqueue.problem import (
    TOLERANCE,
    Categorical,
    Constraint,
    Context,
    Discrete,
    Expression,
    Fixed,
    Linear,
    Mixture,
    Parameter,
    Problem,
    Value,
)
from labqueue.problem.expression import Node, evaluate
from models.space.intervals import EMPTY, INTERVALS, Interval, of

#: How many boxes are looked at before it is left open whether expressions can be kept.
_BOXES = 2000
#: Where there are more constraints, those that contradict each other are not looked for.
_LEFT_OUT = 20
_SEARCHES = 4
#: At so many ends of ranges, and at so many points between them, an expression is tried.
_ENDS, _BETWEEN = 256, 200

_Box = dict[str, Interval]


def feasible(problem: Problem) -> bool:
    """Whether some point satisfies every bound and constraint; True where that cannot be decided.

    Sums, mixtures, steps, conditions and exclusions are decided by a mixed-integer linear program. Expressions are
    searched for a point that keeps them; where none is found, the space is cut into ever smaller boxes, and only
    where each breaks a rule everywhere in it (interval arithmetic) is there proven to be none. One that has no finite
    value at any of some hundred points is taken to have none.
    """
    if not problem.constraints:
        return True
    # Imported here: only a problem with constraints needs a solver.
    from models.space.repair import impossible, nearest_valid

    if impossible(problem):
        return False
    if not any(isinstance(each, Expression) for each in problem.constraints):
        return True
    return nearest_valid(problem, {}, _SEARCHES) is not None or not (_senseless(problem) or _proven(problem))


def conflict(problem: Problem) -> tuple[Constraint, ...]:
    """Of a problem that is not feasible, constraints that cannot hold together: without any of them the others are
    not proven to contradict. Nothing where there are too many to leave each out once."""
    kept = problem.constraints
    if len(kept) > _LEFT_OUT or not _contradict(problem):
        return ()
    for each in problem.constraints:
        fewer = tuple(other for other in kept if other is not each)
        if fewer and _contradict(replace(problem, constraints=fewer)):
            kept = fewer
    return kept


def _contradict(problem: Problem) -> bool:
    """Is that proven?"""
    from models.space.repair import impossible

    return impossible(problem) or _senseless(problem) or _proven(problem)


def _proven(problem: Problem) -> bool:
    """Is every box without a point? Numbers are taken to be continuous, and a conditional one may be absent."""
    box = _whole(problem)
    rules = [each.sum if isinstance(each, Mixture) else each for each in problem.constraints]
    bent = [name for each in rules if isinstance(each, Expression) for name in each.names]
    boxes = deque([box])
    looked = 0
    while boxes:
        looked += 1
        if looked > _BOXES:
            return False
        box = boxes.popleft()
        if not all(_may_hold(each, box) for each in rules if isinstance(each, (Linear, Expression))):
            continue
        halves = _halves(box, problem, bent)
        if not halves:
            return False
        boxes.extend(halves)
    return True


def _may_hold(rule: Linear | Expression, box: _Box) -> bool:
    if isinstance(rule, Linear):
        ends = [sorted(factor * end for end in box[name]) for name, factor in rule.coefficients]
        low, high = sum(each[0] for each in ends), sum(each[1] for each in ends)
        slack = TOLERANCE * max([1.0, abs(rule.bound), *(abs(end) for each in ends for end in each)])
        over, under = low > rule.bound + slack, high < rule.bound - slack
        return not {"<=": over, ">=": under, "==": over or under}[rule.operator]
    left, right = (of(evaluate(side, box, INTERVALS)) for side in (rule.left, rule.right))
    if EMPTY in (left, right) or any(low == math.inf or high == -math.inf for low, high in (left, right)):
        return False  # no real number anywhere, or too large for one everywhere
    lesser, greater = (left, right) if rule.comparison in ("<", "<=") else (right, left)
    return lesser[0] <= greater[1] + TOLERANCE * max(1.0, abs(greater[1]))


def nowhere(problem: Problem, node: Node) -> bool:
    """Is it proven that this expression in the problem's numbers has no finite value anywhere in their ranges?"""
    found = of(evaluate(node, _whole(problem), INTERVALS))
    return found == EMPTY or found[0] == math.inf or found[1] == -math.inf


def never_positive(problem: Problem, node: Node) -> bool:
    """Is it proven that this expression in the problem's numbers is 0 or less wherever it is a real number?"""
    return of(evaluate(node, _whole(problem), INTERVALS))[1] <= 0


def unpriced(problem: Problem, node: Node) -> tuple[float, dict[str, Value]] | None:
    """The value that is below 0 or not finite which this expression in the problem's numbers has at a point that the
    constraints allow, and that point; None where none was found."""
    for point in _tried(problem, node.names):
        value = evaluate(node, _amounts(point, node.names))
        if not 0 <= value < math.inf:
            return value, point
    return None


def _senseless(problem: Problem) -> bool:
    """Has a side of an expression no finite value at any of the points that were tried? Such a one is not kept."""
    free = replace(problem, constraints=())
    return any(
        not any(_finite(rule, point) for point in _tried(free, rule.names))
        for rule in problem.constraints
        if isinstance(rule, Expression)
    )


def _finite(rule: Expression, point: Mapping[str, Value]) -> bool:
    amounts = _amounts(point, rule.names)
    return all(math.isfinite(evaluate(side, amounts)) for side in (rule.left, rule.right))


def _amounts(point: Mapping[str, Value], names: Sequence[str]) -> dict[str, float]:
    """What numbers count as at a point: 0 where they do not exist."""
    return {name: float(point.get(name) or 0.0) for name in names}


def _tried(problem: Problem, names: Sequence[str]) -> Iterator[dict[str, Value]]:
    """Points that the constraints allow: with these numbers at the ends of their ranges, and spread between them."""
    from models.space.repair import quickly_valid

    ranges = {name: low_high for name, low_high in _whole(problem).items() if name in names}
    ends = islice(product((0.0, 1.0), repeat=len(ranges)), _ENDS)
    # Evenly spread: the fractional parts of multiples of powers of 2^(1/(d+1)) (Niederreiter 1972).
    steps = [2.0 ** (place / (len(ranges) + 1)) for place in range(1, len(ranges) + 1)]
    between = ([number * each % 1.0 for each in steps] for number in range(1, _BETWEEN + 1))
    for shares in (*ends, *between):
        wanted: dict[str, Value] = {
            name: low + share * (high - low)
            for share, (name, (low, high)) in zip(shares, ranges.items(), strict=True)
        }
        point = quickly_valid(problem, wanted)
        if point is not None:
            yield point


def _whole(problem: Problem) -> _Box:
    """Of each number that is planned its whole range."""
    return {each.name: _range(each) for each in problem.planned if _is_number(each)}


def _halves(box: _Box, problem: Problem, names: list[str]) -> list[_Box]:
    """The box cut in two along the name that is the largest part of its range; nothing where all are points."""
    shares = {}
    for name in names:
        low, high = _range(problem.parameter(name))
        if box[name][0] < box[name][1]:
            shares[name] = (box[name][1] - box[name][0]) / (high - low)
    if not shares:
        return []
    widest = max(shares, key=lambda name: shares[name])
    low, high = box[widest]
    middle = low + (high - low) / 2
    return [{**box, widest: (low, middle)}, {**box, widest: (middle, high)}]


def _is_number(parameter: Parameter) -> bool:
    return not isinstance(parameter, (Categorical, Context)) and not (
        isinstance(parameter, Fixed) and isinstance(parameter.value, str)
    )


def _range(parameter: Parameter) -> Interval:
    """What a number counts as in a constraint: 0 where it is not active."""
    if isinstance(parameter, Fixed):
        low = high = float(parameter.value)
    elif isinstance(parameter, Discrete):
        low, high = min(parameter.values), max(parameter.values)
    else:
        assert not isinstance(parameter, (Categorical, Context)), "a number"
        low, high = float(parameter.low), float(parameter.high)
    return (low, high) if parameter.when is None else (min(low, 0.0), max(high, 0.0))
