"""Problems of every kind to try a learner on, and data that fit them. The same seed makes the same."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from labqueue.errors import InvalidError
from labqueue.problem import (
    ROW,
    Categorical,
    Context,
    Continuous,
    Discrete,
    Fixed,
    Integer,
    Mixture,
    Output,
    Parameter,
    Problem,
)

from .pools import Features, features, key_of
from .pupil import Row

TRIES = 20_000

_YIELD = {"outputs": [{"name": "yield", "unit": "%"}], "objectives": [{"output": "yield"}]}
PROBLEMS: Mapping[str, Mapping[str, Any]] = {
    "numbers": {
        "parameters": [
            {
                "name": "temperature",
                "kind": "continuous",
                "low": 20,
                "high": 120,
                "step": 0.5,
                "unit": "degC",
            },
            {"name": "loading", "kind": "continuous", "low": 0.001, "high": 1, "log": True},
            {"name": "cycles", "kind": "integer", "low": 1, "high": 40},
            {"name": "speed", "kind": "discrete", "values": [100, 250, 800]},
        ],
        **_YIELD,
    },
    "categories": {
        "parameters": [
            {
                "name": "solvent",
                "kind": "categorical",
                "categories": ["water", "ethanol", "toluene", "DMF"],
                "unavailable": ["DMF"],
            },
            {"name": "grade", "kind": "categorical", "categories": ["low", "mid", "high"], "ordered": True},
            {"name": "temperature", "kind": "continuous", "low": 20, "high": 120},
        ],
        **_YIELD,
    },
    "constraints": {
        "parameters": [
            {"name": "A", "kind": "continuous", "low": 0, "high": 1},
            {"name": "B", "kind": "continuous", "low": 0, "high": 1},
            {"name": "C", "kind": "continuous", "low": 0, "high": 1},
            {"name": "tau", "kind": "continuous", "low": 0.5, "high": 2},
            {"name": "heat", "kind": "continuous", "low": 20, "high": 120},
        ],
        "constraints": [
            {"kind": "mixture", "parameters": ["A", "B", "C"], "total": 1},
            {"kind": "expression", "rule": "tau * heat <= 150"},
        ],
        **_YIELD,
    },
    "conditions": {
        "parameters": [
            {"name": "mode", "kind": "categorical", "categories": ["thermal", "photo"]},
            {
                "name": "power",
                "kind": "continuous",
                "low": 1,
                "high": 10,
                "when": {"parameter": "mode", "is": ["photo"]},
            },
            {"name": "tau", "kind": "continuous", "low": 0.5, "high": 2},
            {"name": "stirring", "kind": "fixed", "value": 300},
            {"name": "humidity", "kind": "context", "low": 0, "high": 100},
        ],
        **_YIELD,
    },
    "two goals": {
        "parameters": [
            {"name": "tau", "kind": "continuous", "low": 0.5, "high": 2},
            {"name": "heat", "kind": "continuous", "low": 20, "high": 120},
        ],
        "outputs": [{"name": "yield"}, {"name": "waste", "noise": 0.1}],
        "objectives": [{"output": "yield"}, {"output": "waste", "goal": "minimize"}],
    },
    "labels": {
        "parameters": [
            {"name": "tau", "kind": "continuous", "low": 0.5, "high": 2},
            {"name": "heat", "kind": "continuous", "low": 20, "high": 120},
        ],
        "outputs": [{"name": "phase", "classes": ["clear", "cloudy"]}],
        "objectives": [{"output": "phase", "goal": "learn"}],
    },
}


def rows(problem: Problem, count: int, seed: int, *, infeasible: int = 0) -> list[Row]:
    """So many experiments, the last of them `infeasible`. Raises InvalidError where there are no allowed points."""
    points = sample(problem, count, seed)
    if problem.pool is not None and not problem.pool.wide:
        pool = features(problem)
        points = [{**point, **pool.row(point[ROW])} for point in points]
    found = []
    for number, point in enumerate(points, start=1):
        actual = {**point, **{each.name: _somewhere(each, random.Random(number)) for each in problem.context}}
        bad = number > count - infeasible
        outputs = {} if bad else {each.name: _measured(each, point) for each in problem.outputs}
        found.append(Row(number, actual, outputs, outcome="infeasible" if bad else "measured"))
    return found


def sample(
    problem: Problem, count: int, seed: int, but: Iterable[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Different allowed points, in the problem's own types, none of which plans the same as one of `but`: `count` of
    them, or as many as are found in some thousand tries; of a pool (see `features`) rows. Raises InvalidError where
    there are none."""
    luck = random.Random(seed)
    seen = {key_of(problem, point) for point in but}
    if problem.pool is not None:
        return _rows_of(features(problem), count, luck, {row for (row,) in seen})
    found: list[dict[str, Any]] = []
    for _ in range(TRIES):
        if len(found) == count:
            return found
        values = {each.name: _somewhere(each, luck) for each in problem.planned}
        for constraint in problem.constraints:
            if isinstance(constraint, Mixture):
                values.update(_mixed(problem, constraint, luck))
        point = {each.name: values[each.name] for each in problem.active(values)}
        if problem.check_point(point):
            continue
        point = problem.normal(point)
        key = key_of(problem, point)
        if key not in seen:
            seen.add(key)
            found.append(point)
    if not found:
        raise InvalidError(f"No further point that this problem allows was found in {TRIES:,} tries.")
    return found


