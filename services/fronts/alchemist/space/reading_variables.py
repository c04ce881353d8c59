"""Variables as ALchemist's programs and files give them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from services.fronts.alchemist.refusals import VALUE, Refusal, invalid
from services.fronts.alchemist.sessions.session import (
    CATEGORICAL,
    CONTEXT,
    CONTROLLABLE,
    DISCRETE,
    INTEGER,
    OBSERVED,
    REAL,
    Variable,
)

TYPES = (REAL, INTEGER, CATEGORICAL, DISCRETE)
CHANGES = ("easy", "hard", "very_hard")
#: Columns of its data beside the variables and the targets.
RESERVED = ("Iteration", "Reason", "Noise", "ProvenanceId", "WholePlot", "Subplot", "RunOrder")


class NewVariable(BaseModel):
    """Without a `type` it is what its other fields say: categorical, discrete, else real."""

    model_config = ConfigDict(extra="ignore")

    name: str
    type: Literal["real", "integer", "categorical", "discrete"] | None = None
    min: float | None = None
    max: float | None = None
    categories: list[str] | None = None
    allowed_values: list[float] | None = None
    unit: str | None = None
    description: str | None = None
    role: Literal["controllable", "observed"] = "controllable"
    changes: Literal["easy", "hard", "very_hard"] = "easy"


def variable(body: NewVariable) -> Variable:
    """Raises Refusal: 422 for what no body may say, 400 for values that are no variable."""
    unusable = unusable_name(body.name)
    if unusable:
        raise invalid(unusable, "name", kind="variable_name_not_addressable", given=body.name)
    kind = body.type or _implied(body)
    ranged = kind in (REAL, INTEGER)
    if ranged and body.role == CONTROLLABLE and None in (body.min, body.max):
        raise invalid("min and max are required for a controllable variable", kind="bounds_required")
    if kind == CATEGORICAL and body.categories is None:
        raise invalid("Field required", "categories", kind="missing")
    if kind == DISCRETE and len(body.allowed_values or ()) < 2:
        raise invalid("List should have at least 2 items", "allowed_values", kind="too_short")
    for end in (body.min, body.max):
        if kind == INTEGER and end is not None and end != int(end):
            raise invalid("Input should be a valid integer", "min and max", kind="int_from_float", given=end)
    return checked(
        Variable(
            body.name,
            kind,
            _end(body.min, kind) if ranged else None,
            _end(body.max, kind) if ranged else None,
            tuple(body.categories or ()) if kind == CATEGORICAL else (),
            tuple(body.allowed_values or ()) if kind == DISCRETE else (),
            body.unit,
            body.description,
            body.role,
            body.changes,
        )
    )


def variable_of(entry: Any, place: str) -> Variable:
    """One of a file, `place` naming it. Raises Refusal (400)."""
    if not isinstance(entry, Mapping):
        raise Refusal(f"{place} must be a JSON object, got {type(entry).__name__}.")
    for name in ("name", "type"):
        if name not in entry:
            raise Refusal(f"{place} is missing {name!r}.")
    unusable = unusable_name(entry["name"])
    if unusable:
        raise Refusal(f"The variable name {str(entry['name'])[:100]!r} cannot be used: {unusable}.")
    name, kind = entry["name"], str(entry["type"]).lower()
    if kind not in (*TYPES, CONTEXT):
        raise Refusal(f"Unknown variable type: {kind[:100]}")
    role = OBSERVED if kind == CONTEXT else entry.get("role") or CONTROLLABLE
    changes = entry.get("changes") or "easy"
    if role not in (CONTROLLABLE, OBSERVED) or changes not in CHANGES:
        raise Refusal(f"{place} ({name!r}): role is controllable or observed, changes {', '.join(CHANGES)}.")
    ranged = kind in (REAL, INTEGER, CONTEXT)
    wanted = ("min", "max") if ranged and role == CONTROLLABLE else ()
    for key in (*wanted, *(("allowed_values",) if kind == DISCRETE else ())):
        if entry.get(key) is None:
            raise Refusal(f"Search space file is missing required key {key!r}.")
    labels = entry.get("values") if entry.get("categories") is None else entry["categories"]
    if kind == CATEGORICAL and labels is None:
        raise Refusal("Search space file is missing required key 'values'.")
    return checked(
        Variable(
            name,
            kind,
            _end(number(entry.get("min"), f"Variable {name!r} min"), kind) if ranged else None,
            _end(number(entry.get("max"), f"Variable {name!r} max"), kind) if ranged else None,
            _texts(labels, name) if kind == CATEGORICAL else (),
            _numbers(entry["allowed_values"], name) if kind == DISCRETE else (),
            _text(entry.get("unit")),
            _text(entry.get("description")),
            role,
            changes,
        )
    )


def checked(found: Variable) -> Variable:
    """Raises Refusal (400) where the values are no variable."""
    name = found.name
    if name in RESERVED:
        raise Refusal(f"Variable name {name!r} is a column of the data already. Choose another.", VALUE)
    if found.role == OBSERVED and found.changes != "easy":
        raise Refusal(
            f"Variable {name!r} is observed; change difficulty applies only to controllable variables.", VALUE
        )
    if (found.min is None) != (found.max is None):
        raise Refusal(f"Variable {name!r} needs both min and max, or neither.", VALUE)
    if found.min is not None and found.max is not None and not found.min < found.max:
        raise Refusal(f"the lower bound {found.min} has to be less than the upper bound {found.max}", VALUE)
    if found.type == CATEGORICAL and not found.categories:
        raise Refusal(
            f"Categorical variable {name!r} requires 'values' with at least 1 value, got an empty list.",
            VALUE,
        )
    for kind, values in (("Categorical", found.categories), ("Discrete", found.allowed_values)):
        if len(set(values)) < len(values):
            raise Refusal(f"{kind} variable {name!r} has duplicate values.", VALUE)
    return found


def unusable_name(name: Any) -> str:
    """Why it cannot stand in a path, which is where names are deleted; "" where it can."""
    if not isinstance(name, str):
        return f"a name must be a string, not {type(name).__name__}"
    if not name:
        return "an empty name has no URL to address"
    if "/" in name:
        return "'/' would split the name across two URL path segments"
    return f"{name!r} is a URL dot segment" if name in (".", "..") else ""


def _implied(body: NewVariable) -> str:
    if body.categories is not None:
        return CATEGORICAL
    return DISCRETE if body.allowed_values is not None else REAL


def _end(value: float | None, kind: str) -> float | None:
    if value is None or kind == CONTEXT:
        return value
    return int(value) if kind == INTEGER else float(value)


def number(value: Any, what: str, *, needed: bool = False) -> float | None:
    """Raises Refusal (400) where it is no finite one; None is none, where it is not `needed`."""
    if value is None and not needed:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise Refusal(
            f"{what} must be a finite number, got {str(value)[:100]} of type {type(value).__name__}"
        )
    return value


def _numbers(values: Any, name: str) -> tuple[float, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) < 2:
        raise Refusal(f"Discrete variable {name!r} requires 'allowed_values' with at least 2 values.", VALUE)
    what = f"Discrete variable {name!r}: an allowed value"
    return tuple(float(number(each, what, needed=True) or 0.0) for each in values)


def _texts(values: Any, name: str) -> tuple[str, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise Refusal(f"Categorical variable {name!r}: 'values' must be a list.", VALUE)
    return tuple(str(each) for each in values)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
