"""The serve loop in its three forms, against the server in memory over real sockets."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from adapters_here import Adapter, adapter

import labqueue
from labqueue.conformance.server import FakeServer
from labqueue.errors import ConflictError, InvalidError, NotFoundError
from labqueue.experiment import Experiment
from labqueue.spool import Spool


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as one:
        yield one


def double(experiment: Experiment) -> dict[str, float]:
    return {"y": 2 * experiment.parameters["x"]}


def states(server: FakeServer) -> list[str]:
    return [str(each.state) for each in server.experiments.values()]


def spooled(server: FakeServer, folder: Path) -> int:
    """How many finished entries wait on disk for this server."""
    with Spool(folder, server.url, lock=False) as seen:
        return len(seen.journal.waiting())


# -- one at a time


def test_a_function_is_an_instrument(server: FakeServer, tmp_path: Path) -> None:
    server.stage(x=3.0, count=5)
    served = Adapter(server, double, tmp_path, limit=5).join()
    assert served == labqueue.Served(runs=5, unsent=0, refused=0)
    assert states(server) == ["completed"] * 5
    assert [each.body["outputs"] for each in server.results] == [{"y": 6.0}] * 5
    assert len({each.id for each in server.results}) == 5


def test_the_function_runs_in_the_thread_that_called(server: FakeServer, tmp_path: Path) -> None:
    server.stage(x=1.0)
    seen = []

    def measure(experiment: Experiment) -> dict[str, float]:
        seen.append(threading.get_ident())
        return double(experiment)

    labqueue.serve(measure, queue="bench", instrument="i", url=server.url, spool=tmp_path, limit=1)
    assert seen == [threading.get_ident()]


def test_nothing_runs_before_the_server_agreed(server: FakeServer, tmp_path: Path) -> None:
    [number] = server.stage(x=1.0)
    server.on_next("/attempts/start", lambda _: server.lose(server.lease_of(number), "requeue"))
    runs = []
    with adapter(server, lambda one: runs.append(one.attempt) or double(one), tmp_path):
        assert server.wait_until(lambda: states(server) == ["completed"])
    # The first attempt lost its lease before it began; only the second one moved anything.
    first, second = server.experiments[number].attempts
    assert (first.ended, first.started_at, runs) == ("lost", None, [second.id])


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [(labqueue.Infeasible("boils"), "infeasible"), (labqueue.Suspect("bubble", {"y": 0.1}), "suspect")],
)
def test_what_was_learnt_without_a_measurement(
    server: FakeServer, tmp_path: Path, raised: Exception, outcome: str
) -> None:
    server.stage(x=1.0)

    def measure(_: Experiment) -> Any:
        raise raised

    Adapter(server, measure, tmp_path, limit=1).join()
    [result] = server.results
    assert (result.body["outcome"], result.body["comment"]) == (outcome, str(raised))


def test_any_other_exception_is_a_failed_run_and_the_loop_goes_on(server: FakeServer, tmp_path: Path) -> None:
    first, _ = server.stage(x=1.0, count=2)

    def measure(experiment: Experiment) -> Any:
        if experiment.id == first:
            raise ZeroDivisionError("pump")
        return double(experiment)

    server.instrument("hplc-2").failure_limit = 10
    with adapter(server, measure, tmp_path):
        assert server.wait_until(lambda: states(server) == ["failed", "completed"])
    reasons = {each.reason for each in server.experiments[first].attempts}
    assert reasons == {"ZeroDivisionError: pump"}


def test_a_result_with_everything(server: FakeServer, tmp_path: Path) -> None:
    server.stage(x=1.0, outputs=["y", "purity"])
    trace = tmp_path / "trace.csv"
    trace.write_text("0,1\n")

    def measure(experiment: Experiment) -> Any:
        done = experiment.result(
            {"y": 1.0},
            actual={"x": 1.01},
            files=[trace],
            outstanding=["purity"],
            noise={"y": 0.1},
            comment="ok",
        )
        trace.unlink()  # the copy is in the spool by now
        return done

    Adapter(server, measure, tmp_path / "spool", limit=1).join()
    [result] = server.results
    assert result.body["actual"] == {"x": 1.01}
    assert (result.body["outstanding"], result.body["noise"]) == (["purity"], {"y": 0.1})
    [named] = result.body["artifacts"]
    assert named["name"] == "trace.csv"
    assert server.artifacts[named["sha256"]] == b"0,1\n"
    order = [each.path for each in server.log if each.method == "PUT" or each.path == "/results"]
    assert order == [f"/artifacts/{named['sha256']}", "/results"]


def test_a_file_that_is_missing_costs_no_measurement(server: FakeServer, tmp_path: Path) -> None:
    server.stage(x=1.0)
    Adapter(server, lambda one: one.result({"y": 1.0}, files=["/nowhere.csv"]), tmp_path, limit=1).join()
    [result] = server.results
    assert result.verdict == "accepted"
    assert "/nowhere.csv" in result.body["comment"]


def test_outputs_that_cannot_be_used_are_sent_and_loudly_complained_about(
    server: FakeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    [number] = server.stage(x=1.0)
    Adapter(server, lambda _: {"yield": float("nan")}, tmp_path, limit=1).join()
    [result] = server.results
    assert (result.verdict, result.body["outputs"]) == ("held", {"yield": "nan"})
    assert server.experiments[number].state == "held"
    loud = [each.message for each in caplog.records if each.levelno == logging.ERROR]
    assert any("y: is missing" in each for each in loud)


@pytest.mark.parametrize("value", [0.87, "0.87", [1, 2], object()])
def test_what_is_no_result_goes_to_a_person(server: FakeServer, tmp_path: Path, value: Any) -> None:
    server.stage(x=1.0)
    Adapter(server, lambda _: value, tmp_path, limit=1).join()
    [result] = server.results
    assert result.verdict == "held"
    assert repr(value)[:10] in result.body["comment"]


def test_a_function_that_returns_nothing_failed(server: FakeServer, tmp_path: Path) -> None:
    [number] = server.stage(x=1.0)
    Adapter(server, lambda _: None, tmp_path, limit=1).join()
    assert "returned nothing" in server.experiments[number].attempts[0].reason


def test_notes_and_run_references_arrive(server: FakeServer, tmp_path: Path) -> None:
    [number] = server.stage(x=1.0)

    def measure(experiment: Experiment) -> dict[str, float]:
        experiment.note("injecting", run_ref="SEQ-0412")
        assert server.wait_until(lambda: server.experiments[number].attempts[0].run_ref)
        return double(experiment)

    Adapter(server, measure, tmp_path, limit=1).join()
    attempt = server.experiments[number].attempts[0]
    assert (attempt.run_ref, attempt.notes) == ("SEQ-0412", ["injecting"])


def test_a_note_made_while_the_server_is_away_arrives_before_the_end_of_its_run(
    server: FakeServer, tmp_path: Path
) -> None:
    [number] = server.stage(x=1.0)

    def measure(experiment: Experiment) -> dict[str, float]:
        server.go_away()
        experiment.note("injecting", run_ref="SEQ-0412")
        return double(experiment)

    one = Adapter(server, measure, tmp_path)
    assert server.wait_until(lambda: server.away)
    assert server.wait_until(lambda: spooled(server, tmp_path) == 1), "the result waits too"
    server.come_back()
    assert server.wait_until(lambda: states(server) == ["completed"])
    one.stop.set()
    one.join()
    attempt = server.experiments[number].attempts[0]
    assert (attempt.run_ref, attempt.notes) == ("SEQ-0412", ["injecting"])


# -- wishes


def test_a_cancellation_is_heard_at_once_and_confirmed(server: FakeServer, tmp_path: Path) -> None:
    [number] = server.stage(x=1.0)
    heard = []

    def measure(experiment: Experiment) -> Any:
        server.cancel(number, "wrong bottle")
        began = time.monotonic()
        assert experiment.wait(30.0)
        heard.append((time.monotonic() - began, experiment.cancel_reason))
        experiment.raise_if_cancelled()

    Adapter(server, measure, tmp_path, limit=1).join()
    [(seconds, reason)] = heard
    assert reason == "wrong bottle"
    assert seconds < 20.0, "it was heard by the next renewal only"
    found = server.experiments[number]
    assert (found.state, found.attempts[0].ended) == ("cancelled", "cancelled")


def test_what_is_measured_in_spite_of_a_cancellation_is_recorded(server: FakeServer, tmp_path: Path) -> None:
    [number] = server.stage(x=1.0)

    def measure(experiment: Experiment) -> dict[str, float]:
        server.cancel(number)
        assert experiment.wait(30.0)
        return double(experiment)

    Adapter(server, measure, tmp_path, limit=1).join()
    assert [each.verdict for each in server.results] == ["accepted"]


def test_a_lost_lease_is_heard_and_the_result_is_sent_all_the_same(
    server: FakeServer, tmp_path: Path
) -> None:
    [number] = server.stage(x=1.0)

    def measure(experiment: Experiment) -> dict[str, float]:
        server.lose(experiment.lease, "hold")
        assert experiment.wait(30.0)
        assert experiment.wish == "lost"
        return double(experiment)

    Adapter(server, measure, tmp_path, limit=1).join()
    assert server.experiments[number].state == "completed"


def test_no_longer_needed_is_heard(server: FakeServer, tmp_path: Path) -> None:
    [number] = server.stage(x=1.0)

    def measure(experiment: Experiment) -> dict[str, float]:
        other = {"id": "elsewhere", "experiment": number, "outputs": {"y": 9.0}}
        with labqueue.Client(server.url) as client:
            client.post_results([other])
        assert experiment.wait(30.0)
        assert experiment.wish == "not_needed"
        return double(experiment)

    Adapter(server, measure, tmp_path, limit=1).join()
    assert [each.verdict for each in server.results] == ["accepted", "replicate"]


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


# -- beginning and end


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
