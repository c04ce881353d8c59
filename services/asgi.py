"""Composes the API, the page and the fronts by prefix; what `python -m services.api` runs."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Response
from starlette.responses import RedirectResponse

from services.api.app import create_app
from services.bootstrap import Context
from services.fronts.alchemist import app as alchemist_app
from services.fronts.alchemist import page as alchemist_page
from services.fronts.alchemist.routes import health
from services.web import page


def create(context: Context) -> FastAPI:
    """The whole HTTP side. The caller closes the context."""
    ui = context.settings.alchemist_ui
    # At last: ALchemist's page answers every path that nobody else does.
    root = _home if ui is None else alchemist_page.router(ui)
    return create_app(context, others=[page.router, alchemist_app.router(), health.router, root])


_home = APIRouter(include_in_schema=False)


@_home.get("/")
async def _go_home() -> Response:
    return RedirectResponse("/app")
