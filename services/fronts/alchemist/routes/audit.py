"""The audit log: read, exported, added to."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from services.api.answers import Json
from services.fronts.alchemist.files import markdown
from services.fronts.alchemist.monitor import decisions
from services.fronts.alchemist.routes.spec import says
from services.fronts.alchemist.sessions import audit, locking
from services.fronts.alchemist.sessions.keeping import find
from services.fronts.alchemist.visit import Route, Visit, Visiting

router = APIRouter(prefix="/sessions/{session_id}/audit", tags=["ALchemist"], route_class=Route)

Notes = Annotated[str, Field(max_length=2000)]
ENTRY = {
    "timestamp": "2026-01-31T12:00:00+00:00",
    "entry_type": "data_locked",
    "parameters": {},
    "hash": "...",
}


class Decision(BaseModel):
    """`acquisition` needs the last three."""

    model_config = ConfigDict(extra="ignore")

    lock_type: Literal["data", "model", "acquisition"]
    notes: Notes | None = None
    strategy: Annotated[str, Field(max_length=200)] | None = None
    parameters: dict[str, Any] | None = None
    suggestions: Annotated[list[dict[str, Any]], Field(max_length=1000)] | None = None


class Event(BaseModel):
    model_config = ConfigDict(extra="ignore")

    entry_type: Annotated[str, Field(min_length=1, max_length=64)]
    parameters: dict[str, Any] = {}
    notes: Notes = ""


@router.get("", summary="The audit log", **says(answer={"entries": [ENTRY], "n_entries": 1}, problems=(404,)))
async def listing(
    session_id: str, visit: Visiting, entry_type: Annotated[str | None, Query(max_length=200)] = None
) -> Response:
    """In order; each entry has the hash of what it says, and of the entry before it."""
    found = await visit.run(_entries, visit, session_id, entry_type)
    return Json({"entries": found, "n_entries": len(found)})


@router.post(
    "/lock",
    summary="Lock a decision",
    **says(Decision, example={"lock_type": "data"}, answer={"success": True}, problems=(400, 404, 409, 422)),
)
async def lock(session_id: str, visit: Visiting) -> Response:
    """The data as they are, the model, or what is run next."""
    body = await visit.read(Decision)
    given = (body.strategy, body.parameters, body.suggestions)
    who = (visit.visitor, locking.token_of(visit))
    kind = body.lock_type
    entry = await visit.act(decisions.lock, visit.store, session_id, kind, body.notes or "", given, *who)
    return Json({"success": True, "entry": entry, "message": f"{kind.title()} decision locked successfully"})


@router.post(
    "/event",
    summary="Add an entry",
    **says(Event, example={"entry_type": "run.begun"}, answer={"entry": ENTRY}, problems=(404, 409, 422)),
)
async def event(session_id: str, visit: Visiting) -> Response:
    """Of a kind of the caller's own."""
    body = await visit.read(Event)
    said = (body.entry_type, body.parameters, body.notes, visit.visitor, locking.token_of(visit))
    return Json({"entry": await visit.act(decisions.event, visit.store, session_id, *said)})


@router.get(
    "/export", summary="The audit log as text", **says(kind="text/markdown", answer="#", problems=(404,))
)
async def export(session_id: str, visit: Visiting) -> Response:
    """Markdown, with the search space and the data."""
    text = await visit.run(_document, visit, session_id)
    named = {"Content-Disposition": f"attachment; filename=audit_log_{session_id}.md"}
    return Response(text, media_type="text/markdown", headers=named)


@router.get(
    "/config-changes", summary="How the model was changed", **says(answer={"changes": []}, problems=(404,))
)
async def changes(session_id: str, visit: Visiting) -> Response:
    found = await visit.run(_entries, visit, session_id, "config_changed")
    return Json({"changes": [_change(each) for each in found]})


def _change(entry: audit.Entry) -> dict[str, Any]:
    said = entry["parameters"]
    names = ("component", "old", "new", "iteration")
    return {"timestamp": entry["timestamp"], **{name: said.get(name) for name in names}}


def _entries(visit: Visit, session_id: str, entry_type: str | None) -> list[audit.Entry]:
    with visit.store.begin() as tx:
        find(tx, session_id)
        return audit.entries(tx, session_id, entry_type)


def _document(visit: Visit, session_id: str) -> str:
    with visit.store.begin() as tx:
        session = find(tx, session_id)
        found, verdict = audit.entries(tx, session_id), audit.verdict(tx, session_id)
        return markdown.document(session, decisions.table(tx, session), found, verdict)
