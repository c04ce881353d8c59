"""Variables and constraints as ALchemist writes them: in lists, in what it answers to a change, and in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.fronts.alchemist.sessions.session import (
    CATEGORICAL,
    CONTEXT,
    DISCRETE,
    OBSERVED,
    Constraint,
    Session,
    Variable,
)


def space(session: Session) -> dict[str, Any]:
    """The search space within what a session is."""
    by_type = {
        kind: [each.name for each in session.variables if each.type == kind]
        for kind in (CATEGORICAL, DISCRETE)
    }
    return {
        "n_variables": len(session.variables),
        "variables": [listed(each) for each in session.variables],
        "categorical_variables": by_type[CATEGORICAL],
        "discrete_variables": by_type[DISCRETE],
    }


def listed(variable: Variable) -> dict[str, Any]:
    """As one of a list."""
    shown: dict[str, Any] = {
        "name": variable.name,
        "type": variable.type,
        "role": variable.role,
        "changes": None if variable.type == CONTEXT else variable.changes,
        "bounds": None if variable.min is None else [variable.min, variable.max],
        "categories": list(variable.categories) or None,
    }
    if variable.allowed_values:
        shown["allowed_values"] = list(variable.allowed_values)
    return {**shown, "unit": variable.unit, "description": variable.description}


def echoed(variable: Variable) -> dict[str, Any]:
    """As the answer to its definition: categories are `values` there."""
    about = {"name": variable.name, "type": variable.type, "role": variable.role, "changes": variable.changes}
    return {**about, **_values(variable), "unit": variable.unit, "description": variable.description}


def stored(variable: Variable) -> dict[str, Any]:
    """As in session files: the role and the difficulty only where they are not the usual ones."""
    shown = {"name": variable.name, "type": variable.type, **_values(variable)}
    shown |= {"unit": variable.unit, "description": variable.description}
    return shown | _unusual(variable)


def exported(variable: Variable) -> dict[str, Any]:
    """As in files of a search space alone: nothing that is not said."""
    shown = {"name": variable.name, "type": variable.type, **_values(variable)}
    shown |= {"unit": variable.unit or None, "description": variable.description or None}
    return {name: value for name, value in (shown | _unusual(variable)).items() if value is not None}


def constraint(each: Constraint) -> dict[str, Any]:
    return {
        "type": each.type,
        "coefficients": dict(each.coefficients),
        "rhs": each.rhs,
        "name": each.name,
    }


def constraints(found: Sequence[Constraint]) -> dict[str, Any]:
    return {"constraints": [constraint(each) for each in found], "n_constraints": len(found)}


def _values(variable: Variable) -> Mapping[str, Any]:
    if variable.type == CATEGORICAL:
        return {"values": list(variable.categories)}
    if variable.type == DISCRETE:
        return {"allowed_values": list(variable.allowed_values)}
    return {"min": variable.min, "max": variable.max}


def _unusual(variable: Variable) -> dict[str, Any]:
    if variable.type == CONTEXT:
        return {}
    if variable.role == OBSERVED:
        return {"role": OBSERVED}
    return {} if variable.changes == "easy" else {"changes": variable.changes}
