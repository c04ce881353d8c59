"""A program's configuration, read once: the grid that may be run, and what is measured.

AMLRO hands its conditions over in files that hold five decimals, so these rounded numbers are the grid's values.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Union

import numpy as np

Value = Union[int, float, str]

#: More rows than this make no grid that anybody could search.
GRID_LIMIT = 2_000_000
#: What the files hold of a number.
DECIMALS = 5
GOALS = {"max": "maximize", "min": "minimize"}


@dataclass(frozen=True)
class Axis:
    """A continuous feature. `exact`: the numbers of np.arange(low, high + step, step), which may lie beyond `high`."""

    name: str
    low: float
    high: float
    exact: tuple[float, ...]
    whole: bool

    @cached_property
    def values(self) -> tuple[float, ...]:
        """As the files hold them; ints where all three numbers of the configuration are ints."""
        return self.exact if self.whole else tuple(float(f"{each:.{DECIMALS}f}") for each in self.exact)

    def nearest(self, value: float) -> float:
        return min(self.values, key=lambda each: abs(each - value))

    def read(self, value: Any) -> float:
        """A number as somebody gave it, int or float; raises ValueError for everything else."""
        given: float | None = _number(value)
        if given is None:
            raise ValueError(f"parameters: {self.name} is {value!r}, and must be a finite number.")
        return given


@dataclass(frozen=True)
class Choice:
    """A categorical feature. `labels`: its values as text, in the order that encodes them."""

    name: str
    values: tuple[Any, ...]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        return tuple(str(each) for each in self.values)

    def place(self, value: Any) -> int:
        """The index that encodes this category; raises ValueError for an unknown one."""
        if str(value) not in self.labels:
            raise ValueError(
                f"parameters: {self.name} is {value!r}, and must be one of {', '.join(self.labels)}."
            )
        return self.labels.index(str(value))


@dataclass(frozen=True)
class Scope:
    """What may be run (`continuous`, then `categorical`) and what is measured (`objectives`, each min or max)."""

    continuous: tuple[Axis, ...]
    categorical: tuple[Choice, ...]
    objectives: tuple[str, ...] = ()
    directions: tuple[str, ...] = ()

    @cached_property
    def features(self) -> tuple[str, ...]:
        return (*(each.name for each in self.continuous), *(each.name for each in self.categorical))

    @property
    def size(self) -> int:
        """How many conditions the grid has."""
        lengths = [len(each.exact) for each in self.continuous] + [
            len(each.values) for each in self.categorical
        ]
        return math.prod(lengths)

    def read(self, parameters: Sequence[Any]) -> tuple[Value, ...]:
        """A condition as a program gave it: numbers, and categories by their labels. Raises ValueError."""
        if len(parameters) != len(self.features):
            raise ValueError(
                f"parameters: {len(parameters)} values came, and {len(self.features)} are needed: "
                f"{', '.join(self.features)}."
            )
        numbers = [axis.read(value) for axis, value in zip(self.continuous, parameters)]
        rest = parameters[len(self.continuous) :]
        return (*numbers, *(each.labels[each.place(value)] for each, value in zip(self.categorical, rest)))

    def encode(self, condition: Sequence[Value]) -> tuple[float, ...]:
        """A condition as numbers: each category is its index."""
        numbers = [float(value) for value in condition[: len(self.continuous)]]
        rest = condition[len(self.continuous) :]
        return (*numbers, *(float(each.place(value)) for each, value in zip(self.categorical, rest)))

    def planned(self, condition: Sequence[Value]) -> tuple[Value, ...]:
        """The condition of the grid that is nearest."""
        return (
            *(axis.nearest(float(value)) for axis, value in zip(self.continuous, condition)),
            *condition[len(self.continuous) :],
        )

    def on_grid(self, condition: Sequence[Value]) -> bool:
        """Whether it is a condition of the grid, as exactly as files tell."""
        pairs = zip(self.planned(condition), condition)
        return all(
            given == value
            if isinstance(value, str)
            else abs(float(given) - float(value)) < 0.6 * 10**-DECIMALS
            for value, given in pairs
        )

    def read_objectives(self, values: Any) -> tuple[Any, ...]:
        """What was measured, one number for each objective; None for one that failed. A scalar is a single one.

        The numbers stay what they were (int or float): files show them so. Raises ValueError.
        """
        if values is None or isinstance(values, (int, float, str, np.generic)):
            values = [values]
        given = list(values)
        if len(given) != len(self.objectives):
            raise ValueError(
                f"obj_values: {len(given)} values came, and {len(self.objectives)} are needed: "
                f"{', '.join(self.objectives)}."
            )
        return tuple(_measured(name, value) for name, value in zip(self.objectives, given))

    def problem(self) -> dict[str, Any]:
        """As Labqueue knows it."""
        numbers = [
            {"name": each.name, "kind": "discrete", "values": list(each.values)} for each in self.continuous
        ]
        categories = [
            {"name": each.name, "kind": "categorical", "categories": list(each.labels)}
            for each in self.categorical
        ]
        return {
            "parameters": [*numbers, *categories],
            "outputs": [{"name": each} for each in self.objectives],
            "objectives": [
                {"output": name, "goal": GOALS[direction]}
                for name, direction in zip(self.objectives, self.directions)
            ],
        }


def read_scope(config: Mapping[str, Any]) -> Scope:
    """The grid of a configuration, without its objectives. Raises ValueError that names the field."""
    continuous, categorical = _part(config, "continuous"), _part(config, "categorical")
    names = _list(continuous, "continuous", "feature_names")
    bounds, steps = _list(continuous, "continuous", "bounds"), _list(continuous, "continuous", "resolutions")
    labels, values = (
        _list(categorical, "categorical", "feature_names"),
        _list(categorical, "categorical", "values"),
    )
    for field, items in (("bounds", bounds), ("resolutions", steps)):
        if len(items) != len(names):
            raise ValueError(
                f"continuous.{field}: has {len(items)} entries, and continuous.feature_names has {len(names)}."
            )
    if len(values) != len(labels):
        raise ValueError(
            f"categorical.values: has {len(values)} entries, and categorical.feature_names has {len(labels)}."
        )
    _distinct("feature_names", [*names, *labels])
    if not [*names, *labels]:
        raise ValueError("continuous.feature_names: there is no feature at all.")
    scope = Scope(
        tuple(_axis(*each) for each in zip(names, bounds, steps)),
        tuple(_choice(*each) for each in zip(labels, values)),
    )
    if scope.size > GRID_LIMIT:
        shown = ", ".join(f"{each.name} {len(each.exact)}" for each in scope.continuous)
        raise ValueError(
            f"continuous.resolutions: the grid has {scope.size:,} conditions, and {GRID_LIMIT:,} are allowed. "
            f"Take coarser resolutions; values now: {shown}."
        )
    return scope


def read_config(config: Mapping[str, Any]) -> Scope:
    """The grid and the objectives. Raises ValueError that names the field."""
    scope = read_scope(config)
    objectives, directions = _list(config, "", "objectives"), _list(config, "", "directions")
    if len(objectives) != len(directions):
        raise ValueError(f"directions: has {len(directions)} entries, and objectives has {len(objectives)}.")
    if not objectives:
        raise ValueError("objectives: there is none; name what is measured.")
    for each in directions:
        if each not in GOALS:
            raise ValueError(f"directions: {each!r} is neither 'min' nor 'max'.")
    _distinct("objectives", [*scope.features, *objectives])
    return Scope(scope.continuous, scope.categorical, tuple(map(str, objectives)), tuple(directions))


def _axis(name: Any, bounds: Any, step: Any) -> Axis:
    if not isinstance(bounds, (list, tuple)) or len(bounds) != 2:
        raise ValueError(f"continuous.bounds: {name} has {bounds!r}, and needs [min, max].")
    low, high, by = _number(bounds[0]), _number(bounds[1]), _number(step)
    if low is None or high is None or low > high:
        raise ValueError(f"continuous.bounds: {name} has {bounds!r}, and needs two numbers, min <= max.")
    if by is None or by <= 0:
        raise ValueError(f"continuous.resolutions: {name} has {step!r}, and needs a positive number.")
    if (high - low) / by > GRID_LIMIT:
        raise ValueError(
            f"continuous.resolutions: {name} makes more than {GRID_LIMIT:,} values; take a coarser one."
        )
    fine = f"continuous.resolutions: {name} has {step!r}, and files hold {DECIMALS} decimals: take a larger unit."
    if by < 10**-DECIMALS:
        raise ValueError(fine)
    # As AMLRO has it: where the resolution does not divide the range, the last value lies beyond it.
    exact = tuple(np.arange(low, high + by, by).tolist())
    axis = Axis(str(name), low, high, exact, all(isinstance(each, int) for each in exact))
    if len(set(axis.values)) < len(exact):
        raise ValueError(fine)
    return axis


def _choice(name: Any, values: Any) -> Choice:
    if not isinstance(values, (list, tuple)) or not values:
        raise ValueError(f"categorical.values: {name} has {values!r}, and needs a list of categories.")
    choice = Choice(str(name), tuple(values))
    _distinct(f"categorical.values of {name}", choice.labels)
    return choice


def _number(value: Any) -> Any:
    """An int or a float where it is a finite number, else None. Digits in text are a number, as files have them."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value


def _measured(name: str, value: Any) -> Any:
    if value is None or (isinstance(value, (float, np.floating)) and not math.isfinite(value)):
        return None
    if isinstance(value, str) and value.strip().lower() in ("", "none", "nan"):
        return None
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    given = _number(value)
    if given is None:
        raise ValueError(
            f"obj_values: {name} is {value!r}, and must be a number, or None where the run failed."
        )
    return given


def _part(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    there = isinstance(config, Mapping) and isinstance(config.get(key), Mapping)
    if not there:
        raise ValueError(f"{key}: is missing; the configuration needs it, even without features.")
    part: Mapping[str, Any] = config[key]
    return part


def _list(part: Mapping[str, Any], place: str, key: str) -> list[Any]:
    field = f"{place}.{key}" if place else key
    there = isinstance(part.get(key), (list, tuple))
    if not there:
        raise ValueError(f"{field}: is missing, or no list.")
    return list(part[key])


def _distinct(field: str, names: Sequence[Any]) -> None:
    twice = [name for name, count in Counter(map(str, names)).items() if count > 1]
    if twice:
        raise ValueError(f"{field}: {', '.join(twice)} is there twice, or names a feature and an objective.")
