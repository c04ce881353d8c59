"""The plain pages: at /app what needs a person, then what runs; at /campaigns/NAME one campaign. Rendered here, refreshed by
the browser, no script."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import FileResponse, HTMLResponse

from labqueue.errors import DeniedError, NotFoundError, UnavailableError
from services.api.access import Caller, TokenNeededError
from services.api.call import Server
from services.api.listings import overview
from services.api.names import Named, find_campaign
from services.web.campaign import campaign_page
from services.web.words import figure, point, units

router = APIRouter(include_in_schema=False)

HERE = Path(__file__).parent
REFRESH_SECONDS = 5
# Every name on this page came from outside: nothing but our own style sheet may load or run.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
}


@router.get("/app")
async def show(request: Request) -> Response:
    server: Server = request.app.state.server
    address = str(request.base_url).rstrip("/")

    async def page(caller: Caller) -> Response:
        found = await server.threads.run(overview, server.context.store, caller.sees)
        return _render("index.html", **found, refresh=REFRESH_SECONDS, now=datetime.now(UTC), address=address)

    return await _shown(request, page)


@router.get("/campaigns/{campaign}")
async def show_campaign(campaign: Named, request: Request) -> Response:
    server: Server = request.app.state.server

    async def page(caller: Caller) -> Response:
        found = await server.threads.run(find_campaign, server.context.store, campaign)
        caller.must_see(found.name, found.queue)
        values = await server.threads.run(campaign_page, server.context.store, found)
        return _render("campaign.html", **values, refresh=REFRESH_SECONDS, now=datetime.now(UTC))

    return await _shown(request, page)


async def _shown(request: Request, page: Callable[[Caller], Awaitable[Response]]) -> Response:
    """A browser shows the token, where one is needed, as the password of basic authentication."""
    server: Server = request.app.state.server
    try:
        return await page(await server.access.caller(request.headers, page=True))
    except TokenNeededError as error:
        asked = {"WWW-Authenticate": 'Basic realm="Labqueue: any name, and a token as the password"'}
        return _render("message.html", 401, asked, title="A token is needed", text=error.message)
    except (DeniedError, NotFoundError) as error:
        return _render("message.html", error.status, title="Not here", text=error.message)
    except UnavailableError as error:
        return _render("message.html", 503, title="Not at present", text=error.message)


@router.get("/static/{name}")
async def static(name: str) -> Response:
    if name != "labqueue.css":
        return _render("message.html", 404, title="Not here", text="There is no such file.")
    return FileResponse(
        HERE / "static" / name, media_type="text/css", headers={"Cache-Control": "max-age=300"}
    )


@cache
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(figure=figure, point=point, units=units, ago=_ago)
    return made


def _render(
    template: str, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any
) -> Response:
    text = _templates().get_template(template).render(**values)
    return HTMLResponse(text, status, {**_HEADERS, **(headers or {})})


def _ago(time: str | None, now: datetime) -> str:
    """How long ago an ISO time was."""
    if not time:
        return "never"
    seconds = max(0.0, (now - datetime.fromisoformat(time)).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
