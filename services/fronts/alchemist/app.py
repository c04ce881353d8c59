"""ALchemist's HTTP API on Labqueue's flow: the router that `services.asgi` puts beside the others."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from services.api.app import PREFIX
from services.fronts.alchemist.routes import (
    acquisition,
    audit,
    designs,
    experiments,
    files,
    live,
    llm,
    model,
    plots,
    queue,
    sessions,
    staged,
    variables,
)
from services.fronts.alchemist.sessions import locking
from services.fronts.alchemist.visit import Visiting


async def _renewed(visit: Visiting) -> None:
    """Whoever shows a lock's token keeps the lock, whatever else the request is for."""
    token, session = locking.token_of(visit), visit.request.path_params.get("session_id")
    if token and session:
        await visit.run(locking.renew, visit.store, session, token)


#: More particular paths come first.
_OF_SESSIONS = (
    files.router,
    sessions.router,
    variables.router,
    audit.router,
    queue.router,
    staged.router,
    experiments.router,
    designs.router,
    model.router,
    acquisition.router,
    plots.router,
)


def router() -> APIRouter:
    """All routes, with their prefix."""
    whole = APIRouter(prefix=PREFIX)
    for each in _OF_SESSIONS:
        whole.include_router(each, dependencies=[Depends(_renewed)])
    for each in (llm.router, live.router):
        whole.include_router(each)
    return whole
