"""Every error leaves in one shape: RFC 9457 problem+json, with the field, the value and what to do."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from labqueue.errors import InvalidError, LabqueueError, NotFoundError, UnavailableError
from services.api.answers import Json
from services.api.faults import field_errors

_log = structlog.get_logger(__name__)

#: nginx's word for a client that did not wait for its answer. Nobody reads it.
CLIENT_GONE = 499


class Problem(Json):
    media_type = "application/problem+json"


def problem(error: LabqueueError, status: int | None = None) -> Response:
    status = status or error.status
    headers = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    return Problem(_body(error, status), status, headers)


def unexpected(error: Exception, method: str, path: str) -> Response:
    """A defect of ours: the client gets a number to quote, the log gets the rest."""
    number = uuid.uuid4().hex[:12]
    _log.error("request failed", error_id=number, method=method, path=path, exc_info=error)
    detail = f"Labqueue made a mistake. It is in the server's log as {number}. Trying again is safe."
    return Problem(_body(LabqueueError(detail), 500), 500)


def install(app: FastAPI) -> None:
    """Answers of every error that the routes raise."""
    app.add_exception_handler(LabqueueError, _labqueue)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(ClientDisconnect, _gone)


def _body(error: LabqueueError, status: int) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.message,
        "code": error.code,
        "errors": [each.to_json() for each in error.errors],
    }


async def _labqueue(request: Request, error: Exception) -> Response:
    assert isinstance(error, LabqueueError)
    if isinstance(error, UnavailableError):
        _log.warning("unavailable", path=request.url.path, reason=error.message)
    return problem(error)


async def _http(request: Request, error: Exception) -> Response:
    """What the router says: no such path, no such method."""
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.url.path}"
    if error.status_code == HTTPStatus.NOT_FOUND:
        return problem(NotFoundError(f"There is no {where}. /api/docs lists what there is."))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "")
        found = problem(InvalidError(f"There is no {where}; this path takes {allowed}."), 405)
        found.headers["Allow"] = allowed
        return found
    return problem(InvalidError(str(error.detail)), error.status_code)


async def _validation(request: Request, error: Exception) -> Response:
    """A query or a path that cannot be read."""
    assert isinstance(error, RequestValidationError)
    faults = [{**each, "loc": each["loc"][1:]} for each in error.errors()]
    return problem(
        InvalidError("The request cannot be used as it stands.", errors=field_errors(None, faults))
    )


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)
