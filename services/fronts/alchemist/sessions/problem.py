"""A session's variables as a problem of Labqueue's."""

from __future__ import annotations

from typing import Any

from services.fronts.alchemist.refusals import NO_VARIABLES, Refusal

from .session import (
    DISCRETE,
    INTEGER,
    OBSERVED,
    Constraint,
    Session,
    Variable,
)

#: ALchemist names the kind of its constraints so: a sum at most, or equal to, the right-hand side.
_OPERATOR = {"inequality": "<=", "equality": "=="}
#: Of an observed variable without bounds; its values may lie outside.
USUAL = (0.0, 100.0)


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
    if variable.categories:
        kind = "context" if variable.role == OBSERVED else "categorical"
        return {"name": variable.name, "kind": kind, "categories": list(variable.categories)}
    made = {"name": variable.name, "unit": variable.unit or ""}
    if variable.role == OBSERVED:
        low, high = _usual(variable)
        return {**made, "kind": "context", "low": low, "high": high}
    if variable.type == DISCRETE:
        return {**made, "kind": "discrete", "values": list(variable.allowed_values)}
    kind = "integer" if variable.type == INTEGER else "continuous"
    return {**made, "kind": kind, "low": variable.min, "high": variable.max}


def _usual(variable: Variable) -> tuple[float, float]:
    """Between what an observed number usually lies; ALchemist's need not say."""
    known = [each for each in (variable.min, variable.max, *variable.allowed_values) if each is not None]
    return (min(known), max(known)) if len(set(known)) > 1 else USUAL


def _constraint(constraint: Constraint) -> dict[str, Any]:
    return {
        "kind": "linear",
        "coefficients": dict(constraint.coefficients),
        "operator": _OPERATOR[constraint.type],
        "bound": constraint.rhs,
    }
