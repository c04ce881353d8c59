"""`FakeServer`: Labqueue's HTTP contract, in this process and in memory, for testing an adapter.

    with FakeServer() as server:
        server.stage(temperature=80, outputs=["yield"])
        ...  # labqueue.serve(..., url=server.url, queue="bench", instrument="any")
        server.wait_until(lambda: server.results)

It speaks over real sockets, so that lost replies, refused connections and long polls are the real thing.
"""

from __future__ import annotations

import json
import re
import select
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from labqueue.errors import (
    DeniedError,
    FieldError,
    InvalidError,
    LabqueueError,
    NotFoundError,
    UnavailableError,
)
from labqueue.lines import TwiceError, no_number, once

from .lab import Lab
from .routes import ROUTES, Reply, Request, Stream

if TYPE_CHECKING:
    from typing_extensions import Self

PREFIX = "/api/v1"


@dataclass
class Logged:
    """One request as it came, in the order of arrival; `status` is None until it is answered."""

    method: str
    path: str  # without /api/v1 and without the query
    body: Any = None
    actor: str = "local"
    status: int | None = None


@dataclass
class _Rule:
    """What happens to the next request of a pattern: `call` before it is answered, or its reply is lost."""

    pattern: str
    call: Callable[[Any], None] | None
    done: threading.Event = field(default_factory=threading.Event)


class FakeServer(Lab):
    """The contract in memory on a loopback port that the system chooses; a context manager.

    `lease_seconds` is the lease of queues that `stage` makes; `token`: only requests that carry it are
    answered. `log` holds every request; `results` what was kept; `url` is what a client is given.
    """

    def __init__(self, lease_seconds: float = 60.0, token: str | None = None) -> None:
        super().__init__(lease_seconds)
        self.log: list[Logged] = []
        self.token = token
        self.refusing = False  # answers 503 to everything
        self._rules: list[_Rule] = []
        self._sockets: set[socket.socket] = set()
        self._http: _Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.come_back()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.go_away()

    # -- faults

    def go_away(self, how: str = "refused") -> None:
        """From now on connections are refused (those that are open are cut), or all is answered 503."""
        if how == "503":
            self.refusing = True
            return
        with self.changed:
            http, self._http = self._http, None
            self.changed.notify_all()
        if http is not None:
            http.shutdown()
            http.server_close()
        with self.changed:
            cut = list(self._sockets)
        for each in cut:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def come_back(self) -> None:
        """Listens again, on the same port, with everything that it knew."""
        self.refusing = False
        if self._http is None:
            self._http = _Server(self, self._port)
            self._port = self._http.server_address[1]
            threading.Thread(
                target=self._http.serve_forever, args=(0.02,), name="fake-labqueue", daemon=True
            ).start()

    def drop_next_reply(self, path: str) -> threading.Event:
        """The next request to this path (a pattern: `/queues/*/claims`) takes effect, but its reply is lost.

        The event that comes back is set when that has happened.
        """
        return self._add(_Rule(path, None))

    def on_next(self, path: str, call: Callable[[Any], None]) -> threading.Event:
        """Before the next request to this path is answered, `call` is given its body."""
        return self._add(_Rule(path, call))

    def _add(self, rule: _Rule) -> threading.Event:
        with self.changed:
            self._rules.append(rule)
            return rule.done

    def calls(self, pattern: str, method: str | None = None) -> list[Logged]:
        """The requests so far to paths of this pattern."""
        with self.changed:
            return [
                each for each in self.log if fnmatchcase(each.path, pattern) and method in (None, each.method)
            ]

    # -- what the handler asks

    @property
    def away(self) -> bool:
        return self._http is None

    def before(self, path: str, body: Any) -> None:
        """Lets happen what a test placed before this request."""
        rule = self._take(path, calls=True)
        if rule is not None and rule.call is not None:
            rule.call(body)
            rule.done.set()

    def is_dropped(self, path: str) -> bool:
        rule = self._take(path, calls=False)
        if rule is not None:
            rule.done.set()
        return rule is not None

    def _take(self, path: str, calls: bool) -> _Rule | None:
        with self.changed:
            for rule in self._rules:
                if (rule.call is not None) == calls and fnmatchcase(path, rule.pattern):
                    self._rules.remove(rule)
                    self.changed.notify_all()
                    return rule
        return None

    def answer(self, request: Request) -> Reply:
        if self.refusing:
            raise UnavailableError("The server is starting; try again in a moment.")
        given = request.headers.get("Authorization", "")
        if (
            self.token is not None
            and not request.path.startswith("/livez")
            and given != f"Bearer {self.token}"
        ):
            error = DeniedError("This server needs a token; set LABQUEUE_TOKEN.")
            return Reply(401, problem(error, 401))
        for method, pattern, call in ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match is not None and method == request.method:
                return call(self, request, *(unquote(each) for each in match.groups()))
        raise NotFoundError(f"There is no {request.method} {request.path}.")


