"""Webhooks leave over HTTP: signed, without redirects, and never waiting for long."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from labqueue.errors import UnavailableError
from workers import courier
from workers.courier import SIGNATURE, HttpCourier


class Receiver(http.server.BaseHTTPRequestHandler):
    heard: list[tuple[str, bytes, str | None]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append((self.path, body, self.headers[SIGNATURE]))
        self.send_response(302 if self.path == "/moved" else 204)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def receiver() -> Iterator[str]:
    Receiver.heard = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_body_arrives_as_it_is_with_its_signature(receiver: str) -> None:
    assert HttpCourier().post(f"{receiver}/hook", b'{"events":[]}', "sha256=abc") == 204
    assert Receiver.heard == [("/hook", b'{"events":[]}', "sha256=abc")]


def test_a_redirect_is_an_answer_and_not_followed(receiver: str) -> None:
    assert HttpCourier().post(f"{receiver}/moved", b"{}", "s") == 302
    assert [path for path, _, _ in Receiver.heard] == ["/moved"]


def test_a_receiver_that_is_away_or_silent_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(UnavailableError):
        HttpCourier().post(f"http://127.0.0.1:{silent.getsockname()[1]}/", b"{}", "s")
    for url in ("http://127.0.0.1:1/", "http://name.invalid/", "http://[::bad"):
        with pytest.raises(UnavailableError):
            HttpCourier().post(url, b"{}", "s")
