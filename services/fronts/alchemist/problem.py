"""A session's variables as a problem of Labqueue's."""

from __future__ import annotations

from typing import Any

from .refusals import NO_VARIABLES, Refusal
from .session import CATEGORICAL, DISCRETE, INTEGER, OBSERVED, Constraint, Session, Variable

#: ALchemist names the kind of its constraints so: a sum at most, or equal to, the right-hand side.
_OPERATOR = {"inequality": "<=", "equality": "=="}


def problem_of(session: Session, goals: dict[str, str] | None = None) -> dict[str, Any]:
    """As JSON. Several targets are a Pareto front; `goals`: maximize or minimize by target, maximize where none.
    Raises Refusal where there is nothing to vary."""
    if not session.variables:
        raise Refusal("No variables defined. Add variables to the session first.", NO_VARIABLES)
    return {
        "parameters": [_parameter(each) for each in session.variables],
        "outputs": [{"name": each} for each in session.targets],
        "objectives": objectives(session, goals or {}),
        "constraints": [_constraint(each) for each in session.constraints],
    }


def objectives(session: Session, goals: dict[str, str]) -> list[dict[str, Any]]:
    return [{"output": each, "goal": goals.get(each, "maximize")} for each in session.targets]


def _parameter(variable: Variable) -> dict[str, Any]:
    made: dict[str, Any] = {"name": variable.name, "unit": variable.unit or ""}
    numbers = {"low": variable.min, "high": variable.max}
    if variable.role == OBSERVED:
        known = {"categories": list(variable.categories)} if variable.type == CATEGORICAL else numbers
        return {**made, "kind": "context", **known}
    if variable.type == CATEGORICAL:
        return {**made, "kind": "categorical", "categories": list(variable.categories)}
    if variable.type == DISCRETE:
        return {**made, "kind": "discrete", "values": list(variable.allowed_values)}
    return {**made, "kind": "integer" if variable.type == INTEGER else "continuous", **numbers}


def _constraint(constraint: Constraint) -> dict[str, Any]:
    return {
        "kind": "linear",
        "coefficients": dict(constraint.coefficients),
        "operator": _OPERATOR[constraint.type],
        "bound": constraint.rhs,
    }
