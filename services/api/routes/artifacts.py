"""Artifacts: raw bytes under their SHA-256: what results name, and the files of pools."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Path, Response
from starlette.datastructures import Headers
from starlette.responses import StreamingResponse

from labqueue.errors import FieldError, InvalidError, NotFoundError
from services.api import shapes
from services.api.answers import Json
from services.api.body import read_raw
from services.api.call import Admitted
from services.api.spec import says
from services.flow import artifacts

router = APIRouter(prefix="/artifacts", tags=["results"])

Digest = Annotated[str, Path(description="SHA-256 of the bytes, 64 hexadecimal digits")]
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}")
_ONE_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})?")
_PART = 1 << 20
#: The bytes under a SHA-256 never change.
KEPT = {"Cache-Control": "private, max-age=31536000, immutable"}
ANSWER = {"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "size": 4}


@router.put("/{sha256}", summary="Keep bytes under their SHA-256", **says(answer=ANSWER, problems=(413, 422)))
async def put_artifact(sha256: Digest, call: Admitted) -> Response:
    """201 where they are new, 200 where they were there. Send artifacts before the result that names them."""
    digest = _digest(sha256)
    body = await read_raw(call.request, call.context.settings.artifact_limit)
    given = call.request.headers.get("content-type", "")
    kind = given if _MEDIA_TYPE.fullmatch(given) else "application/octet-stream"
    kept, created = await call.run(
        artifacts.keep, call.store, call.context.blobs, digest, body, kind, call.actor
    )
    return Json(shapes.artifact(kept), 201 if created else 200)


@router.get("/{sha256}", summary="The bytes", **says(problems=(404, 422), kind="application/octet-stream"))
async def get_artifact(sha256: Digest, call: Admitted) -> Response:
    """Always as a download: what an instrument sent is not to be run by a browser. Never whole in memory; what broke
    off goes on with `Range: bytes=FIRST-`. A pool's file is one of these, under the pool's `sha256`."""
    tag = f'"{_digest(sha256)}"'
    if tag in call.request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"ETag": tag, **KEPT})
    found, file = await call.run(artifacts.fetch, call.store, call.context.blobs, sha256)
    asked = _range(call.request.headers, tag, found.size)
    first, last = asked or (0, found.size - 1)
    headers = {
        "Content-Disposition": f'attachment; filename="{sha256}"',
        "Content-Length": str(last + 1 - first),
        "Accept-Ranges": "bytes",
        "ETag": tag,
        **KEPT,
    }
    if asked:
        headers["Content-Range"] = f"bytes {first}-{last}/{found.size}"
    parts = _parts(file, first, last + 1 - first)
    return StreamingResponse(parts, 206 if asked else 200, headers, "application/octet-stream")


@router.head("/{sha256}", summary="Are these bytes here?", **says(problems=(404, 422)))
async def head_artifact(sha256: Digest, call: Admitted) -> Response:
    digest = _digest(sha256)
    with_size = await call.run(_find, call, digest)
    return Response(headers={"Content-Length": str(with_size)})


def _range(headers: Headers, tag: str, size: int) -> tuple[int, int] | None:
    """The first and the last byte that are asked for; None for all of them, and for what need not be understood:
    several ranges, the end of a file, bytes that it does not have (RFC 9110, section 14.2)."""
    found = _ONE_RANGE.fullmatch(headers.get("range", ""))
    if found is None or headers.get("if-range", tag) != tag:
        return None
    first, last = int(found[1]), min(int(found[2] or size), size - 1)
    return (first, last) if first <= last else None


def _parts(file: BinaryIO, first: int, length: int) -> Iterator[bytes]:
    with file:
        file.seek(first)
        while length > 0 and (part := file.read(min(length, _PART))):
            length -= len(part)
            yield part


def _find(call: Admitted, digest: str) -> int:
    with call.store.begin() as tx:
        found = tx.artifacts.get(digest)
    if found is None:
        raise NotFoundError(f"There is no artifact {digest}.")
    return found.size


def _digest(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        rule = "64 hexadecimal digits in lower case"
        raise InvalidError(errors=[FieldError("sha256", f"must be {rule}.", text[:100], rule)])
    return text
