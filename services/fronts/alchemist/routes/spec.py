"""What the OpenAPI document says of this front's routes: their errors are ALchemist's."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from services.api import spec


class AlchemistFault(BaseModel):
    """One thing that is wrong in a request, as pydantic names it."""

    type: str
    loc: list[str | int]
    msg: str
    input: Any = None
    ctx: dict[str, Any] | None = None


class AlchemistError(BaseModel):
    """What went wrong. Some errors say `detail` alone; `errors` stands in a 422."""

    detail: str
    error_type: str | None = None
    status_code: int | None = None
    errors: list[AlchemistFault] | None = None


def says(
    body: type[BaseModel] | None = None,
    *,
    example: Any = None,
    answer: Any = None,
    status: int = 200,
    problems: tuple[int, ...] = (422,),
    kind: str = "application/json",
) -> dict[str, Any]:
    """As `services.api.spec.says`, with this front's errors."""
    found = spec.says(body, example=example, answer=answer, status=status, problems=(), kind=kind)
    for code in sorted({*problems, 401, 403, 422}):
        found["responses"][code] = {"description": HTTPStatus(code).phrase, "model": AlchemistError}
    return found
