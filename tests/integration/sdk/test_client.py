"""The client against a server that answers, refuses, disappears and loses its replies."""

from __future__ import annotations

import http.server
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import labqueue
from labqueue.backoff import Backoff
from labqueue.client import Client
from labqueue.conformance.server import FakeServer
from labqueue.errors import (
    DeniedError,
    InstrumentTakenError,
    InvalidError,
    LeaseLostError,
    NotFoundError,
    UnavailableError,
)
from labqueue.stream import parse
from labqueue.transport import Interrupted, segment


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as one:
        yield one


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    with Client(server.url, retry_for=5.0) as one:
        yield one


def claim(client: Client, key: str = "k-1", **more: Any) -> Any:
    return client.claim("bench", instrument="hplc-2", adapter="a", key=key, **more)


def test_a_life_of_an_experiment(server: FakeServer, client: Client) -> None:
    [number] = server.stage(x=1.5)
    [assignment] = claim(client).experiments
    assert (assignment.experiment, assignment.parameters) == (number, {"x": 1.5})
    assert assignment.outputs == (labqueue.Output("y"),)
    assert client.start([assignment.lease])[0].ok
    assert client.note(assignment.lease, "injecting", "SEQ-1").ok
    result = {"id": "r-1", "experiment": number, "lease": assignment.lease, "outputs": {"y": 2.0}}
    [judged] = client.post_results([result])
    assert (judged.verdict, judged.state) == ("accepted", "completed")
    assert [one.verdict for one in client.post_results([result])] == ["duplicate"]


def test_errors_carry_the_fields(server: FakeServer, client: Client) -> None:
    server.stage(x=1.0)
    with pytest.raises(InvalidError) as caught:
        client.stage("bench", [{"parameters": {"z": 1.0}}])
    assert any("z" in each.field for each in caught.value.errors)
    assert caught.value.status == 422


def test_each_code_is_a_class(server: FakeServer, client: Client) -> None:
    server.stage(x=1.0, count=2)
    with pytest.raises(NotFoundError):
        client.claim("nowhere", instrument="i", adapter="a", key="k")
    [held] = claim(client).experiments
    with pytest.raises(InstrumentTakenError):
        client.claim("bench", instrument="hplc-2", adapter="other", key="k-2")
    server.lose(held.lease)
    with pytest.raises(LeaseLostError):
        client.fail(held.lease, "too late")


def test_a_token_is_sent_and_its_lack_is_said() -> None:
    with FakeServer(token="secret") as server:
        with pytest.raises(DeniedError):
            Client(server.url, "wrong", retry_for=0).campaigns()
        assert Client(server.url, "secret").campaigns() == []


def test_a_lost_reply_is_asked_again_and_is_one_effect(server: FakeServer, client: Client) -> None:
    server.stage(x=1.0, count=3)
    server.drop_next_reply("/queues/*/claims")
    claimed = claim(client)
    assert len(claimed.experiments) == 1
    assert sum(each.state == "leased" for each in server.experiments.values()) == 1
    assert len(server.calls("/queues/*/claims")) == 2


def test_a_kept_connection_that_was_closed_meanwhile_is_opened_again(
    server: FakeServer, client: Client
) -> None:
    patient = Client(server.url, retry_for=0.0)
    assert patient.campaigns() == []
    server.go_away()
    server.come_back()
    assert patient.campaigns() == []


def test_a_server_that_is_away_is_waited_for(server: FakeServer) -> None:
    server.go_away()
    back = threading.Timer(0.3, server.come_back)
    back.start()
    assert Client(server.url, retry_for=20.0).campaigns() == []
    back.join()


