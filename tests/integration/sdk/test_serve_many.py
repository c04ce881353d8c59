"""The serve loop with batches and with objects that have slots, against the server in memory over real sockets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from adapters_here import Adapter, adapter, double, states

import labqueue
from labqueue.conformance.server import FakeServer
from labqueue.experiment import Experiment
from labqueue.spool import Spool


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as one:
        yield one


# -- batches


def test_a_batch_is_recorded_whatever_one_of_it_is(server: FakeServer, tmp_path: Path) -> None:
    numbers = server.stage(x=1.0, count=4)

    def read_plate(experiments: list[Experiment]) -> dict[int, Any]:
        assert [each.id for each in experiments] == numbers
        bad, worse, _, good = numbers
        return {bad: ValueError("empty well"), worse: {"y": float("inf")}, good: {"y": 1.0}}

    Adapter(server, read_plate, tmp_path, batch=8, at_least=4, limit=4).join()
    assert server.experiments[numbers[3]].state == "completed"
    assert server.experiments[numbers[1]].state == "held"
    assert "empty well" in server.experiments[numbers[0]].attempts[0].reason
    assert "nothing for this one" in server.experiments[numbers[2]].attempts[0].reason
    assert len(server.calls("/queues/*/claims")) == 1
    assert len(server.calls("/attempts/start")) == 1


def test_a_batch_function_may_return_a_list(server: FakeServer, tmp_path: Path) -> None:
    server.stage(x=2.0, count=3)
    Adapter(server, lambda plate: [double(each) for each in plate], tmp_path, batch=3, limit=3).join()
    assert states(server) == ["completed"] * 3


def test_a_batch_waits_for_enough(server: FakeServer, tmp_path: Path) -> None:
    sizes = []

    def read_plate(experiments: list[Experiment]) -> list[Any]:
        sizes.append(len(experiments))
        return [double(each) for each in experiments]

    server.stage(x=1.0, count=2)
    with adapter(server, read_plate, tmp_path, batch=4, at_least=3):
        assert server.wait_until(lambda: server.calls("/queues/*/claims"))
        server.stage(x=1.0)
        assert server.wait_until(lambda: states(server) == ["completed"] * 3)
    assert sizes == [3]


# -- objects with slots


class Cluster:
    """Jobs that end when the test says so."""

    def __init__(self) -> None:
        self.jobs: dict[str, Any] = {}
        self.started: list[str] = []
        self.cancelled: list[str] = []
        self.threads: set[int] = set()

    def start(self, experiment: Experiment) -> str:
        self.threads.add(threading.get_ident())
        self.jobs[experiment.attempt] = None
        self.started.append(experiment.attempt)
        return experiment.attempt

    def check(self, ref: str) -> Any:
        self.threads.add(threading.get_ident())
        value = self.jobs[ref]
        if isinstance(value, Exception):
            raise value
        return value

    def cancel(self, ref: str) -> None:
        self.cancelled.append(ref)
        self.jobs[ref] = labqueue.Cancelled("killed")

    def find(self, experiment: Experiment) -> str | None:
        return experiment.attempt if experiment.attempt in self.jobs else None


def running(server: FakeServer) -> list[Any]:
    return [each for each in server.attempts.values() if each.started_at is not None and each.live]


def test_slots_run_side_by_side_and_no_more(server: FakeServer, tmp_path: Path) -> None:
    server.stage(x=1.0, count=5)
    cluster = Cluster()
    with adapter(server, cluster, tmp_path, slots=3, poll=0.02) as one:
        assert server.wait_until(lambda: len(running(server)) == 3)
        assert server.wait_until(lambda: all(each.run_ref == each.id for each in running(server)))
        cluster.jobs[cluster.started[1]] = {"y": 1.0}
        assert server.wait_until(lambda: len(cluster.started) == 4)
        one.stop.set()  # ends when what runs has ended
        for ref in list(cluster.jobs):
            cluster.jobs[ref] = {"y": 2.0}
        assert one.join().runs == 4
    assert sorted(states(server)) == ["completed"] * 4 + ["staged"]
    assert len(cluster.threads) == 1


def test_a_cancelled_slot_is_told_to_the_object(server: FakeServer, tmp_path: Path) -> None:
    [number] = server.stage(x=1.0)
    cluster = Cluster()
    with adapter(server, cluster, tmp_path, slots=2, poll=0.02):
        assert server.wait_until(lambda: len(running(server)) == 1)
        server.cancel(number)
        assert server.wait_until(lambda: states(server) == ["cancelled"])
    assert cluster.cancelled == cluster.started


def test_a_check_that_stumbles_fails_no_run(server: FakeServer, tmp_path: Path) -> None:
    server.stage(x=1.0)

    class Flaky(Cluster):
        looks = 0

        def check(self, ref: str) -> Any:
            self.looks += 1
            if self.looks <= 3:
                raise OSError("squeue: connection refused")
            return {"y": 1.0}

    Adapter(server, Flaky(), tmp_path, slots=1, poll=0.005, limit=1).join()
    assert states(server) == ["completed"]
    assert len(server.attempts) == 1


def test_a_check_that_always_raises_fails_the_run(server: FakeServer, tmp_path: Path) -> None:
    [number] = server.stage(x=1.0)
    cluster = Cluster()
    cluster.check = lambda ref: cluster.jobs["no such job"]  # type: ignore[method-assign]
    Adapter(server, cluster, tmp_path, slots=1, poll=0.001, limit=1).join()
    assert "KeyError" in server.experiments[number].attempts[0].reason


def test_probes_are_answered_from_the_instrument(server: FakeServer, tmp_path: Path) -> None:
    first, second = server.stage(x=1.0, count=2)
    cluster = Cluster()
    with adapter(server, cluster, tmp_path, slots=2, poll=0.02):
        assert server.wait_until(lambda: len(running(server)) == 2)
        server.lose(server.lease_of(first), "probe")
        assert server.wait_until(lambda: server.experiments[first].attempts[0].ended is None)
        for ref in cluster.started:
            cluster.jobs[ref] = {"y": 1.0}
        assert server.wait_until(lambda: states(server) == ["completed"] * 2)
    assert len(server.experiments[second].attempts) == 1


def left_running(server: FakeServer, folder: Path, ref: str | None) -> Any:
    """An experiment whose adapter ended in mid-run, as its spool and the server remember it; the server asks."""
    server.stage(x=1.0)
    with labqueue.Client(server.url) as client, Spool(folder, server.url) as spool:
        [held] = client.claim("bench", instrument="hplc-2", adapter="dead.1", key="k").experiments
        spool.journal.answered("k", [held])
        client.start([held.lease])
        spool.journal.move([held.attempt], "started")
        if ref is not None:
            spool.journal.refer(held.attempt, ref)
    server.adapter_died("hplc-2")
    server.lose(held.lease, "probe")
    return server.attempts[held.lease]


def test_after_a_restart_a_function_does_not_know(server: FakeServer, tmp_path: Path) -> None:
    left_running(server, tmp_path, None)
    with adapter(server, double, tmp_path):
        assert server.wait_until(lambda: states(server) == ["held"])
    assert [each.body["items"][0]["answer"] for each in server.calls("/attempts/probe")] == ["unknown"]


@pytest.mark.parametrize(
    ("ref", "on_device", "state"),
    [("job", True, "completed"), ("job", False, "held"), (None, False, "completed")],
)
def test_after_a_restart_an_object_is_asked(
    server: FakeServer, tmp_path: Path, ref: str | None, on_device: bool, state: str
) -> None:
    """A run that is found goes on; one that never began goes back to its place; of the rest nobody knows."""
    attempt = left_running(server, tmp_path, ref)
    cluster = Cluster()
    if on_device:
        cluster.jobs[attempt.id] = {"y": 7.0}
    with adapter(server, cluster, tmp_path, poll=0.02):
        if ref is None:
            assert server.wait_until(lambda: cluster.started)
            cluster.jobs[cluster.started[0]] = {"y": 8.0}
        assert server.wait_until(lambda: states(server) == [state])
    assert len(cluster.started) == (1 if ref is None else 0)
    assert attempt.id not in cluster.started
