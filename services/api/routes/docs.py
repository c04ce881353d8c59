"""/api/docs: the OpenAPI document as a page for people, rendered here: it loads nothing from elsewhere."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'"}


@router.get("/api/docs")
async def docs(request: Request) -> Response:
    return HTMLResponse(_page(request.app.openapi()), headers=_HEADERS)


def _page(document: dict[str, Any]) -> str:
    operations = [
        (operation["tags"][0], method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Labqueue HTTP API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/static/labqueue.css"></head><body><header><h1><a href="/app">Labqueue</a></h1>'
        '<nav><a href="/api/openapi.json">OpenAPI</a></nav></header><main><h2>HTTP API</h2>'
        f"<p>{escape(document['info']['description'])}</p>"
    )
    parts = [head]
    for tag in document["tags"]:
        parts.append(f"<h2>{escape(tag['name'])}</h2><p>{escape(tag['description'])}</p>")
        parts += [_operation(*each[1:]) for each in operations if each[0] == tag["name"]]
    return "".join([*parts, "</main></body></html>"])


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
    answers = operation.get("responses", {})
    answer = next(
        (
            content["example"]
            for code, each in answers.items()
            if code.startswith("2")
            for content in each.get("content", {}).values()
            if "example" in content
        ),
        None,
    )
    query = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
    shown = path + (f"?{'&'.join(f'{name}=' for name in query)}" if query else "")
    text = [
        f"<details><summary><code>{escape(method)} {escape(shown)}</code> {escape(operation['summary'])}</summary>",
        f"<p>{escape(operation.get('description', ''))}</p>",
    ]
    for title, example in (("Body", body), ("Answer", answer)):
        if example is not None:
            pretty = escape(json.dumps(example, indent=2, ensure_ascii=False))
            text.append(f"<p>{title}</p><pre><code>{pretty}</code></pre>")
    problems = ", ".join(code for code in answers if not code.startswith("2"))
    return "".join([*text, f"<p>Problems: {escape(problems)}</p></details>"])
