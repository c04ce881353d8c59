"""The search space: variables and constraints."""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.api.answers import Json
from services.fronts.alchemist.routes.spec import says
from services.fronts.alchemist.routes.uploads import FILE, json_file
from services.fronts.alchemist.sessions import locking
from services.fronts.alchemist.sessions.keeping import find
from services.fronts.alchemist.sessions.session import Session
from services.fronts.alchemist.space import changing, describing
from services.fronts.alchemist.space.reading_constraints import NewConstraint
from services.fronts.alchemist.space.reading_variables import NewVariable
from services.fronts.alchemist.visit import Route, Visit, Visiting, Visitor

router = APIRouter(prefix="/sessions/{session_id}", tags=["ALchemist"], route_class=Route)

VARIABLE = {"name": "temperature", "type": "real", "min": 20.0, "max": 120.0, "unit": "C"}
CONSTRAINT = {"constraint_type": "inequality", "coefficients": {"x1": 1.0, "x2": 1.0}, "rhs": 10.0}


@router.post(
    "/variables",
    summary="Add a variable",
    **says(NewVariable, example=VARIABLE, answer={}, problems=(400, 404, 409, 422)),
)
async def add(session_id: str, visit: Visiting) -> Response:
    """real, integer, categorical or discrete; `observed` ones are measured, not chosen."""
    body = await visit.read(NewVariable)
    found = await visit.act(changing.add, visit.store, session_id, body, *_who(visit))
    return Json({"message": "Variable added successfully", "variable": describing.echoed(found)})


@router.get(
    "/variables", summary="Variables", **says(answer={"variables": [], "n_variables": 0}, problems=(404,))
)
async def listing(session_id: str, visit: Visiting) -> Response:
    session = await visit.run(_found, visit, session_id)
    shown = [describing.listed(each) for each in session.variables]
    return Json({"variables": shown, "n_variables": len(shown)})


@router.post(
    "/variables/load",
    summary="Load a search space",
    **says(answer={}, problems=(400, 404, 409, 422)) | {"openapi_extra": FILE},
)
async def load(session_id: str, visit: Visiting) -> Response:
    """A JSON file: a bare list is appended, `{"variables", "constraints"}` replaces; whole or not at all."""
    payload = await json_file(visit)
    return Json(await visit.act(changing.load, visit.store, session_id, payload, *_who(visit)))


@router.get("/variables/export", summary="The search space as a file", **says(answer=[], problems=(404,)))
async def export(session_id: str, visit: Visiting, include_constraints: bool = False) -> Response:
    """A bare list, or with constraints what `load` replaces a search space by."""
    session = await visit.run(_found, visit, session_id)
    found = [describing.exported(each) for each in session.variables]
    rules = [describing.constraint(each) for each in session.constraints]
    answer = Json({"variables": found, "constraints": rules} if include_constraints else found)
    answer.headers["Content-Disposition"] = f"attachment; filename=variables_{session.id[:8]}.json"
    return answer


@router.put(
    "/variables/{name}",
    summary="Change a variable",
    **says(NewVariable, example=VARIABLE, answer={}, problems=(400, 404, 409, 422)),
)
async def put(session_id: str, name: str, visit: Visiting) -> Response:
    """Its name stays; what data forbid is refused."""
    body = await visit.read(NewVariable)
    found = await visit.act(changing.put, visit.store, session_id, name, body, *_who(visit))
    return Json({"message": "Variable updated successfully", "variable": describing.echoed(found)})


@router.delete("/variables/{name}", summary="Remove a variable", **says(answer={}, problems=(400, 404, 409)))
async def remove(session_id: str, name: str, visit: Visiting) -> Response:
    """With the constraints that name it. Refused where data use it."""
    session = await visit.act(changing.remove, visit.store, session_id, name, *_who(visit))
    return Json({"message": f"Variable '{name}' deleted successfully", "n_variables": len(session.variables)})


@router.post(
    "/constraints",
    summary="Add a constraint",
    **says(NewConstraint, example=CONSTRAINT, answer={}, problems=(400, 404, 409, 422)),
)
async def constrain(session_id: str, visit: Visiting) -> Response:
    """A weighted sum of variables, at most or equal to a number."""
    body = await visit.read(NewConstraint)
    found = await visit.act(changing.add_constraint, visit.store, session_id, body, *_who(visit))
    return Json({"message": "Constraint added successfully", "constraint": describing.constraint(found)})


@router.get("/constraints", summary="Constraints", **says(answer={"constraints": []}, problems=(404,)))
async def constraints(session_id: str, visit: Visiting) -> Response:
    return Json(describing.constraints((await visit.run(_found, visit, session_id)).constraints))


@router.delete("/constraints/{name}", summary="Remove a constraint", **says(answer={}, problems=(404, 409)))
async def release(session_id: str, name: str, visit: Visiting) -> Response:
    await visit.act(changing.remove_constraint, visit.store, session_id, name, *_who(visit))
    return Json({"message": f"Constraint '{name}' deleted successfully"})


def _who(visit: Visit) -> tuple[Visitor, str | None]:
    return visit.visitor, locking.token_of(visit)


def _found(visit: Visit, session_id: str) -> Session:
    with visit.store.begin() as tx:
        return find(tx, session_id)
