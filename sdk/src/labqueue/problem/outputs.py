"""What is measured, and what is wanted of it. Lab units throughout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labqueue.errors import FieldError
from labqueue.parse import SIZE_LIMIT

from .numbers import did_you_mean, number, shown, too_large

MAXIMIZE, MINIMIZE, TARGET, WINDOW, LEARN = "maximize", "minimize", "target", "window", "learn"
GOALS = (MAXIMIZE, MINIMIZE, TARGET, WINDOW, LEARN)

WEIGHTED, PARETO, DESIRABILITY = "weighted", "pareto", "desirability"
COMBINATIONS = (PARETO, WEIGHTED, DESIRABILITY)


@dataclass(frozen=True)
class Output:
    """Something that is measured, in `unit`, or, with `classes`, something that is told apart.

    noise    the known standard deviation of a single measurement; None: inferred. A result may name its own.
    classes  the labels that a result may carry. A label is stored and modelled as its place in this list
    """

    name: str
    unit: str = ""
    noise: float | None = None
    classes: tuple[str, ...] = ()

    def check(self, value: Any) -> FieldError | None:
        if self.classes:
            if isinstance(value, str) and value in self.classes:
                return None
            allowed, hint = ", ".join(self.classes), did_you_mean(value, self.classes)
            return FieldError(self.name, f"is not one of {allowed}.", shown(value), allowed, hint)
        measured = number(value)
        if measured is None:
            return FieldError(self.name, "is not a finite number.", shown(value))
        return None if abs(measured) <= SIZE_LIMIT else too_large(self.name, value)

    def encode(self, value: Any) -> float:
        """A checked value as the number that is stored."""
        return float(self.classes.index(value)) if self.classes else float(value)

    def decode(self, stored: float) -> float | str:
        """The way back: a stored number as people know it."""
        return self.classes[int(stored)] if self.classes else stored

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "unit": self.unit,
            "noise": self.noise,
            **({"classes": list(self.classes)} if self.classes else {}),
        }


@dataclass(frozen=True)
class Objective:
    """What is wanted of an output.

    goal       maximize, minimize, hit a target, stay in a window [low, high], or learn (know it well everywhere:
               no value is better than another)
    weight     > 0; among several objectives that are weighted or made desirabilities
    worst, best     with desirability, for maximize and minimize: the values that count as 0 and as 1
    tolerance       with desirability, for target and window: the distance at which the desirability is 0
    reference  for a Pareto front: the value that the front is measured against (for target and window a distance);
               None: inferred from what was measured
    """

    output: str
    goal: str = MAXIMIZE
    weight: float = 1.0
    target: float | None = None
    low: float | None = None
    high: float | None = None
    worst: float | None = None
    best: float | None = None
    tolerance: float | None = None
    reference: float | None = None

    def value(self, measured: float) -> float:
        """The number that is maximized: the output, its negative, or minus its distance from where it should be."""
        if self.goal == MINIMIZE:
            return -measured
        if self.goal == TARGET:
            assert self.target is not None, "read with its goal"
            return -abs(measured - self.target)
        if self.goal == WINDOW:
            assert self.low is not None and self.high is not None, "read with its goal"
            return -max(self.low - measured, measured - self.high, 0.0)
        return measured

    def desirability(self, measured: float) -> float:
        """From 0 (useless) to 1 (as good as wished), linear in between (Derringer and Suich 1980, exponent 1)."""
        if self.goal in (TARGET, WINDOW):
            assert self.tolerance is not None, "read with its combination"
            return max(0.0, 1.0 + self.value(measured) / self.tolerance)
        assert self.worst is not None and self.best is not None, "read with its combination"
        return min(max((measured - self.worst) / (self.best - self.worst), 0.0), 1.0)

    @property
    def reference_value(self) -> float | None:
        """The reference as a value to be maximized."""
        if self.reference is None:
            return None
        return self.reference if self.goal == MAXIMIZE else -self.reference

    def to_json(self) -> dict[str, Any]:
        options = ("target", "low", "high", "worst", "best", "tolerance", "reference")
        found = {name: getattr(self, name) for name in options if getattr(self, name) is not None}
        return {"output": self.output, "goal": self.goal, "weight": self.weight, **found}


@dataclass(frozen=True)
class OutcomeConstraint:
    """What an output must satisfy for an experiment to count: `output` <= or >= `bound`."""

    output: str
    operator: str
    bound: float

    def holds(self, outputs: Mapping[str, float]) -> bool:
        """False also where the output is not known."""
        if self.output not in outputs:
            return False
        value = float(outputs[self.output])
        return value <= self.bound if self.operator == "<=" else value >= self.bound

    def __str__(self) -> str:
        return f"{self.output} {self.operator} {self.bound:g}"

    def to_json(self) -> dict[str, Any]:
        return {"output": self.output, "operator": self.operator, "bound": self.bound}
