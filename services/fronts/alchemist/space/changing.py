"""The search space is changed: variables and constraints are added, replaced and removed.

What was measured stays true: a change that data forbid is refused with the reason (`campaign.change_in`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from labqueue.problem import Problem
from services.flow.define import check_feasible
from services.fronts.alchemist.experiments.rows import count
from services.fronts.alchemist.refusals import VALUE, Refusal
from services.fronts.alchemist.sessions import locking
from services.fronts.alchemist.sessions.campaign import change_in
from services.fronts.alchemist.sessions.keeping import hold
from services.fronts.alchemist.sessions.problem import problem_of
from services.fronts.alchemist.sessions.session import DISCRETE, OBSERVED, Constraint, Session, Variable
from services.fronts.alchemist.visit import Visitor
from services.ports import Store, Transaction

from . import reading_constraints, reading_variables
from .reading_constraints import NewConstraint
from .reading_variables import NewVariable

#: So many variables and constraints at most.
MOST = 1000


def add(store: Store, session_id: str, body: NewVariable, visitor: Visitor, token: str | None) -> Variable:
    """Raises Refusal (422, 400: a name that is taken, or data that have no value for it)."""
    new = reading_variables.variable(body)

    def edit(session: Session) -> Session:
        if session.variable(new.name) is not None:
            raise Refusal(
                f"Variable '{new.name}' already exists. Please use a different name or delete the existing "
                "variable first."
            )
        return _with(session, [*session.variables, _sorted(new)])

    _change(store, session_id, edit, f"variable {new.name} added", visitor, token, [new.name])
    return new


def put(
    store: Store, session_id: str, name: str, body: NewVariable, visitor: Visitor, token: str | None
) -> Variable:
    """Another definition under the same name; a unit and a description that it leaves out stay. Raises Refusal
    (422, 400, 404)."""
    new = _sorted(reading_variables.variable(body))

    def edit(session: Session) -> Session:
        if new.name != name:
            raise Refusal("Variable name in request body must match the name in URL path")
        _existing(session, name)
        return _with(session, [_instead(each, new) for each in session.variables])

    session = _change(store, session_id, edit, f"variable {name} changed", visitor, token)
    return session.variable(name) or new


def remove(store: Store, session_id: str, name: str, visitor: Visitor, token: str | None) -> Session:
    """The variable and the constraints that name it. Raises Refusal (404, 400 where data use it)."""

    def edit(session: Session) -> Session:
        _existing(session, name)
        left = [each for each in session.variables if each.name != name]
        rules = tuple(each for each in session.constraints if name not in each.coefficients)
        return _with(replace(session, constraints=rules), left)

    return _change(store, session_id, edit, f"variable {name} removed", visitor, token)


def load(store: Store, session_id: str, payload: Any, visitor: Visitor, token: str | None) -> dict[str, Any]:
    """A file's search space, whole or not at all: a bare list is appended, an object replaces. Raises Refusal."""
    variables: Any = payload
    constraints: Any = []
    if isinstance(payload, dict):
        variables, constraints = payload.get("variables") or [], payload.get("constraints") or []
    elif not isinstance(payload, list):
        raise Refusal(
            "A search space file must contain either a JSON array of variables or a JSON object with a "
            f"'variables' key, got {type(payload).__name__}."
        )
    for word, found in (("variables", variables), ("constraints", constraints)):
        if not isinstance(found, list) or len(found) > MOST:
            raise Refusal(f"{word!r} must be a JSON array of at most {MOST} entries.")
    new = [
        _sorted(reading_variables.variable_of(each, f"variables[{place}]"))
        for place, each in enumerate(variables)
    ]

    def edit(session: Session) -> Session:
        known = [*session.variables, *new] if isinstance(payload, list) else new
        names = [each.name for each in known]
        for each in new:
            if names.count(each.name) > 1:
                raise Refusal(f"Variable '{each.name}' is already registered.")
        if isinstance(payload, list):
            return _with(session, known)
        session = replace(session, variables=tuple(known), constraints=())
        for place, entry in enumerate(constraints):
            found = reading_constraints.constraint_of(entry, session, f"constraints[{place}]")
            session = replace(session, constraints=(*session.constraints, found))
        return _with(session, known)

    names = [each.name for each in new]
    session = _change(store, session_id, edit, "search space loaded from a file", visitor, token, names)
    rules = 0 if isinstance(payload, list) else len(session.constraints)
    said = f"{len(new)} variables" + ("" if isinstance(payload, list) else f" and {rules} constraints")
    return {"message": f"Loaded {said} successfully", "n_variables": len(new), "n_constraints": rules}


def add_constraint(
    store: Store, session_id: str, body: NewConstraint, visitor: Visitor, token: str | None
) -> Constraint:
    """Raises Refusal (422, 400)."""

    def edit(session: Session) -> Session:
        found = reading_constraints.constraint(body, session)
        return _checked(replace(session, constraints=(*session.constraints, found)))

    return _change(store, session_id, edit, "constraint added", visitor, token).constraints[-1]


def remove_constraint(store: Store, session_id: str, name: str, visitor: Visitor, token: str | None) -> None:
    """Raises Refusal (404)."""

    def edit(session: Session) -> Session:
        left = tuple(each for each in session.constraints if each.name != name)
        if len(left) == len(session.constraints):
            names = [each.name for each in session.constraints]
            raise Refusal(f"Constraint '{name[:100]}' not found. Registered: {names}", status=404)
        return replace(session, constraints=left)

    _change(store, session_id, edit, f"constraint {name} removed", visitor, token)


def _change(
    store: Store,
    session_id: str,
    edit: Callable[[Session], Session],
    reason: str,
    visitor: Visitor,
    token: str | None,
    new: list[str] | None = None,
) -> Session:
    """`new`: names of variables that may be new, which measured rows would have no value for."""
    with store.begin() as tx:
        session = hold(tx, session_id)
        locking.require(tx, session_id, visitor, token)
        _without_data(tx, session, new or [])
        return change_in(tx, session_id, edit, reason, visitor.actor)


def _without_data(tx: Transaction, session: Session, names: list[str]) -> None:
    added = [each for each in names if session.variable(each) is None]
    rows = count(tx, session.id) if added else 0
    if rows:
        raise Refusal(
            f"Cannot add variable '{added[0]}': the session already has {rows} recorded experiments, which have no "
            "value for it. Add every variable before recording results, or start a new session.",
            VALUE,
        )


def _existing(session: Session, name: str) -> None:
    if session.variable(name) is None:
        raise Refusal(f"Variable '{name[:200]}' not found", status=404)


def _with(session: Session, variables: list[Variable]) -> Session:
    if len(variables) > MOST:
        raise Refusal(f"A session has at most {MOST} variables.", VALUE)
    return _checked(replace(session, variables=tuple(variables)))


def _checked(session: Session) -> Session:
    """What no campaign could ever be made of is refused at once, not when the first experiment is staged. Raises
    InvalidError."""
    if any(each.role != OBSERVED for each in session.variables):
        check_feasible(Problem.from_json(problem_of(session)))
    return session


def _instead(old: Variable, new: Variable) -> Variable:
    if old.name != new.name:
        return old
    kept = {name: getattr(old, name) for name in ("unit", "description") if getattr(new, name) is None}
    return replace(new, **kept)


def _sorted(variable: Variable) -> Variable:
    if variable.type != DISCRETE:
        return variable
    return replace(variable, allowed_values=tuple(sorted(variable.allowed_values)))