def _rows_of(pool: Features, count: int, luck: random.Random, taken: Collection[Any]) -> list[dict[str, Any]]:
    drawn = luck.sample(range(len(pool)), min(len(pool), count + len(taken)))
    free = [id for id in map(pool.ids.__getitem__, drawn) if id not in taken][:count]
    if not free:
        raise InvalidError("No row of the pool is left.")
    return [{ROW: id} for id in free]


def _somewhere(parameter: Parameter, luck: random.Random) -> Any:
    if isinstance(parameter, Fixed):
        return parameter.value
    if isinstance(parameter, Categorical):
        return luck.choice(parameter.available)
    if isinstance(parameter, Discrete):
        return luck.choice(parameter.values)
    if isinstance(parameter, Integer):
        return luck.randint(parameter.low, parameter.high)
    if isinstance(parameter, Continuous):
        if parameter.log:
            value = math.exp(luck.uniform(math.log(parameter.low), math.log(parameter.high)))
            return parameter.nearest(value)
        return parameter.nearest(luck.uniform(parameter.low, parameter.high))
    assert isinstance(parameter, Context)
    return (
        luck.choice(parameter.categories)
        if parameter.categories
        else luck.uniform(parameter.low, parameter.high)
    )


def _mixed(problem: Problem, mixture: Mixture, luck: random.Random) -> dict[str, float]:
    """Shares of the total; bounds are left to the caller's check."""
    most = len(mixture.parameters) if mixture.at_most is None else mixture.at_most
    used = luck.sample(mixture.parameters, luck.randint(1, most))
    shares = {name: luck.expovariate(1.0) for name in used}
    whole = math.fsum(shares.values())
    return {name: mixture.total * shares.get(name, 0.0) / whole for name in mixture.parameters}


def _measured(output: Output, point: Mapping[str, Any]) -> Any:
    """Smooth in the numbers, and of all else any value."""
    numbers = [float(each) for each in point.values() if isinstance(each, (int, float))]
    words = "".join(str(each) for each in point.values() if isinstance(each, str)) + output.name
    luck = hashlib.sha256(words.encode()).digest()[0] / 255
    value = math.sin(math.fsum(math.log1p(abs(each)) for each in numbers) + luck)
    return (
        output.classes[int(value > 0) % len(output.classes)] if output.classes else round(50 + 40 * value, 6)
    )
