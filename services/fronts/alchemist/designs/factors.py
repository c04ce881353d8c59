"""The variables of a design: what values they take, and where these lie between their ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.fronts.alchemist.sessions.session import (
    CATEGORICAL,
    DISCRETE,
    INTEGER,
    OBSERVED,
    Constraint,
    Session,
)

Point = dict[str, Any]

#: Of what a constraint says, relative to its largest part.
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Factor:
    """`choices`: of a category its labels, of a discrete number its values in order; empty where it is a range."""

    name: str
    type: str
    low: float = 0.0
    high: float = 1.0
    choices: tuple[Any, ...] = ()

    @property
    def categorical(self) -> bool:
        return self.type == CATEGORICAL

    @property
    def continuous(self) -> bool:
        return not self.choices and self.type != INTEGER

    @property
    def middle(self) -> Any:
        """Of a category the first one: none lies between two others."""
        if self.categorical:
            return self.choices[0]
        return self.choices[len(self.choices) // 2] if self.choices else self.at(0.0)

    def levels(self, count: int) -> list[Any]:
        """`count` values evenly over the range, or as many as there are; of a list all."""
        if self.choices:
            return list(self.choices)
        return list(dict.fromkeys(self.at(2 * place / (count - 1) - 1) for place in range(count)))

    def at(self, code: float) -> Any:
        """The value at a code from -1 to 1, or the nearest that there is. Not of a category."""
        value = self.low + (self.high - self.low) * (code + 1) / 2
        if self.choices:
            return min(self.choices, key=lambda each: abs(each - value))
        return round(value) if self.type == INTEGER else min(max(value, self.low), self.high)

    def code(self, value: Any) -> float:
        """From -1 to 1. Not of a category."""
        return 2 * (float(value) - self.low) / (self.high - self.low) - 1

    def share(self, share: float) -> Any:
        """The value at a share in [0, 1) of the range, each value of a list or each whole number alike."""
        if self.choices:
            return self.choices[int(share * len(self.choices))]
        if self.type == INTEGER:
            return int(self.low + share * (self.high - self.low + 1))
        return self.low + share * (self.high - self.low)


def factors(session: Session) -> list[Factor]:
    """All variables but those that are observed."""
    found = []
    for each in session.variables:
        if each.role == OBSERVED:
            continue
        if each.type == CATEGORICAL:
            found.append(Factor(each.name, each.type, choices=each.categories))
        elif each.type == DISCRETE:
            values = tuple(sorted(each.allowed_values))
            found.append(Factor(each.name, each.type, values[0], values[-1], values))
        else:
            assert each.min is not None and each.max is not None, "a number that is chosen has bounds"
            found.append(Factor(each.name, each.type, each.min, each.max))
    return found


def keeps(point: Mapping[str, Any], rules: Sequence[Constraint]) -> bool:
    """Does it keep them all?"""
    return all(_holds(point, each) for each in rules)


def _holds(point: Mapping[str, Any], rule: Constraint) -> bool:
    parts = [factor * float(point[name]) for name, factor in rule.coefficients.items()]
    slack = _TOLERANCE * max([1.0, abs(rule.rhs), *map(abs, parts)])
    over = sum(parts) - rule.rhs
    return abs(over) <= slack if rule.type == "equality" else over <= slack


def given(rules: Sequence[Constraint], known: Mapping[str, Any]) -> list[Constraint]:
    """The constraints on the other variables, once these have their values."""
    found = []
    for each in rules:
        left = {name: factor for name, factor in each.coefficients.items() if name not in known}
        taken = sum(factor * known[name] for name, factor in each.coefficients.items() if name in known)
        if left:
            found.append(Constraint(each.name, each.type, left, each.rhs - taken))
    return found
