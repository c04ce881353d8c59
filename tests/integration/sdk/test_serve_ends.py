"""How the serve loop begins and ends, against the server in memory over real sockets."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from adapters_here import Adapter, adapter, double, states

import labqueue
from labqueue.conformance.server import FakeServer
from labqueue.errors import ConflictError, InvalidError, NotFoundError
from labqueue.experiment import Experiment
from labqueue.spool import Spool


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as one:
        yield one


def test_a_server_that_is_not_there_yet_is_waited_for_and_said_once(
    server: FakeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.stage(x=1.0)
    server.go_away()
    with adapter(server, double, tmp_path):
        deadline = time.monotonic() + 30
        while not any("Waiting" in each.message for each in caplog.records) and time.monotonic() < deadline:
            time.sleep(0.02)
        server.come_back()
        assert server.wait_until(lambda: states(server) == ["completed"])
    assert len([each for each in caplog.records if "Waiting" in each.message]) == 1


def test_an_unknown_queue_is_an_error_at_once(server: FakeServer, tmp_path: Path) -> None:
    server.stage(x=1.0)
    with pytest.raises(NotFoundError, match="Did you mean bench"):
        Adapter(server, double, tmp_path, queue="bunch").join()


def test_a_taken_instrument_is_waited_for(server: FakeServer, tmp_path: Path) -> None:
    [number] = server.stage(x=1.0)
    with labqueue.Client(server.url) as other:
        [held] = other.claim("bench", instrument="hplc-2", adapter="other", key="k").experiments
        other.release(held.lease)
    with adapter(server, double, tmp_path):
        assert server.wait_until(lambda: len(server.calls("/queues/*/claims")) >= 3)
        assert server.experiments[number].state == "staged"
        server.adapter_died("hplc-2")
        assert server.wait_until(lambda: states(server) == ["completed"])
    assert not any(each.body.get("take_over") for each in server.calls("/queues/*/claims"))


def test_a_taken_instrument_can_be_taken_over(server: FakeServer, tmp_path: Path) -> None:
    server.stage(x=1.0)
    with labqueue.Client(server.url) as other:
        [held] = other.claim("bench", instrument="hplc-2", adapter="other", key="k").experiments
        other.release(held.lease)
    Adapter(server, double, tmp_path, limit=1, take_over=True).join()
    assert states(server) == ["completed"]


def test_a_restart_does_not_wait_for_its_own_lease(server: FakeServer, tmp_path: Path) -> None:
    server.stage(x=1.0, count=2)
    Adapter(server, double, tmp_path, limit=1).join()
    Adapter(server, double, tmp_path, limit=1).join()
    assert states(server) == ["completed"] * 2


def test_a_second_adapter_on_the_same_spool_is_refused(server: FakeServer, tmp_path: Path) -> None:
    server.stage(x=1.0)
    with adapter(server, double, tmp_path):
        assert server.wait_until(lambda: states(server) == ["completed"])
        with pytest.raises(ConflictError, match="Another adapter"):
            Adapter(server, double, tmp_path).join()


def test_what_was_not_begun_is_given_back(server: FakeServer, tmp_path: Path) -> None:
    numbers = server.stage(x=1.0, count=3)
    stop = threading.Event()
    server.on_next("/queues/*/claims", lambda _: stop.set())
    labqueue.serve(
        lambda plate: [double(each) for each in plate], queue="bench", instrument="i", url=server.url,
        spool=tmp_path, batch=3, stop=stop,
    )  # fmt: skip
    assert states(server) == ["staged"] * 3
    assert not any(each.holder for each in server.experiments.values())
    assert all(len(server.experiments[each].attempts) <= 1 for each in numbers)


def test_a_claim_whose_reply_is_lost_is_found_again(server: FakeServer, tmp_path: Path) -> None:
    server.stage(x=1.0, count=2)
    server.drop_next_reply("/queues/*/claims")
    Adapter(server, double, tmp_path, limit=2).join()
    assert states(server) == ["completed"] * 2
    assert all(len(each.attempts) == 1 for each in server.experiments.values())


def test_results_wait_in_the_spool_while_the_server_is_away(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.stage(x=1.0)
    monkeypatch.setattr("labqueue.session.LINGER", 0.2)

    def measure(experiment: Experiment) -> dict[str, float]:
        server.go_away()
        return double(experiment)

    one = Adapter(server, measure, tmp_path)
    assert server.wait_until(lambda: server.away)
    one.stop.set()
    assert one.join().unsent == 1
    server.come_back()
    again = Adapter(server, double, tmp_path)
    assert server.wait_until(lambda: states(server) == ["completed"])
    again.stop.set()
    assert again.join().unsent == 0
    assert [each.verdict for each in server.results] == ["accepted"]


def test_a_full_disk_claims_nothing(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server.stage(x=1.0)
    monkeypatch.setattr(Spool, "has_room", lambda self: False)
    with adapter(server, double, tmp_path):
        deadline = time.monotonic() + 30
        while not any("is full" in each.message for each in caplog.records) and time.monotonic() < deadline:
            time.sleep(0.02)
    assert not server.calls("/queues/*/claims")


def test_arguments_that_cannot_work_are_all_named(server: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(InvalidError) as caught:
        Adapter(server, double, tmp_path, slots=3, batch=0, heartbeat="fibre").join()
    assert {each.field for each in caught.value.errors} == {"slots", "batch", "at_least", "heartbeat"}
