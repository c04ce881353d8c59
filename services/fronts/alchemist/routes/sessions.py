"""Sessions: made, looked at, removed."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from models.domain import records as r
from services.api.answers import Json
from services.api.spec import says
from services.fronts.alchemist.keeping import SESSION, find, text_of
from services.fronts.alchemist.session import Session
from services.fronts.alchemist.visit import Route, Visit, Visiting
from services.ports import Ids, Store

router = APIRouter(tags=["ALchemist"], route_class=Route)


class NewSession(BaseModel):
    """Everything may be left out; what is not known here is left alone."""

    model_config = ConfigDict(extra="ignore")

    name: str | None = None
    description: str | None = None
    tags: list[str] = []
    author: str | None = None


@router.post(
    "/sessions",
    summary="Make a session",
    **says(NewSession, example={"name": "coupling"}, answer={"session_id": "..."}, status=201),
)
async def create(visit: Visiting) -> Response:
    """A campaign and a queue of its name follow when they are first needed."""
    body = await visit.read(NewSession)
    made = await visit.run(_create, visit.store, visit.context.ids, body)
    return Json({"session_id": made.id, "created_at": made.created_at, "expires_at": None}, 201)


@router.get("/sessions/{session_id}/state", summary="A session in short", **says(answer={}, problems=(404,)))
async def state(session_id: str, visit: Visiting) -> Response:
    return Json(await visit.run(_state, visit, session_id))


def _create(store: Store, ids: Ids, body: NewSession) -> Session:
    with store.begin() as tx:
        session = Session(
            str(ids.uuid()), text_of(tx.now()), **{**body.model_dump(), "tags": tuple(body.tags)}
        )
        tx.documents.add(r.Document(SESSION, "", session.id, session.to_json()))
    return session


def _state(visit: Visit, session_id: str) -> dict[str, Any]:
    with visit.store.begin() as tx:
        session = find(tx, session_id)
    return {"session_id": session.id, "n_variables": len(session.variables)}
