"""What may vary: the kinds of parameter, each judging its own values. Lab units throughout."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from labqueue.errors import FieldError

from .numbers import did_you_mean_one_of, number, shown

Value = Union[float, int, str]

#: A value may miss its step by this share of the step: decimal text is not exact.
STEP_TOLERANCE = 1e-6


@dataclass(frozen=True)
class When:
    """The parameter exists only where another one, named before it, has one of these values."""

    parameter: str
    values: tuple[Value, ...]

    def __str__(self) -> str:
        return f"{self.parameter} is {' or '.join(str(each) for each in self.values)}"

    def to_json(self) -> dict[str, Any]:
        return {"parameter": self.parameter, "is": list(self.values)}


@dataclass(frozen=True)
class Continuous:
    """A real number in [low, high], in `unit`; with `step`, one of low, low + step, ... up to high."""

    name: str
    low: float
    high: float
    unit: str = ""
    log: bool = False  # varies over orders of magnitude: modelled on a log scale
    step: float | None = None
    when: When | None = None
    kind = "continuous"

    def check(self, value: Any) -> FieldError | None:
        given = number(value)
        if given is None:
            return FieldError(self.name, "is not a finite number.", shown(value), self.allowed)
        if not self.low <= given <= self.high:
            return FieldError(self.name, f"is outside {self.allowed}.", value, self.allowed)
        if self.step is not None and abs(given - self.nearest(given)) > STEP_TOLERANCE * self.step:
            return FieldError(
                self.name,
                f"is not on a step of {self.step:g} from {self.low:g}.",
                value,
                self.allowed,
                f"The nearest is {self.nearest(given):.12g}.",
            )
        return None

    @property
    def steps(self) -> int:
        """How many steps lead from low to the highest value (0 where there is no step)."""
        if self.step is None:
            return 0
        return math.floor((self.high - self.low) / self.step + STEP_TOLERANCE)

    def nearest(self, value: float) -> float:
        """The allowed value that is nearest."""
        value = min(max(value, self.low), self.high)
        if self.step is None:
            return value
        place = min(max(round((value - self.low) / self.step), 0), self.steps)
        return float(f"{min(self.low + place * self.step, self.high):.14g}")

    @property
    def allowed(self) -> str:
        steps = f" in steps of {self.step:g}" if self.step is not None else ""
        return f"{self.low:g} to {self.high:g}{steps}" + (f" {self.unit}" if self.unit else "")

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "low": self.low,
            "high": self.high,
            "unit": self.unit,
            "log": self.log,
            **({} if self.step is None else {"step": self.step}),
            **_when(self.when),
        }


@dataclass(frozen=True)
class Integer:
    """A whole number in [low, high], in `unit`."""

    name: str
    low: int
    high: int
    unit: str = ""
    log: bool = False
    when: When | None = None
    kind = "integer"

    def check(self, value: Any) -> FieldError | None:
        given = number(value)
        if given is None or given != int(given):
            return FieldError(self.name, "is not a whole number.", shown(value), self.allowed)
        if not self.low <= given <= self.high:
            return FieldError(self.name, f"is outside {self.allowed}.", value, self.allowed)
        return None

    @property
    def allowed(self) -> str:
        return f"{self.low} to {self.high}, whole" + (f", {self.unit}" if self.unit else "")

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "low": self.low,
            "high": self.high,
            "unit": self.unit,
            **({"log": True} if self.log else {}),
            **_when(self.when),
        }


@dataclass(frozen=True)
class Discrete:
    """One of some numbers, in `unit`."""

    name: str
    values: tuple[float, ...]
    unit: str = ""
    log: bool = False
    when: When | None = None
    kind = "discrete"

    def check(self, value: Any) -> FieldError | None:
        given = number(value)
        if given is None or given not in self.values:
            return FieldError(self.name, f"is not one of {self.allowed}.", shown(value), self.allowed)
        return None

    @property
    def allowed(self) -> str:
        return ", ".join(f"{value:g}" for value in self.values) + (f" {self.unit}" if self.unit else "")

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "values": list(self.values),
            "unit": self.unit,
            **({"log": True} if self.log else {}),
            **_when(self.when),
        }


@dataclass(frozen=True)
class Categorical:
    """One of some names.

    ordered      the categories are steps of a scale, in their order
    descriptors  numbers that describe each category ({category: {descriptor: number}}, the same descriptors for
                 all): categories that are alike there are expected to behave alike
    unavailable  categories that were run and are known to the model, but cannot be run now: retired, out of stock
    """

    name: str
    categories: tuple[str, ...]
    ordered: bool = False
    descriptors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    unavailable: tuple[str, ...] = ()
    when: When | None = None
    unit = ""
    kind = "categorical"

    def __hash__(self) -> int:
        return hash((self.name, self.categories, self.ordered, self.unavailable, self.when))

    @property
    def available(self) -> tuple[str, ...]:
        return tuple(each for each in self.categories if each not in self.unavailable)

    def check(self, value: Any) -> FieldError | None:
        if value in self.available and isinstance(value, str):
            return None
        if value in self.unavailable and isinstance(value, str):
            return FieldError(self.name, "is not available now.", value, self.allowed)
        hint = did_you_mean_one_of(value, self.available)
        return FieldError(self.name, f"is not one of {self.allowed}.", shown(value), self.allowed, hint)

    @property
    def allowed(self) -> str:
        return ", ".join(self.available)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "categories": list(self.categories),
            **({"ordered": True} if self.ordered else {}),
            **(
                {"descriptors": {name: dict(row) for name, row in self.descriptors.items()}}
                if self.descriptors
                else {}
            ),
            **({"unavailable": list(self.unavailable)} if self.unavailable else {}),
            **_when(self.when),
        }


@dataclass(frozen=True)
class Fixed:
    """The same in every experiment: handed to instruments, and nothing to choose. May be left out of a point."""

    name: str
    value: Value
    unit: str = ""
    when: When | None = None
    kind = "fixed"

    def check(self, value: Any) -> FieldError | None:
        if type(value) is not bool and value == self.value:
            return None
        return FieldError(self.name, f"is fixed at {self.allowed}.", shown(value), self.allowed)

    @property
    def allowed(self) -> str:
        return f"{self.value}" + (f" {self.unit}" if self.unit else "")

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "value": self.value,
            "unit": self.unit,
            **_when(self.when),
        }


@dataclass(frozen=True)
class Context:
    """Measured with each experiment and not chosen (humidity, batch of a reagent): no part of a planned point,
    reported among the actual parameters. A number, usually in [low, high], or one of `categories`.

    Suggestions are made for the context that was reported last; rows without it are taken to have had the same.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    unit: str = ""
    categories: tuple[str, ...] = ()
    when: None = None
    kind = "context"

    def check(self, value: Any) -> FieldError | None:
        """Judges a reported value: numbers may lie outside the usual range."""
        if self.categories:
            if value in self.categories and isinstance(value, str):
                return None
            hint = did_you_mean_one_of(value, self.categories)
            return FieldError(self.name, f"is not one of {self.allowed}.", shown(value), self.allowed, hint)
        if number(value) is None:
            return FieldError(self.name, "is not a finite number.", shown(value), self.allowed)
        return None

    @property
    def allowed(self) -> str:
        if self.categories:
            return ", ".join(self.categories)
        return f"{self.low:g} to {self.high:g}" + (f" {self.unit}" if self.unit else "")

    def to_json(self) -> dict[str, Any]:
        if self.categories:
            return {"name": self.name, "kind": self.kind, "categories": list(self.categories)}
        return {"name": self.name, "kind": self.kind, "low": self.low, "high": self.high, "unit": self.unit}


Numeric = Union[Continuous, Integer, Discrete]
Parameter = Union[Continuous, Integer, Discrete, Categorical, Fixed, Context]


def typed(parameter: Parameter, value: Any) -> Value:
    """A checked value in the parameter's own type (1.0 for an integer becomes 1), exactly on its step; a value that was
    run beside its steps or outside the bounds stays that number."""
    if isinstance(parameter, Fixed):
        return parameter.value
    if isinstance(parameter, Categorical) or (isinstance(parameter, Context) and parameter.categories):
        return str(value)
    if isinstance(parameter, Continuous) and parameter.step is not None and parameter.check(value) is None:
        return parameter.nearest(float(value))
    whole = isinstance(parameter, Integer) and value == int(value)
    return int(value) if whole else float(value)


def _when(when: When | None) -> dict[str, Any]:
    return {} if when is None else {"when": when.to_json()}
