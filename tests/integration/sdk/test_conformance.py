"""The conformance kit: the server in memory as an instrument of tests, and what must hold after a scenario."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labqueue.client import Client
from labqueue.conformance import FakeServer, check_adapter
from labqueue.conformance.attempts import report
from labqueue.conformance.check import name_of
from labqueue.conformance.claims import claim
from labqueue.conformance.results import record
from labqueue.conformance.trial import Case, Trial, Unmet
from labqueue.errors import DeniedError, InvalidError, UnavailableError

# -- the server's controls


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        yield fake


def lease(server: FakeServer, key: str = "k", wait: float = 0.0) -> Any:
    body = {"instrument": "i", "adapter": "a", "key": key, "wait": wait}
    return claim(server, "bench", body)["experiments"]


def test_a_dropped_reply_has_had_its_effect(server: FakeServer) -> None:
    server.stage(x=1)
    dropped = server.drop_next_reply("/queues/*/claims")
    with Client(server.url, retry_for=0.0) as client:
        with pytest.raises(UnavailableError):
            client.claim("bench", instrument="i", adapter="a", key="k")
        assert dropped.is_set()
        held = server.lease_of(1)
        (again,) = client.claim("bench", instrument="i", adapter="a", key="k").experiments
    assert again.lease == held
    assert [each.status for each in server.calls("/queues/bench/claims")] == [None, 200]


def test_a_server_that_is_away_refuses_and_comes_back_with_everything(server: FakeServer) -> None:
    server.stage(x=1)
    with Client(server.url, retry_for=0.0) as client:
        assert client.status()
        server.go_away()
        with pytest.raises(UnavailableError):
            client.status()
        server.come_back()
        assert client.experiment(1)["state"] == "staged"
        server.go_away("503")
        with pytest.raises(UnavailableError):
            client.status()
        server.come_back()
        assert client.status()


def test_going_away_cuts_a_waiting_claim_and_leases_nothing(server: FakeServer) -> None:
    server.stage(x=1)
    lease(server, "first")
    failed = threading.Event()

    def wait() -> None:
        try:
            with Client(server.url, retry_for=0.0) as client:
                client.claim("bench", instrument="i", adapter="a", key="k", wait=50)
        except UnavailableError:
            failed.set()

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    assert server.wait_until(lambda: server.calls("/queues/bench/claims"))
    server.go_away()
    waiting.join(30)
    assert failed.is_set()
    server.stage(x=2)
    server.come_back()
    assert server.experiments[2].state.value == "staged"


def test_what_a_test_places_before_a_request_happens_first(server: FakeServer) -> None:
    server.stage(x=1)
    server.on_next("/attempts/start", lambda body: server.lose(body["items"][0]["lease"]))
    with Client(server.url) as client:
        (assignment,) = client.claim("bench", instrument="i", adapter="a", key="k").experiments
        (item,) = client.start([assignment.lease])
    assert (item.ok, item.code) == (False, "lease_lost")


def test_a_token_is_asked_for() -> None:
    with FakeServer(token="secret") as server:
        with Client(server.url, "wrong", retry_for=0.0) as client, pytest.raises(DeniedError):
            client.status()
        with Client(server.url, "secret") as client:
            assert client.status()


def test_the_clock_of_the_laboratory_moves_only_its_deadlines(server: FakeServer) -> None:
    server.stage(x=1)
    (held,) = lease(server)
    server.advance(3600)
    assert server.lease_of(1) == held["lease"]
    (renewed,) = lease(server)
    assert renewed["deadline"] > held["deadline"]


def test_events_can_be_followed(server: FakeServer) -> None:
    server.stage(x=1)
    with Client(server.url) as client:
        events = client.events()
        seen = [next(events)]
        server.cancel(1, "a leak")
        seen.append(next(events))
    assert [each["type"] for each in seen] == ["staged", "cancel"]


def test_unknown_scenarios_and_hidden_functions_are_named() -> None:
    with pytest.raises(InvalidError, match="late result"):
        check_adapter("lab:measure", scenarios=["a late resutl"])
    with pytest.raises(InvalidError, match=r"file\.py:name"):
        name_of(lambda experiment: {})
    assert name_of(lease) == f"{__file__}:lease"


# -- what must hold at the end can fail


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    with Trial(Case("none:none", seconds=0.3), tmp_path) as bench:
        yield bench


def begin(trial: Trial, agreed: bool = True) -> Any:
    """As an adapter would: a run that has begun and measured 1.0."""
    trial.stage()
    (assignment,) = lease(trial.server)
    if agreed:
        report(trial.server, "start", {"items": [{"lease": assignment["lease"]}]})
    trial.record.write("begin", assignment["attempt"])
    trial.record.write("end", assignment["attempt"], {"outputs": {"y": 1.0}})
    return assignment


def send(trial: Trial, assignment: Any, name: str, value: float = 1.0) -> None:
    body = {"id": name, "experiment": assignment["experiment"], "lease": assignment["lease"]}
    record(trial.server, {**body, "outputs": {"y": value}})


def test_a_run_as_it_should_be(trial: Trial) -> None:
    send(trial, begin(trial), "one")
    trial.settle()


def test_a_measurement_that_never_arrives(trial: Trial) -> None:
    begin(trial)
    with pytest.raises(Unmet, match="did not arrive"):
        trial.settle()


def test_a_measurement_under_two_names(trial: Trial) -> None:
    assignment = begin(trial)
    send(trial, assignment, "one")
    send(trial, assignment, "two")
    with pytest.raises(Unmet, match="as 2 different results"):
        trial.settle()


def test_another_number_than_was_measured(trial: Trial) -> None:
    send(trial, begin(trial), "one", 2.0)
    with pytest.raises(Unmet, match=r"measured .* was recorded"):
        trial.settle()


def test_a_run_without_agreement(trial: Trial) -> None:
    send(trial, begin(trial, agreed=False), "one")
    with pytest.raises(Unmet, match="without the server's agreement"):
        trial.settle()


def test_one_attempt_run_twice(trial: Trial) -> None:
    assignment = begin(trial)
    trial.record.write("begin", assignment["attempt"])
    send(trial, assignment, "one")
    with pytest.raises(Unmet, match="run 2 times"):
        trial.settle()
