"""The one middleware: what holds for every request, as plain ASGI, because it runs for each of thousands.

Security headers; no requests that a foreign web page makes a browser send; names with a slash in them; counts;
and an answer, with a number to quote, where we made a mistake.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labqueue.errors import DeniedError, LabqueueError
from services.api.access import Access
from services.api.metrics import Metrics
from services.api.problems import problem, unexpected

#: Stands for a slash within a name while the router looks at the path; no name may hold it.
SLASH = "\x1f"

_SAFE = ("GET", "HEAD", "OPTIONS")
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_NO_STORE = (b"cache-control", b"no-store")
_STRICT_PAGE = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Guard:
    """While no token is needed, only addresses and localhost are taken as Host, so that no foreign name can be
    made to point here (DNS rebinding)."""

    def __init__(self, app: ASGIApp, metrics: Metrics, access: Access) -> None:
        self.app = app
        self.metrics = metrics
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self.metrics.answered(scope["method"], message["status"])
                message["headers"] = _with_headers(message.get("headers", ()))
            await send(message)

        try:
            await self._admit(scope)
            await self.app(scope, receive, answer)
        except LabqueueError as error:
            await problem(error)(scope, receive, answer)
        except Exception as error:
            if started:
                raise
            await unexpected(error, scope["method"], scope["path"])(scope, receive, answer)

    async def _admit(self, scope: Scope) -> None:
        raw = scope.get("raw_path") or b""
        if b"%2f" in raw or b"%2F" in raw:
            kept = raw.replace(b"%2f", SLASH.encode()).replace(b"%2F", SLASH.encode())
            scope["path"] = unquote_to_bytes(kept).decode("utf-8", "replace")
        await check_sender(self.access, scope["headers"], safe=scope["method"] in _SAFE)


async def check_sender(access: Access, headers: Iterable[tuple[bytes, bytes]], *, safe: bool) -> None:
    """Raises DeniedError where the server is asked by a foreign name while no token is needed, and, unless it is
    `safe` to answer anybody, where another web page asks."""
    host = origin = b""
    for name, value in headers:
        if name == b"host":
            host = value
        elif name == b"origin":
            origin = value
    if not _is_local(host.decode("latin-1")) and await access.open():
        raise DeniedError(
            "This server has no tokens and answers only to localhost or an address. Use http://localhost, "
            "or create a token with: labqueue-server token create."
        )
    if origin and not safe and urlsplit(origin).netloc != host:
        raise DeniedError("Requests of other web pages are not taken.")


def _with_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    found = [*headers, *_HEADERS]
    names = {name.lower() for name, _ in found}
    if _NO_STORE[0] not in names:
        found.append(_NO_STORE)
    if _STRICT_PAGE[0] not in names:
        found.append(_STRICT_PAGE)
    return found


def _is_local(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
