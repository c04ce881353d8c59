"""python -m services.api as a process of its own: how it starts, refuses and stops."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
from pathlib import Path
from typing import Any

from api import settings_for
from lab import running, until

from services.embedded.stack import free_port

LONG = 50.0


def request(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def ready(port: int) -> bool:
    try:
        return request(port, "GET", "/readyz")[0] == 200
    except OSError:
        return False


def test_a_stop_answers_who_waits(postgres_url: str, redis_url: str, home: Path) -> None:
    port = free_port("127.0.0.1")
    with running(settings_for(postgres_url, home, redis_url, LABQUEUE_PORT=str(port)), ("services.api",)) as (
        api,
    ):
        until(lambda: ready(port), "it is ready")
        assert request(port, "PUT", "/api/v1/queues/q", {})[0] == 200
        answers: list[Any] = []
        body = {"instrument": "i", "adapter": "i.1", "key": "k", "wait": LONG}
        claim = threading.Thread(
            target=lambda: answers.append(request(port, "POST", "/api/v1/queues/q/claims", body))
        )
        claim.start()
        until(lambda: b'labqueue_waiting{kind="claim"} 1.0' in raw(port, "/metrics"), "the claim waits")
        api.process.send_signal(signal.SIGTERM)
        claim.join(LONG / 2)
        assert answers[0][0] == 200 and answers[0][1]["experiments"] == []
        api.process.wait(LONG)
        assert "Traceback" not in api.text


def test_it_says_why_it_does_not_start(postgres_url: str, home: Path) -> None:
    open_ = settings_for(
        postgres_url, home, LABQUEUE_HOST="0.0.0.0", LABQUEUE_PORT=str(free_port("127.0.0.1"))
    )
    no_database = settings_for(f"postgresql://nobody@/x?host={home}", home)
    for settings, words in ((open_, "token create"), (no_database, "does not answer")):
        with running(settings, ("services.api",)) as (api,):
            assert api.process.wait(LONG) == 1
            assert words in api.text and "Traceback" not in api.text


def test_it_comes_back_after_a_kill(postgres_url: str, redis_url: str, home: Path) -> None:
    port = free_port("127.0.0.1")
    settings = settings_for(postgres_url, home, redis_url, LABQUEUE_PORT=str(port))
    with running(settings, ("services.api",)) as (api,):
        until(lambda: ready(port), "it is ready")
        request(port, "PUT", "/api/v1/queues/q", {})
        api.kill()
    with running(settings, ("services.api",)):
        until(lambda: ready(port), "it is ready again")
        assert request(port, "GET", "/api/v1/queues/q")[1]["name"] == "q"


def test_a_taken_port_is_named(postgres_url: str, home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = settings_for(postgres_url, home, LABQUEUE_PORT=str(taken.getsockname()[1]))
        with running(settings, ("services.api",)) as (api,):
            assert api.process.wait(LONG) != 0
            assert "in use" in api.text


def raw(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()
