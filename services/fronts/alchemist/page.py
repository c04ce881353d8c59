"""ALchemist's prebuilt page, from the folder that LABQUEUE_ALCHEMIST_UI names: shown as it is, at /."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse

from labqueue.errors import InvalidError

INDEX = "index.html"
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def router(folder: Path) -> APIRouter:
    """Its files, and its index for every other path outside of the API: the page looks at the path itself.

    Raises InvalidError where the folder has no index.
    """
    folder = folder.resolve()
    index = folder / INDEX
    if not index.is_file():
        raise InvalidError(
            f"LABQUEUE_ALCHEMIST_UI names {str(folder)!r}, which has no {INDEX}. Name the folder api/static of an "
            "installed alchemist-nrel, or leave it out."
        )
    text = index.read_text("utf-8")
    headers = {"Content-Security-Policy": _policy(text)}
    made = APIRouter(include_in_schema=False)

    @made.get("/{path:path}")
    async def show(path: str) -> Response:
        if path.startswith("api/"):
            raise HTTPException(404)
        file = (folder / path).resolve()
        if path not in ("", INDEX) and file.is_relative_to(folder) and file.is_file():
            return FileResponse(file, headers={**headers, "Cache-Control": "max-age=300"})
        return HTMLResponse(text, headers=headers)

    return made


def _policy(text: str) -> str:
    """Its own files and its own API alone. The scripts within the index are named by their hashes; the plots set
    styles, draw to blobs, and compile what they compute."""
    own = " ".join(f"'sha256-{_digest(each)}'" for each in _SCRIPT.findall(text))
    return (
        f"default-src 'self'; script-src 'self' 'unsafe-eval' {own}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
