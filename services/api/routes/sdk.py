"""The SDK's wheel, for instrument computers without internet: pip install --no-index -f http://SERVER/sdk/ labqueue"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Path as InPath
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse

from labqueue.errors import NotFoundError
from services.api.call import Server

router = APIRouter(prefix="/sdk", include_in_schema=False)


@router.get("")
async def without_slash() -> Response:
    return RedirectResponse("/sdk/")


@router.get("/")
async def index(request: Request) -> Response:
    """A plain list of links, as pip reads it."""
    server: Server = request.app.state.server
    names = await server.threads.run(_wheels, _folder(server))
    links = "".join(f'<li><a href="{escape(each, quote=True)}">{escape(each)}</a></li>' for each in names)
    found = (
        f"<ul>{links}</ul>"
        if links
        else "<p>There is no wheel here yet: labqueue-server up puts one here.</p>"
    )
    address = escape(str(request.url.replace(query=None)))
    return HTMLResponse(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Labqueue SDK</title><h1>Labqueue SDK</h1>"
        f"<p><code>pip install --no-index --find-links {address} labqueue</code></p>{found}</html>"
    )


@router.get("/{name}")
async def wheel(request: Request, name: Annotated[str, InPath(max_length=200)]) -> Response:
    server: Server = request.app.state.server
    folder = _folder(server)
    if name not in await server.threads.run(_wheels, folder):
        raise NotFoundError(f"There is no {name[:100]!r} here; /sdk/ lists what there is.")
    return FileResponse(folder / name, media_type="application/octet-stream", filename=name)


def _folder(server: Server) -> Path:
    return server.context.settings.home / "sdk"


def _wheels(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.glob("*.whl") if each.is_file())
