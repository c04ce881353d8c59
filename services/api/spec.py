"""What the OpenAPI document says of a route, beside what its function says itself."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

DESCRIPTION = """\
The durable queue between whatever suggests experiments and whatever runs them.

Every answer is JSON. Errors are `application/problem+json` (RFC 9457) and name the field, the value, what is
allowed and what to do. A 2xx means: committed. The same request twice, with the same key or id, is one effect.
Fields may be added to answers; ignore those that you do not know. Times are ISO 8601 in UTC, durations seconds.
"""

TAGS = [
    {"name": "robots", "description": "What an adapter beside an instrument needs."},
    {"name": "results", "description": "What came back, and the files that belong to it."},
    {"name": "campaigns", "description": "Problems, strategies, and their history."},
    {"name": "experiments", "description": "Staging, deciding, looking."},
    {"name": "pools", "description": "Rows that may be run, of which campaigns choose."},
    {"name": "queues", "description": "Kinds of work and their policies."},
    {"name": "instruments", "description": "The devices, clusters and people that do the work."},
    {"name": "inquiries", "description": "Questions that need a model."},
    {"name": "learners", "description": "What a program that learns and suggests for a campaign needs."},
    {"name": "events", "description": "Everything that became true, numbered, in order."},
    {"name": "operation", "description": "Tokens, webhooks, status, health."},
]


def says(
    body: type[BaseModel] | None = None,
    *,
    example: Any = None,
    answer: Any = None,
    status: int = 200,
    problems: tuple[int, ...] = (422,),
    kind: str = "application/json",
) -> dict[str, Any]:
    """Arguments for a route's decorator: the body's model with an example, an example answer, possible errors."""
    content: dict[str, Any] = {"example": answer} if answer is not None else {}
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": HTTPStatus(status).phrase, "content": {kind: content}}
    }
    for code in sorted({*problems, 401, 403}):
        responses[code] = {"description": HTTPStatus(code).phrase, "content": _PROBLEM}
    found: dict[str, Any] = {"responses": responses, "status_code": status}
    if body is not None:
        schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
        given: dict[str, Any] = {"schema": schema}
        if example is not None:
            given["example"] = example
        found["openapi_extra"] = {"requestBody": {"required": True, "content": {"application/json": given}}}
    return found


def install(app: FastAPI, version: str) -> None:
    """The document is made when it is first asked for."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title="Labqueue", version=version, description=DESCRIPTION, tags=TAGS, routes=app.routes
            )
            app.openapi_schema = _finished(made)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _finished(made: dict[str, Any]) -> dict[str, Any]:
    """Definitions within bodies move to the components, where references look for them."""
    components = made.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = _problem()
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"token": []}, {}]
    for operations in made.get("paths", {}).values():
        for operation in operations.values():
            given = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            schemas.update(given.get("schema", {}).pop("$defs", {}))
            _without_defaults(operation.get("responses", {}))
    return made


def _without_defaults(responses: dict[str, Any]) -> None:
    """FastAPI's own 422 has another shape than ours."""
    for answer in responses.values():
        content: Mapping[str, Any] = answer.get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        if schema.get("$ref", "").endswith("/HTTPValidationError"):
            answer["content"] = _PROBLEM


def _problem() -> dict[str, Any]:
    text = {"type": "string"}
    error = {
        "type": "object",
        "properties": {"field": text, "message": text, "value": {}, "allowed": {}, "hint": text},
    }
    return {
        "type": "object",
        "description": "What went wrong (RFC 9457); `code` is for programs.",
        "required": ["type", "title", "status", "detail", "code", "errors"],
        "properties": {
            "type": text,
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "code": {
                **text,
                "enum": [
                    "invalid", "not_found", "conflict", "lease_lost", "key_reused", "instrument_taken", "changed",
                    "too_large", "denied", "unavailable", "error",
                ],
            },
            "errors": {"type": "array", "items": error},
        },
    }  # fmt: skip
