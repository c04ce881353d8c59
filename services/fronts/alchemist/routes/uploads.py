"""Files that come as a form's field `file`, as browsers and ALchemist's programs send them."""

from __future__ import annotations

import json
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from services.api.body import read_raw
from services.flow.shared import storable
from services.fronts.alchemist.refusals import Refusal, invalid
from services.fronts.alchemist.visit import Visit

#: A session of some ten thousand rows; what is sent as JSON alone has the usual limit.
LIMIT = 64 * 1024 * 1024
#: Of the OpenAPI document.
FILE = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                },
                "example": {"file": "the bytes of the file"},
            }
        },
    }
}


async def file_of(visit: Visit) -> bytes:
    """The bytes of the field `file`. Raises TooLargeError, and Refusal (422) where there is none."""
    raw = await read_raw(visit.request, LIMIT)

    async def stream() -> Any:
        yield raw

    try:
        form = await MultiPartParser(visit.request.headers, stream(), max_files=10, max_fields=10).parse()
    except (MultiPartException, KeyError, AssertionError) as error:
        raise invalid("Field required, as multipart/form-data", "file", kind="missing") from error
    return await _read(form)


async def json_file(visit: Visit) -> Any:
    """The same, as JSON; NaN and infinities, which older files have, are nothing. Raises Refusal (400)."""
    raw = await file_of(visit)
    try:
        text = raw.decode("utf-8-sig")
        return storable(json.loads(text, parse_constant=lambda _: None, parse_int=_whole))
    except (ValueError, RecursionError) as error:
        raise Refusal(f"Uploaded file is not valid JSON: {error}") from error


def _whole(text: str) -> int | None:
    """Nothing where it is larger than any number that can be reckoned with."""
    return int(text) if len(text) <= 300 else None


async def _read(form: FormData) -> bytes:
    try:
        found = form.get("file")
        if not isinstance(found, UploadFile):
            raise invalid("Field required", "file", kind="missing")
        return await found.read()
    finally:
        await form.close()