def problem(error: LabqueueError, status: int) -> dict[str, Any]:
    """RFC 9457."""
    return {
        "type": "about:blank",
        "title": type(error).__name__,
        "status": status,
        "detail": error.message,
        "code": error.code,
        "errors": [each.to_json() for each in error.errors],
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, fake: FakeServer, port: int) -> None:
        self.fake = fake
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is a defect and is printed."""
        import sys

        if not isinstance(sys.exc_info()[1], (ConnectionError, OSError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def setup(self) -> None:
        super().setup()
        with self.server.fake.changed:
            self.server.fake._sockets.add(self.connection)

    def finish(self) -> None:
        with self.server.fake.changed:
            self.server.fake._sockets.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are in the server's `log`, not on the terminal."""

    def _serve(self) -> None:
        fake = self.server.fake
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        path = parts.path[len(PREFIX) :] if parts.path.startswith(PREFIX + "/") else parts.path
        query, headers = dict(parse_qsl(parts.query)), dict(self.headers.items())
        request = Request(self.command, path, query, headers, raw, gone=self._client_gone)
        entry = Logged(self.command, path, actor=self.headers.get("X-Labqueue-Actor", "local"))
        if fake.away:
            self.close_connection = True
            return
        with fake.changed:
            fake.log.append(entry)
            fake.changed.notify_all()
        try:
            if not path.startswith("/artifacts/"):
                request = request.with_body(read_json(raw))
                entry.body = request.body
            fake.before(path, request.body)
            reply = fake.answer(request)
        except LabqueueError as error:
            status = 400 if isinstance(error, _BadJson) else error.status
            reply = Reply(status, problem(error, status))
        if fake.is_dropped(path) or fake.away:
            self.close_connection = True
            return
        entry.status = reply.status
        self._send(reply)

    def _client_gone(self) -> bool:
        """A socket that can be read and has nothing to read was closed at the other end."""
        try:
            readable = select.select([self.connection], [], [], 0)[0]
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    def _send(self, reply: Reply) -> None:
        if callable(reply.body):
            self._stream(reply.body)
            return
        raw, kind = reply.body, "application/octet-stream"
        if not isinstance(raw, bytes):
            raw = json.dumps(reply.body).encode()
            kind = "application/json" if reply.status < 400 else "application/problem+json"
        self.send_response(reply.status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def _stream(self, rows: Stream) -> None:
        """Server-sent events, until the server goes away or the client does."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.flush()
        sent, fake = 0, self.server.fake
        while not fake.away:
            fresh = self._wait_for_rows(rows, sent)
            for name, kind, data in fresh:
                mark = f"id: {name}\n" if name else ""
                self.wfile.write(f"{mark}event: {kind}\ndata: {json.dumps(data)}\n\n".encode())
            if not fresh:
                self.wfile.write(b": still here\n\n")
            self.wfile.flush()
            sent += len(fresh)

    def _wait_for_rows(self, rows: Stream, sent: int) -> list[tuple[str, str, Any]]:
        fake = self.server.fake
        with fake.changed:
            fake.changed.wait_for(lambda: fake.away or len(rows()) > sent, timeout=15.0)
            return rows()[sent:]


class _BadJson(InvalidError):
    """The body is no JSON."""


def read_json(raw: bytes) -> Any:
    if not raw:
        return {}
    try:
        return json.loads(raw, parse_constant=no_number, object_pairs_hook=once)
    except TwiceError as error:
        message = "is given more than once in one object: keep one of them."
        raise InvalidError(errors=[FieldError(error.key, message)]) from None
    except ValueError as error:
        raise _BadJson(f"The body is no JSON that can be read: {error}.") from None
