"""Sessions: made, listed, described, locked, removed; their control record and the labels of their objectives."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from services.api.answers import Json
from services.fronts.alchemist.files import removing
from services.fronts.alchemist.monitor import overview
from services.fronts.alchemist.routes.spec import says
from services.fronts.alchemist.sessions import control, labels, lifetime, locking
from services.fronts.alchemist.sessions.keeping import find
from services.fronts.alchemist.sessions.session import Session
from services.fronts.alchemist.visit import Route, Visiting
from services.ports import Store

router = APIRouter(tags=["ALchemist"], route_class=Route)

Line = Annotated[str, StringConstraints(max_length=1000)]
Words = Annotated[str, StringConstraints(max_length=20_000)]
MADE = {"session_id": "...", "created_at": "2026-01-31T12:00:00+00:00", "expires_at": None}
LOCKED = {
    "locked": True,
    "locked_by": "controller",
    "locked_at": "2026-01-31T12:00:00+00:00",
    "lock_token": "...",
}


class About(BaseModel):
    """Everything may be left out; what is not known here is left alone."""

    model_config = ConfigDict(extra="ignore")

    name: Line | None = None
    description: Words | None = None
    tags: list[Line] | None = None
    author: Line | None = None


class Locking(BaseModel):
    model_config = ConfigDict(extra="ignore")

    locked_by: Line
    client_id: Line | None = None


class Control(BaseModel):
    """One half: what a person asks for, or what the driving program says of itself."""

    model_config = ConfigDict(extra="ignore")

    requested: Literal["run", "pause"] | None = None
    requested_by: Line | None = None
    reported: Literal["idle", "running", "paused", "failed"] | None = None
    reported_by: Line | None = None
    detail: Words | None = None


class Labels(BaseModel):
    """By objective: `label` and `unit`."""

    model_config = ConfigDict(extra="ignore")

    metadata: dict[Line, dict[str, Line | None]]


def made(session: Session) -> Response:
    """The answer wherever a session was made."""
    return Json({"session_id": session.id, "created_at": session.created_at, "expires_at": None}, 201)


@router.post(
    "/sessions",
    summary="Make a session",
    **says(About, example={"name": "coupling"}, answer=MADE, status=201),
)
async def create(visit: Visiting) -> Response:
    """A campaign and a queue of its name follow when they are first needed."""
    body = await visit.read(About)
    about = (body.name, body.description, body.tags or [], body.author)
    return made(await visit.run(lifetime.create, visit.store, visit.context.ids, *about))


@router.get("/sessions", summary="All sessions", **says(answer={"sessions": [], "count": 0}))
async def listing(visit: Visiting) -> Response:
    """The oldest first."""
    return Json(await visit.run(lifetime.listing, visit.store))


@router.get("/sessions/{session_id}", summary="A session", **says(answer={}, problems=(404,)))
async def show(session_id: str, visit: Visiting) -> Response:
    """Its variables, how much was measured, and its model."""
    return Json(await visit.run(overview.whole, visit.store, session_id))


@router.get("/sessions/{session_id}/state", summary="A session in short", **says(answer={}, problems=(404,)))
async def state(session_id: str, visit: Visiting) -> Response:
    return Json(await visit.run(overview.short, visit.store, session_id))


@router.delete("/sessions/{session_id}", summary="Remove a session", **says(status=204, problems=(404, 409)))
async def remove(session_id: str, visit: Visiting) -> Response:
    """Its campaign ends; what was measured stays there."""
    token = locking.token_of(visit)
    await visit.act(removing.remove, visit.store, session_id, visit.visitor, token)
    return Response(status_code=204)


@router.post(
    "/sessions/{session_id}/save",
    summary="Save a session",
    **says(answer={"message": "Session persisted to server storage"}, problems=(404,)),
)
async def save(session_id: str, visit: Visiting) -> Response:
    """Every change is kept before it is answered: this one has nothing left to do."""
    await visit.run(lifetime.saved, visit.store, session_id)
    return Json({"message": "Session persisted to server storage"})


@router.get(
    "/sessions/{session_id}/metadata",
    summary="Name, description, tags, author",
    **says(answer={}, problems=(404,)),
)
async def metadata(session_id: str, visit: Visiting) -> Response:
    return Json(lifetime.metadata(await visit.run(_found, visit.store, session_id)))


@router.patch(
    "/sessions/{session_id}/metadata",
    summary="Change name, description, tags, author",
    **says(About, example={"tags": ["catalyst"]}, answer={}, problems=(404, 409, 422)),
)
async def describe(session_id: str, visit: Visiting) -> Response:
    """What is left out stays."""
    body = await visit.read(About)
    token = locking.token_of(visit)
    changed = await visit.act(
        lifetime.describe, visit.store, session_id, body.model_dump(), visit.visitor, token
    )
    return Json(lifetime.metadata(changed))


@router.get(
    "/sessions/{session_id}/lock", summary="Who holds the session", **says(answer=LOCKED, problems=(404,))
)
async def lock(session_id: str, visit: Visiting) -> Response:
    """Never with the token."""
    return Json(await visit.run(locking.status, visit.store, session_id))


@router.post(
    "/sessions/{session_id}/lock",
    summary="Take the session",
    **says(Locking, example={"locked_by": "controller"}, answer=LOCKED, problems=(404, 409, 422)),
)
async def take(session_id: str, visit: Visiting) -> Response:
    """Until it is given up nobody else changes the session, but with the token (`X-Lock-Token`)."""
    body = await visit.read(Locking)
    who = (visit.visitor, body.locked_by, body.client_id, locking.token_of(visit))
    return Json(await visit.act(locking.take, visit.store, session_id, *who))


@router.delete(
    "/sessions/{session_id}/lock", summary="Give the session up", **says(answer={}, problems=(403, 404))
)
async def release(session_id: str, visit: Visiting) -> Response:
    """With the token, by who took it, or by an admin; an admin's stands in the audit."""
    token, force = locking.token_of(visit), visit.caller.admin
    return Json(await visit.act(locking.release, visit.store, session_id, visit.visitor, token, force=force))


