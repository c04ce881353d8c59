"""HTTP to one server: kept-alive connections (one a thread), retries, typed errors, waits that can be left.

Every request of the contract may be sent twice without harm (keys make it one effect), so whatever got no
answer is simply sent again.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import select
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, BinaryIO, Callable, Union
from urllib.parse import quote, urlencode, urlsplit

from .backoff import Backoff
from .encoded import encoded
from .errors import (
    ConflictError,
    DeniedError,
    FieldError,
    InvalidError,
    LabqueueError,
    TooLargeError,
    UnavailableError,
    by_code,
)

PREFIX = "/api/v1"
#: Answers that say "later": sent again. (429 and 408 come from proxies.)
LATER = (408, 425, 429, 502, 503, 504)
#: Seconds: who waits longer than the one for an answer, with a patience longer than the other, is told.
_QUIET, _LONG = 3.0, 60.0

log = logging.getLogger("labqueue")
#: How often a wait that can be left looks whether it should be, in seconds.
TICK = 0.25
#: How much of a large answer is in memory at once, in bytes.
PART = 1 << 20

Body = Union[bytes, BinaryIO, None]


class Interrupted(UnavailableError):
    """The caller gave this request up before it was answered. It may have had its effect."""


class _Stale(Exception):
    """A kept connection had been closed by the other side."""


class Transport:
    """Requests to the server at `url`. Safe to use from any number of threads.

    timeout: seconds without a byte before a request counts as unanswered, beyond the wait it asked for.
    retry_for: seconds during which a request without an answer is sent again.
    """

    def __init__(
        self, url: str, token: str | None = None, *, timeout: float = 10.0, retry_for: float = 20.0,
        actor: str | None = None,
    ) -> None:  # fmt: skip
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            wrong = FieldError("url", "is no address of a server.", url, "http://HOST:PORT or https://HOST")
            raise InvalidError("The server's address cannot be used.", errors=[wrong])
        self.url = url.rstrip("/")
        self.timeout, self.retry_for = timeout, retry_for
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._base = parts.path.rstrip("/")
        self._headers = {"Accept": "application/json", "User-Agent": "labqueue-sdk"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        if actor:
            # Header values are Latin-1; names are any text.
            self._headers["X-Labqueue-Actor"] = quote(actor, safe=" @.,+'()")
        self._local = threading.local()

    def request(
        self, method: str, path: str, body: Any = None, *, query: Mapping[str, Any] | None = None,
        wait: float = 0.0, retry_for: float | None = None, until: Callable[[], bool] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> Any:  # fmt: skip
        """Sends JSON and returns the JSON of the answer (None where it has no body).

        path: below /api/v1; one that begins with // is taken from the root. wait: how long the server may take
        beyond the timeout. until: looked at a few times a second; when it turns true, raises Interrupted. more: further
        headers.
        Raises the class of labqueue.errors that the answer's code stands for, UnavailableError without one, and
        InvalidError for a body that is no JSON.
        """
        content = None if body is None else encoded(body)
        headers = {**({} if content is None else {"Content-Type": "application/json"}), **(more or {})}
        answer = self._retrying(
            lambda: self._exchange(method, self._target(path, query), content, headers, wait, until),
            self.retry_for if retry_for is None else retry_for,
            until,
        )
        return self._decode(answer[1])

    def upload(
        self, path: str, open_file: Callable[[], BinaryIO], size: int, *, retry_for: float,
        method: str = "PUT", query: Mapping[str, Any] | None = None, wait: float = 60.0,
        more: Mapping[str, str] | None = None,
    ) -> Any:  # fmt: skip
        """Sends a file's raw bytes; `open_file` is called again for each try. wait: how long the server may take
        beyond the timeout when it has them all. more: further headers."""

        def once() -> tuple[int, bytes]:
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Length": str(size),
                **(more or {}),
            }
            with open_file() as file:
                return self._exchange(method, self._target(path, query), file, headers, wait, None)

        return self._decode(self._retrying(once, retry_for, None)[1])

    def download(self, path: str) -> bytes:
        """The raw bytes at a path."""
        target = self._target(path, None)
        answer = self._retrying(
            lambda: self._exchange("GET", target, None, {}, 60.0, None), self.retry_for, None
        )
        return answer[1]

    def parts(
        self, path: str, first: int = 0, *, heard: Callable[[http.client.HTTPMessage], None] | None = None
    ) -> Iterator[bytes]:
        """The raw bytes at a path from their place `first` on, as they come, on a connection of its own.

        Sent once. heard: told the answer's headers before the first byte. Raises UnavailableError where they break off: what came is good, and the rest can be asked for.
        """
        connection = self._connect(self.timeout)
        try:
            wanted = {"Range": f"bytes={first}-"} if first else {}
            connection.request("GET", self._target(path, None), headers={**self._headers, **wanted})
            response = connection.getresponse()
            if response.status not in (200, 206):
                raise self._error(response.status, response.read())
            if heard is not None:
                heard(response.headers)
            left = first if response.status == 200 else 0  # a proxy may not know of ranges
            while part := response.read(PART):
                if len(part) > left:
                    yield part[left:]
                left = max(0, left - len(part))
            if response.length:
                raise UnavailableError(f"{self.url} broke off in the middle of an answer.")
        except (OSError, http.client.HTTPException) as error:
            raise self._unavailable(error) from error
        finally:
            connection.close()

    def lines(
        self, path: str, query: Mapping[str, Any] | None = None, silence: float = 60.0
    ) -> Iterator[str]:
        """The lines of a stream, on a connection of its own, until it ends.

        Raises UnavailableError after `silence` seconds without a line (servers send comments to keep it open).
        """
        connection = self._connect(self.timeout)
        try:
            headers = {**self._headers, "Accept": "text/event-stream"}
            connection.request("GET", self._target(path, query), headers=headers)
            response = connection.getresponse()
            if response.status != 200:
                raise self._error(response.status, response.read())
            if connection.sock is not None:
                connection.sock.settimeout(silence)
            for line in response:
                yield line.decode("utf-8", "replace").rstrip("\r\n")
        except (OSError, http.client.HTTPException) as error:
            raise self._unavailable(error) from error
        finally:
            connection.close()

    def close(self) -> None:
        """Closes this thread's connection; the next request opens a new one."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
        self._local.connection = None

    # -- one request

    def _retrying(
        self, once: Callable[[], tuple[int, bytes]], retry_for: float, until: Callable[[], bool] | None
    ) -> tuple[int, bytes]:
        began, said = time.monotonic(), False
        backoff = Backoff(most=5.0)
        while True:
            try:
                return once()
            except Interrupted:
                raise
            except UnavailableError as error:
                pause, passed = backoff.pause(), time.monotonic() - began
                if (error.status < 500 and error.status not in LATER) or passed + pause >= retry_for:
                    raise
                if not said and passed > _QUIET and retry_for > _LONG:
                    # A program that stands still for minutes says why.
                    log.warning("%s It is tried again for up to %d s.", error, retry_for - passed)
                    said = True
                _rest(pause, until)

    def _exchange(
        self, method: str, target: str, body: Body, headers: Mapping[str, str], wait: float,
        until: Callable[[], bool] | None,
    ) -> tuple[int, bytes]:  # fmt: skip
        for _ in range(2):
            try:
                status, content = self._send(method, target, body, headers, wait, until)
            except _Stale:
                if body is not None and not isinstance(body, bytes):
                    body.seek(0)
                continue
            if 200 <= status < 300:
                return status, content
            raise self._error(status, content)
        raise UnavailableError(f"No answer from {self.url}: the connection was closed.")

    def _send(
        self, method: str, target: str, body: Body, headers: Mapping[str, str], wait: float,
        until: Callable[[], bool] | None,
    ) -> tuple[int, bytes]:  # fmt: skip
        connection, used = self._kept()
        try:
            with suppress(BrokenPipeError):  # a server that refuses a body answers before it has heard it all
                connection.request(method, target, body=body, headers={**self._headers, **headers})
            sock = connection.sock
            assert sock is not None
            if until is not None:
                self._await_answer(sock, wait + self.timeout, until)
            sock.settimeout(wait + self.timeout)
            response = connection.getresponse()
            content = response.read()
        except Interrupted:
            self.close()
            raise
        except (OSError, http.client.HTTPException) as error:
            self.close()
            gone = isinstance(
                error, (ConnectionError, http.client.RemoteDisconnected, http.client.BadStatusLine)
            )
            if used and gone:
                raise _Stale from error
            raise self._unavailable(error) from error
        except BaseException:
            # A signal's exception in the middle of an answer: the rest of it must not meet the next request.
            self.close()
            raise
        self._local.used = True
        if response.will_close:
            self.close()
        return response.status, content

    def _await_answer(self, sock: socket.socket, seconds: float, until: Callable[[], bool]) -> None:
        ends = time.monotonic() + seconds
        while not _readable(sock, TICK):
            if until():
                raise Interrupted(f"Left the request to {self.url} before it was answered.")
            if time.monotonic() > ends:
                raise socket.timeout("timed out")

    def _kept(self) -> tuple[http.client.HTTPConnection, bool]:
        """This thread's connection, and whether it served a request before. Not carried over a fork."""
        connection = getattr(self._local, "connection", None)
        if connection is None or self._local.pid != os.getpid():
            try:
                connection = self._connect(self.timeout)
            except OSError as error:
                raise self._unavailable(error) from error
            self._local.connection, self._local.used, self._local.pid = connection, False, os.getpid()
        return connection, bool(self._local.used)

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        if self._secure:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._host, self._port, timeout=timeout
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        try:
            connection.connect()
        except OSError as error:
            raise self._unavailable(error) from error
        return connection

    def _target(self, path: str, query: Mapping[str, Any] | None) -> str:
        where = self._base + (path[1:] if path.startswith("//") else PREFIX + path)
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        return f"{where}?{urlencode(asked, doseq=True)}" if asked else where

    # -- answers

    def _decode(self, content: bytes) -> Any:
        if not content:
            return None
        try:
            return json.loads(content)
        except ValueError as error:
            raise UnavailableError(
                f"{self.url} answered something that is no JSON. Is it the address of a Labqueue server?"
            ) from error

    def _error(self, status: int, content: bytes) -> LabqueueError:
        try:
            body = json.loads(content)
        except ValueError:
            body = None
        if not isinstance(body, dict) or "code" not in body:
            return self._strangers_error(status)
        message = str(body.get("detail") or body.get("title") or "")
        wrong = [FieldError.from_json(each) for each in body.get("errors") or [] if isinstance(each, dict)]
        kind = UnavailableError if status in LATER else by_code(str(body["code"]))
        error = kind(message, errors=wrong)
        error.status = status
        return error

    def _strangers_error(self, status: int) -> LabqueueError:
        """An answer without a problem of ours: a proxy's, or another server's."""
        says = f"{self.url} answered {status} without saying why."
        if status in (401, 403, 407):
            error: LabqueueError = DeniedError(f"{says} Does this address need another token?")
        elif status == 404 or 300 <= status < 400:
            error = UnavailableError(f"{says} Is it the address of a Labqueue server?")
        elif status == 413:
            error = TooLargeError(says)
        elif status == 409:
            error = ConflictError(says)
        elif status < 500 and status not in LATER:
            error = InvalidError(says)
        else:
            error = UnavailableError(says)
        error.status = status
        return error

    def _unavailable(self, error: BaseException) -> UnavailableError:
        if isinstance(error, UnavailableError):
            return error
        # An OSError's own text begins with a number that says nothing to people.
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return UnavailableError(f"No answer from {self.url}: {why}.")


def segment(name: Any) -> str:
    """A name as one segment of a path."""
    return quote(str(name), safe="")


def _readable(sock: socket.socket, seconds: float) -> bool:
    """Whether bytes (or the end) arrive within this time."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLIN | select.POLLERR | select.POLLHUP)
        return bool(poll.poll(seconds * 1000))
    return bool(select.select([sock], [], [], seconds)[0])


def _rest(seconds: float, until: Callable[[], bool] | None) -> None:
    ends = time.monotonic() + seconds
    while True:
        left = ends - time.monotonic()
        if left <= 0:
            return
        if until is not None and until():
            raise Interrupted("Left the request before it was answered.")
        time.sleep(left if until is None else min(TICK, left))
