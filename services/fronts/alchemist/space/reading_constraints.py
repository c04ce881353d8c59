"""Constraints as ALchemist's programs and files give them: linear, on variables that somebody sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from labqueue.problem import did_you_mean
from services.fronts.alchemist.refusals import Refusal, invalid
from services.fronts.alchemist.sessions.session import OBSERVED, Constraint, Session

from .reading_variables import number, unusable_name


class NewConstraint(BaseModel):
    """`inequality`: the weighted sum is at most `rhs`; `equality`: it is `rhs`."""

    model_config = ConfigDict(extra="ignore")

    constraint_type: Literal["inequality", "equality"]
    coefficients: dict[str, float]
    rhs: float
    name: str | None = None


def constraint(body: NewConstraint, session: Session) -> Constraint:
    """Raises Refusal (422, 400)."""
    if body.name is not None and (unusable := unusable_name(body.name)):
        raise invalid(unusable, "name", given=body.name)
    if not body.coefficients:
        raise invalid("Dictionary should have at least 1 item", "coefficients", kind="too_short", given={})
    name = _free(session) if body.name is None else body.name
    return agreeing(Constraint(name, body.constraint_type, body.coefficients, body.rhs), session)


def constraint_of(entry: Any, session: Session, place: str) -> Constraint:
    """One of a file. Raises Refusal (400)."""
    if not isinstance(entry, Mapping):
        raise Refusal(f"{place} must be a JSON object, got {type(entry).__name__}.")
    missing = [name for name in ("type", "coefficients", "rhs") if name not in entry]
    if missing:
        raise Refusal(f"{place} is missing required key(s): {', '.join(missing)}.")
    name = entry.get("name")
    if name is not None and (unusable := unusable_name(name)):
        raise Refusal(f"The constraint name {str(name)[:100]!r} cannot be used: {unusable}.")
    if entry["type"] not in ("inequality", "equality"):
        raise Refusal(f"{place}: type is inequality or equality, not {str(entry['type'])[:100]!r}.")
    if not isinstance(entry["coefficients"], Mapping) or not entry["coefficients"]:
        raise Refusal(f"{place}: coefficients must map variable names to numbers.")
    weights = {
        str(key): float(number(value, f"Constraint coefficient for {key!r}", needed=True) or 0.0)
        for key, value in entry["coefficients"].items()
    }
    rhs = float(number(entry["rhs"], "Constraint rhs", needed=True) or 0.0)
    return agreeing(
        Constraint(_free(session) if name is None else name, entry["type"], weights, rhs), session
    )


def agreeing(found: Constraint, session: Session) -> Constraint:
    """Raises Refusal (400) where it does not fit the session's variables or its other constraints."""
    known = {each.name: each for each in session.variables}
    for name in found.coefficients:
        if name not in known:
            hint = did_you_mean(name, known)
            raise Refusal(
                f"Variable {name[:100]!r} in constraint not found in search space. Available: {list(known)} "
                f"{hint}".strip()
            )
        if known[name].categories:
            raise Refusal(
                f"Variable {name!r} is not numeric (type {known[name].type!r}) and cannot appear in a linear "
                "constraint. Constraints may only reference variables of type real, integer, discrete."
            )
        if known[name].role == OBSERVED:
            raise Refusal(f"Variable {name!r} is observed: nobody sets it, so no constraint can bound it.")
    names = [each.name for each in session.constraints]
    if found.name in names:
        raise Refusal(
            f"Constraint name {found.name!r} is already registered. A constraint name is the identity used to "
            f"remove it, so names must be unique. Registered: {names}"
        )
    return found


def _free(session: Session) -> str:
    names = {each.name for each in session.constraints}
    number = len(names)
    while f"constraint_{number}" in names:
        number += 1
    return f"constraint_{number}"
