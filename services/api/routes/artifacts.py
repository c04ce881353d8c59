"""Artifacts: raw bytes under their SHA-256, for what results name."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Path, Response

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
    """Always as a download: what an instrument sent is not to be run by a browser."""
    found, body = await call.run(artifacts.fetch, call.store, call.context.blobs, _digest(sha256))
    headers = {
        "Content-Disposition": f'attachment; filename="{found.sha256}"',
        "Cache-Control": "private, max-age=31536000, immutable",
    }
    return Response(body, media_type="application/octet-stream", headers=headers)


@router.head("/{sha256}", summary="Are these bytes here?", **says(problems=(404, 422)))
async def head_artifact(sha256: Digest, call: Admitted) -> Response:
    digest = _digest(sha256)
    with_size = await call.run(_find, call, digest)
    return Response(headers={"Content-Length": str(with_size)})


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