@router.get(
    "/sessions/{session_id}/control", summary="The control record", **says(answer={}, problems=(404,))
)
async def controlled(session_id: str, visit: Visiting) -> Response:
    return Json(await visit.run(control.read, visit.store, session_id))


@router.put(
    "/sessions/{session_id}/control",
    summary="Write one half of the control record",
    **says(Control, example={"requested": "pause"}, answer={}, problems=(400, 404, 422)),
)
async def steer(session_id: str, visit: Visiting) -> Response:
    """Kept and shown; the program that drives looks at it and decides."""
    body = await visit.read(Control)
    return Json(await visit.act(control.write, visit.store, session_id, body.model_dump(), visit.actor))


@router.get(
    "/sessions/{session_id}/objective-metadata",
    summary="Labels of objectives",
    **says(answer={"metadata": {}}, problems=(404,)),
)
async def labelled(session_id: str, visit: Visiting) -> Response:
    return Json(await visit.run(labels.read, visit.store, session_id))


@router.put(
    "/sessions/{session_id}/objective-metadata",
    summary="Label objectives",
    **says(
        Labels, example={"metadata": {"Output": {"label": "Yield", "unit": "%"}}}, problems=(404, 409, 422)
    ),
)
async def label(session_id: str, visit: Visiting) -> Response:
    """What is not named stays."""
    body = await visit.read(Labels)
    who = (visit.visitor, locking.token_of(visit))
    return Json(await visit.act(labels.write, visit.store, session_id, body.metadata, *who))


def _found(store: Store, session_id: str) -> Session:
    with store.begin() as tx:
        return find(tx, session_id)
