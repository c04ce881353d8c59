"""The serve loop with a function, one experiment at a time, against the server in memory over real sockets."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from adapters_here import Adapter, adapter, double, spooled, states

import labqueue
from labqueue.conformance.server import FakeServer
from labqueue.experiment import Experiment


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as one:
        yield one


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
def test_what_is_no_result_goes_to_a_person(
    server: FakeServer, tmp_path: Path, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.stage(x=1.0)
    Adapter(server, lambda _: value, tmp_path, limit=1).join()
    [result] = server.results
    assert result.verdict == "held"
    assert repr(value)[:10] in result.body["comment"]
    loud = [each.message for each in caplog.records if each.levelno == logging.ERROR]
    assert any(result.body["comment"] in each for each in loud)


@pytest.mark.parametrize("value", [10**400, -(10**299), 10**9000], ids=["400", "299", "9000"])
def test_a_whole_number_beyond_every_float_is_sent_as_text(
    server: FakeServer, tmp_path: Path, value: int
) -> None:
    [number] = server.stage(x=1.0)
    Adapter(server, lambda _: {"y": value}, tmp_path, limit=1).join()
    [result] = server.results
    said = result.body["outputs"]["y"]
    assert said == (str(value) if abs(value) < 10**4000 else "a whole number of about 9,001 digits")
    assert (result.verdict, server.experiments[number].state) == ("held", "held")


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
