"""Which points may be run: rules over parameters, in lab units. A parameter that is not active counts as 0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Union

from labqueue.errors import FieldError

from .expression import Node, evaluate, parse_rule
from .numbers import number
from .parameters import Value

#: A constraint may be missed by this much, relative to the size of its terms: decimal text is not exact.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Linear:
    """sum(coefficient * parameter) <=, >= or == bound, over numeric parameters."""

    coefficients: tuple[tuple[str, float], ...]
    operator: str
    bound: float
    kind = "linear"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.coefficients)

    def check(self, point: Mapping[str, Any]) -> FieldError | None:
        terms = [factor * _amount(point, name) for name, factor in self.coefficients]
        total = math.fsum(terms)
        slack = TOLERANCE * max([1.0, abs(self.bound), *(abs(term) for term in terms)])
        holds = {
            "<=": total <= self.bound + slack,
            ">=": total >= self.bound - slack,
            "==": abs(total - self.bound) <= slack,
        }[self.operator]
        return None if holds else _broken(str(self), total)

    def __str__(self) -> str:
        names = " + ".join(f"{factor:g} * {name}" for name, factor in self.coefficients)
        return f"{names} {self.operator} {self.bound:g}"

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "coefficients": dict(self.coefficients),
            "operator": self.operator,
            "bound": self.bound,
        }


@dataclass(frozen=True)
class Mixture:
    """Amounts that sum to `total`, of which at most `at_most` are not zero, each of those at least `least`."""

    parameters: tuple[str, ...]
    total: float = 1.0
    at_most: int | None = None
    least: float = 0.0
    kind = "mixture"

    @property
    def names(self) -> tuple[str, ...]:
        return self.parameters

    @property
    def sum(self) -> Linear:
        return Linear(tuple((name, 1.0) for name in self.parameters), "==", self.total)

    def check(self, point: Mapping[str, Any]) -> FieldError | None:
        amounts = [_amount(point, name) for name in self.parameters]
        wrong = self.sum.check(point)
        if wrong is not None:
            return _broken(str(self), math.fsum(amounts))
        slack = TOLERANCE * max(1.0, abs(self.total))
        used = [each for each in amounts if each > slack]
        if self.at_most is not None and len(used) > self.at_most:
            return _broken(str(self), len(used))
        if any(each < self.least - slack for each in used):
            return _broken(str(self), min(used))
        return None

    def __str__(self) -> str:
        rule = f"{' + '.join(self.parameters)} == {self.total:g}"
        if self.at_most is not None:
            rule += f", at most {self.at_most} of them not zero"
        return rule + (f", each of those at least {self.least:g}" if self.least else "")

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "parameters": list(self.parameters),
            "total": self.total,
            **({} if self.at_most is None else {"at_most": self.at_most}),
            **({"least": self.least} if self.least else {}),
        }


@dataclass(frozen=True)
class Expression:
    """An inequality between two arithmetic expressions of numeric parameters, in the grammar of `expression`.

    Where a side is no real number (the root of a negative number) or too large for one it does not hold; within a
    side, what is too large counts as infinite: 1 / exp(1000) is 0.
    """

    rule: str
    left: Node
    comparison: str
    right: Node
    kind = "expression"

    @classmethod
    def parse(cls, rule: str) -> Expression:
        """Raises ExpressionError."""
        return cls(rule, *parse_rule(rule))

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.left.names + self.right.names))

    def check(self, point: Mapping[str, Any]) -> FieldError | None:
        values = {name: _amount(point, name) for name in self.names}
        left, right = evaluate(self.left, values), evaluate(self.right, values)
        if not (math.isfinite(left) and math.isfinite(right)):
            return _broken(self.rule, "no real number")
        slack = TOLERANCE * max(1.0, abs(left), abs(right))
        holds = {
            "<=": left <= right + slack,
            ">=": left >= right - slack,
            "<": left < right,
            ">": left > right,
        }[self.comparison]
        return None if holds else _broken(self.rule, left)

    def __str__(self) -> str:
        return self.rule

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "rule": self.rule}


@dataclass(frozen=True)
class Among:
    """One of these values."""

    values: tuple[Value, ...]

    def holds(self, value: Any) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return f"is {' or '.join(str(each) for each in self.values)}"

    def to_json(self) -> Any:
        return list(self.values)


@dataclass(frozen=True)
class Within:
    """A number in [low, high]; None: no end on that side."""

    low: float | None = None
    high: float | None = None

    def holds(self, value: Any) -> bool:
        given = number(value)
        if given is None:
            return False
        return (self.low is None or given >= self.low) and (self.high is None or given <= self.high)

    def __str__(self) -> str:
        if self.low is None:
            return f"is at most {self.high:g}"
        return f"is at least {self.low:g}" if self.high is None else f"is from {self.low:g} to {self.high:g}"

    def to_json(self) -> Any:
        ends = {"low": self.low, "high": self.high}
        return {name: end for name, end in ends.items() if end is not None}


@dataclass(frozen=True)
class Excluded:
    """A combination that must not be run: all of these conditions at once."""

    conditions: tuple[tuple[str, Union[Among, Within]], ...]
    kind = "excluded"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.conditions)

    def check(self, point: Mapping[str, Any]) -> FieldError | None:
        if all(name in point and each.holds(point[name]) for name, each in self.conditions):
            return _broken(str(self), {name: point[name] for name in self.names})
        return None

    def __str__(self) -> str:
        return "never " + " and ".join(f"{name} {each}" for name, each in self.conditions)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "combination": {name: each.to_json() for name, each in self.conditions}}


Constraint = Union[Linear, Mixture, Expression, Excluded]


def _amount(point: Mapping[str, Any], name: str) -> float:
    return float(point.get(name) or 0.0)


def _broken(rule: str, value: Any) -> FieldError:
    return FieldError("parameters", f"break the constraint {rule}.", value, rule)
