"""For supervisors and Prometheus: does it live, is it ready, how much does it do."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from labqueue.errors import LabqueueError, UnavailableError
from services.api.answers import Json
from services.api.call import Server
from services.api.metrics import CONTENT_TYPE

router = APIRouter(tags=["operation"], include_in_schema=False)


@router.get("/livez")
async def livez() -> Response:
    """The process answers."""
    return Json({"status": "ok"})


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """503 where requests cannot be answered. Without Redis they can: more slowly, which is said."""
    server: Server = request.app.state.server
    postgres = await server.threads.run(_postgres, server)
    redis = await server.threads.run(_redis, server)
    ready = postgres == "ok" and not server.hub.closing
    status = (
        "closing"
        if server.hub.closing
        else "ok"
        if ready and redis == "ok"
        else "degraded"
        if ready
        else "down"
    )
    return Json(
        {"status": status, "dependencies": {"postgres": postgres, "redis": redis}}, 200 if ready else 503
    )


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus text. Needs a token where everything does."""
    server: Server = request.app.state.server
    await server.access.caller(request.headers)
    try:
        depths = await server.threads.run(_depths, server)
    except UnavailableError:
        depths = []
    return Response(server.metrics.exposition(depths), media_type=CONTENT_TYPE)


def _depths(server: Server) -> list[tuple[str, str, int]]:
    return server.context.store.views.depths()


def _postgres(server: Server) -> str:
    from services.store import migrate  # Alembic: not before somebody asks

    try:
        found = migrate.current(server.context.settings.database)
    except LabqueueError as error:
        return error.message
    if found != migrate.head():
        return f"The database is at revision {found}, this server needs {migrate.head()}: labqueue-server migrate."
    return "ok"


def _redis(server: Server) -> str:
    if server.context.publisher is None:
        return "not used"
    try:
        server.context.publisher.epoch()
    except UnavailableError as error:
        return error.message
    return "ok"
