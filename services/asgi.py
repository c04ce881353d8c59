"""Composes the API, the page and the fronts by prefix; what `python -m services.api` runs."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from services.api.app import PREFIX, create_app
from services.bootstrap import Context
from services.fronts.alchemist.app import ROUTERS
from services.web import page


def create(context: Context) -> FastAPI:
    """The whole HTTP side. The caller closes the context."""
    alchemist = APIRouter(prefix=PREFIX)
    for router in ROUTERS:
        alchemist.include_router(router)
    return create_app(context, others=[page.router, alchemist])
