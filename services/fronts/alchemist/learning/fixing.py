"""Variables that keep a value for one suggestion: constraints on that suggestion alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labqueue.problem import Problem
from services.flow.define import check_feasible
from services.fronts.alchemist.refusals import VALUE, Refusal
from services.fronts.alchemist.sessions.problem import problem_of
from services.fronts.alchemist.sessions.session import (
    CATEGORICAL,
    DISCRETE,
    INTEGER,
    OBSERVED,
    Session,
    Variable,
)

Json = dict[str, Any]


def checked(session: Session, hold: Mapping[str, Any] | None) -> Json:
    """The values as the variables have them. Raises Refusal (400)."""
    found = {}
    for name, value in (hold or {}).items():
        variable = session.variable(name)
        if variable is None:
            known = sorted(each.name for each in session.variables)
            raise Refusal(f"Cannot hold '{name[:100]}': no such variable. Registered: {known}.", VALUE)
        if variable.role == OBSERVED:
            raise Refusal(
                f"'{name}' is an observed variable; pass its measured value in observed=, not hold=.", VALUE
            )
        found[name] = _value(variable, value)
    return found


def constraints(session: Session, held: Mapping[str, Any]) -> list[Json]:
    """The session's own, and what holds these values. Raises InvalidError where they contradict each other."""
    problem = problem_of(session)
    rules = (_rule(session, name, value) for name, value in held.items())
    found = [*problem["constraints"], *(each for each in rules if each is not None)]
    check_feasible(Problem.from_json({**problem, "constraints": found}))
    return found


def _rule(session: Session, name: str, value: Any) -> Json | None:
    """None for the only category that there is."""
    variable = session.variable(name)
    assert variable is not None, "it was checked"
    if variable.type == CATEGORICAL:
        others = [each for each in variable.categories if each != value]
        return {"kind": "excluded", "combination": {name: others}} if others else None
    return {"kind": "linear", "coefficients": {name: 1.0}, "operator": "==", "bound": value}


def _value(variable: Variable, value: Any) -> Any:
    name = variable.name
    if variable.type == CATEGORICAL:
        if value not in variable.categories:
            raise _not_among(name, value, list(variable.categories))
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal(f"Held value {value!r} for '{name}' is not a number.", VALUE)
    if variable.type == DISCRETE:
        if value not in variable.allowed_values:
            raise _not_among(name, value, list(variable.allowed_values))
        return float(value)
    low, high = variable.min, variable.max
    assert low is not None and high is not None, "a number that is chosen has bounds"
    if not low <= value <= high:
        raise Refusal(f"Held value {value} for '{name}' is outside its bounds [{low}, {high}].", VALUE)
    if variable.type == INTEGER and value != int(value):
        raise Refusal(f"Held value {value} for '{name}' is not a whole number.", VALUE)
    return int(value) if variable.type == INTEGER else float(value)


def _not_among(name: str, value: Any, known: list[Any]) -> Refusal:
    return Refusal(f"Held value {value!r} for '{name}' is not one of its declared values {known}.", VALUE)