def test_a_long_wait_is_told_once(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("labqueue.transport._QUIET", 0.0)
    server.go_away()
    with pytest.raises(UnavailableError):
        Client(server.url, retry_for=2.0).campaigns()
    assert not caplog.messages, "its own patience is over soon"
    back = threading.Timer(1.0, server.come_back)
    back.start()
    assert Client(server.url, retry_for=600.0).campaigns() == []
    back.join()
    (said,) = caplog.messages
    assert "No answer from http" in said and "tried again for up to" in said


def test_silence_ends_in_a_sentence(server: FakeServer) -> None:
    server.go_away()
    with pytest.raises(UnavailableError, match="No answer from http"):
        Client(server.url, retry_for=0.0).campaigns()


def test_503_is_later(server: FakeServer) -> None:
    server.go_away("503")
    with pytest.raises(UnavailableError, match="starting"):
        Client(server.url, retry_for=0.0).campaigns()


def test_a_wait_can_be_left(server: FakeServer, client: Client) -> None:
    server.stage(x=1.0)
    claim(client)
    left = threading.Event()
    threading.Timer(0.2, left.set).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        claim(client, "k-2", wait=30.0, until=left.is_set)
    assert time.monotonic() - began < 20.0


def test_pages_are_followed(server: FakeServer, client: Client) -> None:
    staged = server.stage(x=1.0, count=1203)
    assert [each["id"] for each in client.experiments("bench")] == staged
    assert len(server.calls("/campaigns/bench/experiments", "GET")) == 3


def test_names_are_one_segment(server: FakeServer, client: Client) -> None:
    name = "Suzuki / 2nd try?"
    client.put_queue(name, lease_seconds=30)
    assert client.queue(name)["lease_seconds"] == 30
    assert "/" not in segment(name)


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(InvalidError, match="address"):
        Client("localhost:8000")


@contextmanager
def stranger(status: int, body: bytes) -> Iterator[str]:
    """Some other HTTP server."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.server_address[1]}"
    finally:
        listening.shutdown()
        listening.server_close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, UnavailableError), (302, UnavailableError), (500, UnavailableError), (401, DeniedError)],
)
def test_an_answer_of_some_other_server_is_no_word_of_ours(status: int, kind: type[Exception]) -> None:
    with stranger(status, b"<h1>nothing here</h1>") as url, pytest.raises(kind) as caught:
        Client(url, retry_for=0.0).campaigns()
    assert f"answered {status}" in str(caught.value)


def test_a_page_instead_of_json_is_said() -> None:
    with (
        stranger(200, b"<h1>Welcome to the hotel</h1>") as url,
        pytest.raises(UnavailableError, match="no JSON"),
    ):
        Client(url, retry_for=0.0).campaigns()


def test_unknown_fields_of_an_answer_are_ignored() -> None:
    assignment = {"lease": "l", "attempt": "a", "experiment": 1, "code": "c-1", "from_the_future": {}}
    body = json.dumps({"experiments": [assignment], "reason": None, "probes": [], "more": 1}).encode()
    with stranger(200, body) as url:
        [one] = Client(url).claim("q", instrument="i", adapter="a", key="k").experiments
    assert (one.lease, one.experiment, one.lease_seconds) == ("l", 1, 60.0)


def test_events_go_on_after_a_broken_stream(server: FakeServer, client: Client) -> None:
    server.stage(x=1.0)
    events = client.events(after=0)
    first = next(events)
    server.go_away()
    server.come_back()
    server.stage(x=2.0)
    numbers = [first["number"]]
    while numbers[-1] < len(server.events):
        numbers.append(next(events)["number"])
    assert numbers == list(range(1, len(server.events) + 1))


def test_a_stream_is_read_by_whole_events() -> None:
    lines = [": hello", "", "id: 4", "event: x", 'data: {"a":', "data: 1}", "", "data: {", "id: 5"]
    assert list(parse(lines)) == [(4, {"a": 1})]


def test_pauses_double_up_to_the_longest_and_start_again() -> None:
    backoff = Backoff(1.0, 4.0, chance=lambda: 1.0)
    assert [backoff.pause() for _ in range(4)] == [1.0, 2.0, 4.0, 4.0]
    backoff.reset()
    assert backoff.pause() == 1.0
    assert Backoff(1.0, 4.0, chance=lambda: 0.0).pause() == 0.5


def test_import_loads_nothing_heavy() -> None:
    heavy = "('http.client', 'sqlite3', 'ssl', 'multiprocessing', 'socket', 'torch')"
    code = f"import sys, labqueue; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in labqueue.__all__:
        assert getattr(labqueue, name) is not None
    with pytest.raises(AttributeError, match="measure_it"):
        labqueue.measure_it  # noqa: B018


def test_waiting_draws_nothing_from_the_programs_own_chance() -> None:
    """A program that seeded it repeats, however often a server was away."""
    before = random.getstate()
    assert 0 < Backoff().pause() <= 0.2
    assert random.getstate() == before
