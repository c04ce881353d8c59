"""Files of campaigns: state that the programs which drive them keep here, replaced whole, by compare-and-set."""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator
from starlette.datastructures import Headers
from starlette.responses import StreamingResponse

from labqueue.errors import FieldError, InvalidError
from services.api import shapes
from services.api.answers import Json, page
from services.api.body import spool
from services.api.call import Admitted, Call
from services.api.guard import SLASH
from services.api.names import Named
from services.api.spec import says
from services.flow import folder

router = APIRouter(prefix="/campaigns/{campaign}/files", tags=["campaigns"])

FileName = Annotated[
    str,
    Path(description="1 to 200 of A-Z a-z 0-9 . _ - and, between parts, /"),
    AfterValidator(lambda text: text.replace(SLASH, "/")),
]
FILE = {
    "name": "checkpoints/latest.json",
    "revision": 118,
    "size": 4,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "changed_at": "2026-01-31T12:00:00Z",
}
_PART = 1 << 20
_TAG = re.compile(r'"([0-9]{1,18})"')
_IF = [
    {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "description": 'only where the file has this revision, as "118"; * where there is one',
        "schema": {"type": "string"},
    },
    {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": "* : only where there is no such file",
        "schema": {"type": "string"},
    },
]
_PUT: dict[str, Any] = says(answer=FILE, problems=(404, 409, 412, 413, 422))
_PUT["openapi_extra"] = {
    "parameters": _IF,
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"example": "test"}},
    },
}
_DELETE: dict[str, Any] = says(status=204, problems=(404, 412, 422))
_DELETE["openapi_extra"] = {"parameters": _IF[:1]}


@router.get("", summary="Its files", **says(answer={"items": [FILE], "next": None}, problems=(404,)))
async def list_files(campaign: Named, call: Admitted) -> Response:
    """All of them, by name."""
    call.caller.must_own(campaign)
    found = await call.run(folder.files, call.store, campaign)
    return page([shapes.file(each) for each in found], None)


@router.put("/{file:path}", summary="Create or replace a file", **_PUT)
async def put_file(campaign: Named, file: FileName, call: Admitted) -> Response:
    """The bytes as the body. 201 where it is new, else 200; `ETag` is its revision. With `If-Match` or `If-None-Match`
    somebody else's change is never overwritten: 412. The same request again is one effect."""
    call.caller.must_own(campaign)
    condition = _condition(call.request.headers)
    settings = call.context.settings
    await call.run(folder.check, call.store, campaign, file, condition, settings.files_limit)
    with tempfile.TemporaryFile() as body:
        await spool(call.request, settings.file_limit, lambda part: call.run(body.write, part))
        body.seek(0)
        kept = await call.run(_put, call, campaign, file, body, condition)
    return Json(shapes.file(kept), 201 if kept.before is None else 200, {"ETag": f'"{kept.revision}"'})


@router.get(
    "/{file:path}",
    summary="A file's bytes",
    **says(problems=(404,), kind="application/octet-stream"),
)
async def get_file(campaign: Named, file: FileName, call: Admitted) -> Response:
    """Always as a download, and never whole in memory. `ETag` is its revision, `Repr-Digest` (RFC 9530) its SHA-256."""
    call.caller.must_own(campaign)
    found, body = await call.run(folder.fetch, call.store, call.context.blobs, campaign, file)
    digest = base64.b64encode(bytes.fromhex(found.sha256)).decode()
    headers = {
        "Content-Disposition": f'attachment; filename="{found.name.rpartition("/")[2]}"',
        "Content-Length": str(found.size),
        "ETag": f'"{found.revision}"',
        "Repr-Digest": f"sha-256=:{digest}:",
    }
    return StreamingResponse(_parts(body), 200, headers, "application/octet-stream")


@router.delete("/{file:path}", summary="Delete a file", **_DELETE)
async def drop_file(campaign: Named, file: FileName, call: Admitted) -> Response:
    """204 also where there is none. With `If-Match`, only the revision that you know."""
    call.caller.must_own(campaign)
    condition = _condition(call.request.headers)
    await call.run(folder.drop, call.store, call.context.blobs, campaign, file, condition)
    return Response(status_code=204)


def _put(call: Call, campaign: str, name: str, body: BinaryIO, condition: folder.Condition) -> Any:
    most = call.context.settings.files_limit
    return folder.put(
        call.store, call.context.blobs, call.context.ids, campaign, name, body, call.actor,
        condition=condition, most=most,
    )  # fmt: skip


def _condition(headers: Headers) -> folder.Condition:
    """RFC 9110, sections 13.1.1 and 13.1.2, as far as they are of use for a change."""
    match, none = headers.get("if-match"), headers.get("if-none-match")
    if none is not None and none.strip() != "*":
        raise _malformed("If-None-Match", none, "*")
    if match is None:
        return folder.Condition(exists=None if none is None else False)
    if none is not None:
        raise _malformed("If-None-Match", none, "either If-Match or If-None-Match")
    if match.strip() == "*":
        return folder.Condition(exists=True)
    found = [_TAG.fullmatch(each.strip()) for each in match.split(",")]
    if not all(found):
        raise _malformed("If-Match", match, '* or a revision in quotation marks, as "118"')
    return folder.Condition(revisions=frozenset(int(each[1]) for each in found if each))


def _malformed(name: str, value: str, rule: str) -> InvalidError:
    return InvalidError(errors=[FieldError(name, f"must be {rule}.", value[:100], rule)])


def _parts(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while part := file.read(_PART):
            yield part
