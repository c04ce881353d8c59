"""What a model of one output learns from."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labqueue.problem import Continuous, Output, Problem

from .columns import Places
from .encoding import Array, Encoding
from .likelihood import MATERN, RBF
from .values import LearningError, Observation, Point

Mask = NDArray[np.bool_]

#: With more columns (those that belong together count once) all have the same length scale.
WIDE = 200


class Space(Protocol):
    """The crossing from lab units to rows of the cube: of parameters (`encoding`) or of a pool's rows (`pools`)."""

    @property
    def width(self) -> int: ...
    def encode(self, points: Sequence[Point]) -> Array: ...


@dataclass(frozen=True)
class Data:
    """The rows that have this output; a replicate is a further row at the same point.

    inputs   (rows, columns) of the cube
    values   (rows,) lab units; of a class output the label's place
    noise    (rows,) standard deviation of each value, lab units; NaN where it is to be found
    groups   of each column: 0, 1, ...; columns of a category parameter that belong together are one group
    classes  how many labels there are; 0 where the output is a number
    listed   is every parameter one of some values, with categories among them?
    kernels  among which the evidence chooses
    name     of the output, where it is learnt with others
    family   the rows of all numbers that are learnt together, this one's among them, by name; empty: it is learnt alone
    """

    inputs: Array
    values: Array
    noise: Array
    groups: tuple[int, ...]
    classes: int = 0
    listed: bool = False
    kernels: tuple[str, ...] = (RBF, MATERN)
    name: str = ""
    family: Mapping[str, Data] = field(default_factory=dict)

    @classmethod
    def of(cls, inputs: Array, values: Array, noise: float | None = None, classes: int = 0) -> Data:
        """With the same noise in every row (None: to be found), each column for itself."""
        known = np.full(len(values), math.nan if noise is None else noise)
        return cls(inputs, values, known, tuple(range(inputs.shape[1])), classes)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def together(self) -> dict[str, Data]:
        """The rows of every output that is learnt with this one, itself included, in the problem's order."""
        return {**self.family, self.name: self}

    @property
    def rows(self) -> int:
        """How many there are, those of the outputs that are learnt with this one included."""
        return sum(map(len, self.together.values()))

    def take(self, places: Mask | NDArray[np.int64]) -> Data:
        """The rows at these places (or where a mask is true)."""
        return replace(self, inputs=self.inputs[places], values=self.values[places], noise=self.noise[places])


def modelled(problem: Problem) -> tuple[Output, ...]:
    """The outputs of the objectives and of the outcome constraints, in that order."""
    wanted = [each.output for each in problem.objectives]
    wanted += [each.output for each in problem.outcome_constraints]
    return tuple(problem.output(name) for name in dict.fromkeys(wanted))


def needed(problem: Problem) -> frozenset[str]:
    """The modelled outputs without which there is no model: those of the objectives. Where everything is to be learnt
    each output is learnt as soon as it can be, and an outcome constraint of which nothing is known rules nothing out."""
    return frozenset() if problem.learning else frozenset(each.output for each in problem.objectives)


def known(problem: Problem, names: Collection[str]) -> Problem:
    """The problem as far as there are models: without the goals and outcome constraints of other outputs than these."""
    return replace(
        problem,
        objectives=tuple(each for each in problem.objectives if each.output in names),
        outcome_constraints=tuple(each for each in problem.outcome_constraints if each.output in names),
    )


def datasets(
    problem: Problem, space: Space, rows: Sequence[Observation], names: Collection[str] | None = None
) -> dict[str, Data]:
    """For each modelled output that has two the measured rows that have it.

    names: of these outputs alone, all of them; None: of as many as can be. Raises LearningError where one that is needed
    has fewer than two, or all have.
    """
    outputs = [each for each in modelled(problem) if names is None or each.name in names]
    if not outputs:
        raise LearningError("the problem has no objective")
    found = {each.name: _of_output(each, rows) for each in outputs}
    few = [name for name, (points, _, _) in found.items() if len(points) < 2]
    for name in few:
        if len(few) == len(outputs) or name in (needed(problem) if names is None else names):
            raise LearningError(f"fewer than 2 results with {name} are in")
        del found[name]
    outputs = [each for each in outputs if each.name in found]
    used = {id(point): point for points, _, _ in found.values() for point in points}
    place = {each: number for number, each in enumerate(used)}
    encoded = space.encode(list(used.values()))
    return {
        each.name: Data(
            encoded[[place[id(point)] for point in found[each.name][0]]],
            np.array(found[each.name][1]),
            np.array(found[each.name][2]),
            groups(space),
            len(each.classes),
            isinstance(space, Encoding) and _listed(problem, space),
        )
        for each in outputs
    }


def _listed(problem: Problem, space: Encoding) -> bool:
    names = any(isinstance(column, Places) for column in space.columns)
    return names and not any(isinstance(each, Continuous) for each in problem.parameters)


def related(data: Mapping[str, Data]) -> dict[str, Data]:
    """The same, each number with all of them beside it."""
    numbers = {name: each for name, each in data.items() if not each.classes}
    return {
        name: replace(each, name=name, family=numbers) if name in numbers else each
        for name, each in data.items()
    }


def groups(space: Space) -> tuple[int, ...]:
    """Of each column of a space. Very many groups become one: so many length scales cannot be learnt."""
    found = _groups(space)
    return found if len(set(found)) <= WIDE else (0,) * space.width


def _groups(space: Space) -> tuple[int, ...]:
    if not isinstance(space, Encoding):
        return tuple(range(space.width))
    found: list[int] = []
    for each, where in zip(space.columns, space.slices, strict=True):
        width, first = where.stop - where.start, max(found, default=-1) + 1
        together = isinstance(each, Places) and each.together
        found += [first] * width if together else range(first, first + width)
    return tuple(found)


def _of_output(output: Output, rows: Sequence[Observation]) -> tuple[list[Point], list[float], list[float]]:
    points: list[Point] = []
    values: list[float] = []
    noises: list[float] = []
    for row in rows:
        if row.outcome != "measured":
            continue
        known = _noise(row.noise, output)
        own = [row.outputs[output.name]] if output.name in row.outputs else []
        for value in (*own, *row.replicates.get(output.name, ())):
            if math.isfinite(value):
                points.append(row.parameters)
                values.append(float(value))
                noises.append(known)
    return points, values, noises


def _noise(reported: Mapping[str, float], output: Output) -> float:
    """What the result says of itself, else what the problem says; NaN where neither does."""
    given = reported.get(output.name, output.noise)
    return math.nan if given is None or not math.isfinite(given) or given < 0 else float(given)


def tensor(values: Array, device: str) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(values), dtype=torch.double, device=device)
