"""Sessions as files: out, in, and back after a crash."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from services.api.answers import Json
from services.fronts.alchemist.files import backups, exporting, importing
from services.fronts.alchemist.refusals import Refusal
from services.fronts.alchemist.routes.sessions import MADE, made
from services.fronts.alchemist.routes.spec import says
from services.fronts.alchemist.routes.uploads import FILE, json_file
from services.fronts.alchemist.visit import Route, Visit, Visiting

router = APIRouter(tags=["ALchemist"], route_class=Route)


@router.get(
    "/sessions/{session_id}/export", summary="A session as a file", **says(answer={}, problems=(404,))
)
async def export(session_id: str, visit: Visiting) -> Response:
    """JSON 1.1.0, which ALchemist reads."""
    return await _file(visit, session_id, f"session_{session_id}.json")


@router.get(
    "/sessions/{session_id}/download", summary="A session as a file", **says(answer={}, problems=(404,))
)
async def download(session_id: str, visit: Visiting) -> Response:
    """As `export`, named as the session."""
    return await _file(visit, session_id, None)


@router.post(
    "/sessions/import",
    summary="Make a session of a file",
    **says(answer=MADE, status=201, problems=(400, 422)) | {"openapi_extra": FILE},
)
async def load(visit: Visiting) -> Response:
    """With its rows, its pending items and its audit log; whole or not at all."""
    return await _load(visit)


@router.post(
    "/sessions/upload",
    summary="Make a session of a file",
    **says(answer=MADE, status=201, problems=(400, 422)) | {"openapi_extra": FILE},
)
async def upload(visit: Visiting) -> Response:
    """As `import`."""
    return await _load(visit)


@router.post(
    "/sessions/{session_id}/backup",
    summary="Mark a session for recovery",
    **says(answer={"message": "Recovery backup created"}, problems=(404,)),
)
async def back_up(session_id: str, visit: Visiting) -> Response:
    """Every change is kept anyway: the mark offers the session for recovery."""
    await visit.run(backups.make, visit.store, session_id)
    return Json({"message": "Recovery backup created"})


@router.delete(
    "/sessions/{session_id}/backup",
    summary="Remove the mark",
    **says(answer={"message": "Recovery backup cleared", "deleted": True}),
)
async def clear(session_id: str, visit: Visiting) -> Response:
    deleted = await visit.run(backups.clear, visit.store, session_id)
    return Json({"message": "Recovery backup cleared", "deleted": deleted})


@router.get("/recovery/list", summary="Sessions to recover", **says(answer={"recoveries": [], "count": 0}))
async def listing(visit: Visiting) -> Response:
    """The newest first."""
    return Json(await visit.run(backups.listing, visit.store))


@router.post(
    "/recovery/{session_id}/restore",
    summary="Recover a session",
    **says(answer=MADE, status=201, problems=(404,)),
)
async def restore(session_id: str, visit: Visiting) -> Response:
    """As a new session, of one that was deleted, too."""
    visit.caller.must_administer()
    return made(await visit.act(backups.restore, visit.store, visit.context.ids, session_id, visit.actor))


@router.delete("/recovery/cleanup", summary="Remove old marks", **says(answer={"message": "..."}))
async def clean(visit: Visiting, max_age_hours: Annotated[int, Query(ge=0, le=1_000_000)] = 24) -> Response:
    await visit.run(backups.clean, visit.store, max_age_hours)
    return Json({"message": f"Cleaned up recovery files older than {max_age_hours} hours"})


async def _file(visit: Visit, session_id: str, name: str | None) -> Response:
    session, content = await visit.run(exporting.export, visit.store, session_id)
    answer = Json(content)
    answer.headers["Content-Disposition"] = f"attachment; filename={name or exporting.name_of(session)}"
    return answer


async def _load(visit: Visit) -> Response:
    try:
        body = await json_file(visit)
    except Refusal as error:
        if error.status == 422:
            raise
        raise Refusal(f"{importing.FAILED} {error.body['detail']}") from error
    return made(await visit.act(importing.load, visit.store, visit.context.ids, body, visit.actor))
