"""The socket: what any program, adapter or process does to a session is told, in order."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from alchemist_lab import POINTS, Another, Program
from api import context_for, served, settings_for
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import labqueue
from services.bootstrap import Context
from services.flow.tokens import issue

S, Q = "experiments/staged", "experiments/queue"


def watch(url: str, session: str, **more: Any) -> ClientConnection:
    return connect(f"{url.replace('http', 'ws', 1)}/api/v1/ws/sessions/{session}", **more)


def heard(socket: ClientConnection, until: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Everything up to the message that was waited for."""
    found: list[dict[str, Any]] = []
    while not found or not until(found[-1]):
        found.append(json.loads(socket.recv(timeout=30)))
    return found


def named(name: str, **fields: Any) -> Callable[[dict[str, Any]], bool]:
    return lambda message: message["event"] == name and fields.items() <= message.items()


def test_what_programs_do_is_told(program: Program, url: str) -> None:
    session = program.begin()
    with watch(url, session) as socket:
        first = heard(socket, named("connected"))
        assert first == [
            {"event": "connected", "session_id": session, "message": "WebSocket connection established"}
        ]
        item = program.ok("POST", Q, {"items": [{"inputs": POINTS[0], "reason": "EI"}]})["items"][0]["id"]
        heard(socket, named("queue_updated"))
        program.ok("POST", f"{Q}/{item}/start")
        told = heard(socket, named("queue_item_updated"))[-1]
        about = {"event": "queue_item_updated", "item_id": item, "reason": "EI"}
        assert told == {**about, "status": "running", "output": None, "error": None}
        socket.send("anything")
        program.ok("POST", f"{Q}/{item}/complete", {"outputs": [0.5]})
        done = heard(socket, named("experiments_updated"))
        assert done[-1] == {"event": "experiments_updated", "n_experiments": 1}
        assert {**about, "status": "done", "output": 0.5, "error": None} in done
        item = program.ok("POST", Q, {"items": [{"inputs": POINTS[1]}]})["items"][1]["id"]
        program.ok("POST", f"{Q}/{item}/fail", {"error": "pump stalled"})
        told = heard(socket, named("queue_item_updated", status="failed"))[-1]
        assert told["error"] == "pump stalled" and told["item_id"] == item
        program.ok("POST", f"{Q}/purge")
        heard(socket, named("queue_updated"))


def test_a_model_a_lock_and_the_control_record_are_told(program: Program, url: str) -> None:
    session = program.begin()
    with watch(url, session) as socket:
        rows = [{"inputs": each, "output": 1.0} for each in POINTS[:5]]
        program.ok("POST", "experiments/batch?auto_train=true", {"experiments": rows})
        told = heard(socket, named("model_trained"))
        assert told[-2] == {"event": "experiments_updated", "n_experiments": 5} or any(
            each == {"event": "experiments_updated", "n_experiments": 5} for each in told
        )
        assert set(told[-1]["metrics"]) == {"rmse", "r2", "backend"}
        program.ok("POST", "lock", {"locked_by": "anna", "client_id": "c"})
        told = heard(socket, named("lock_status_changed"))
        assert (told[-1]["locked"], told[-1]["locked_by"]) == (True, "anna")
        program.ok("PUT", "control", {"requested": "pause", "requested_by": "anna"})
        assert heard(socket, named("control_changed"))[-1]["control"]["requested"] == "pause"


def test_what_native_adapters_and_other_processes_do_is_told_too(
    program: Program, url: str, postgres_url: str, redis_url: str, another: Another, tmp_path: Path
) -> None:
    session = program.begin()
    settings = settings_for(postgres_url, tmp_path, redis_url)
    with context_for(settings) as second, served(second) as there, watch(there, session) as socket:
        heard(socket, named("connected"))
        program.ok("POST", S, {"inputs": POINTS[0]})
        heard(socket, named("queue_updated"))
        labqueue.serve(
            lambda experiment: {"Output": 2.0},
            queue=session,
            instrument="hplc",
            url=url,
            limit=1,
            spool=tmp_path,
        )
        told = heard(socket, named("experiments_updated"))
        states = [each["status"] for each in told if each["event"] == "queue_item_updated"]
        assert states == ["running", "done"]
        assert another(there, session, "b").ok("GET", "experiments")["n_experiments"] == 1


def test_who_may_not_watch_is_turned_away(program: Program, url: str, context: Context) -> None:
    session = program.begin()
    with watch(url, "nobody") as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=30)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4404
    for headers in (
        {"Origin": "http://evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ):
        with pytest.raises(InvalidStatus):
            watch(url, session, additional_headers=headers)
    with watch(url, session, additional_headers={"Origin": url}) as socket:
        heard(socket, named("connected"))
    _, secret = issue(context.store, context.ids, "watcher", [f"campaign:{session}"], None, "test")
    _, other = issue(context.store, context.ids, "stranger", ["campaign:other"], None, "test")
    program.http.headers["Authorization"] = f"Bearer {secret}"
    while program.ask("GET", "state", headers={"Authorization": ""}).status_code != 401:
        pass
    for token in ("", f"Bearer {other}"):
        with pytest.raises(InvalidStatus):
            watch(url, session, additional_headers={"Authorization": token} if token else None)
    with watch(url, session, additional_headers={"Authorization": f"Bearer {secret}"}) as socket:
        heard(socket, named("connected"))


def test_a_server_that_stops_says_so(context: Context, another: Another) -> None:
    with ExitStack() as stack:
        with served(context) as here:
            socket = stack.enter_context(watch(here, another(here, "", "a").begin()))
            heard(socket, named("connected"))
        with pytest.raises(ConnectionClosed):
            heard(socket, named("never"))
