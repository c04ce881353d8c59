"""The heartbeat as a process of its own: it survives a locked interpreter, is replaced, and ends with its adapter."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import labqueue
from labqueue.client import Client
from labqueue.conformance.server import FakeServer
from labqueue.experiment import Experiment
from labqueue.keeper import ProcessKeeper

PATIENCE = 60.0


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(lease_seconds=1.0) as one:
        yield one


def beats(server: FakeServer) -> int:
    return len(server.calls("/attempts/heartbeat"))


def test_a_heartbeat_process_that_died_is_replaced(server: FakeServer) -> None:
    server.stage(x=1.0)
    client = Client(server.url)
    [held] = client.claim("bench", instrument="i", adapter="a", key="k").experiments
    client.close()
    keeper = ProcessKeeper(client, "i", "a", lambda item: None, lambda probes: None)
    keeper.start()
    try:
        keeper.hold(held.lease, 1.0)
        assert server.wait_until(lambda: beats(server), PATIENCE)
        process = keeper._process
        assert process is not None
        process.kill()
        process.wait()
        before = beats(server)
        assert server.wait_until(lambda: beats(server) > before + 1, PATIENCE)
    finally:
        keeper.close()


@pytest.mark.skipif(os.name == "nt", reason="needs a function of the C library")
def test_a_process_renews_while_the_interpreter_is_locked(tmp_path: Path) -> None:
    counted: list[int] = []
    libc = ctypes.PyDLL(None)  # unlike CDLL, it keeps the interpreter lock during the call
    # The fake server runs in a process of its own: the lock would stop it, too.
    code = """
import sys
from labqueue.conformance.server import FakeServer
with FakeServer(lease_seconds=0.6) as server:
    server.stage(x=1.0)
    print(server.url, flush=True)
    assert server.wait_until(lambda: server.calls("/attempts/start"))
    for line in sys.stdin:
        print(len(server.calls("/attempts/heartbeat")), flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    ask, answers = process.stdin, process.stdout

    def count() -> int:
        ask.write("\n")
        ask.flush()
        return int(answers.readline())

    def locked(experiment: Experiment) -> dict[str, float]:
        while not count():
            experiment.wait(0.05)  # the heartbeat process is on its way
        counted.append(count())
        libc.usleep(2_000_000)
        counted.append(count())
        return {"y": 1.0}

    url = answers.readline().strip()
    labqueue.serve(
        locked, queue="bench", instrument="i", url=url, spool=tmp_path, limit=1, heartbeat="process"
    )
    ask.close()
    answers.close()
    process.wait(30)
    before, after = counted
    assert after >= before + 3


@pytest.mark.skipif(os.name == "nt", reason="signals and /proc")
def test_the_heartbeat_process_ends_with_its_adapter(server: FakeServer, tmp_path: Path) -> None:
    [number] = server.stage(x=1.0)
    code = f"""
import labqueue, os, sys
def measure(experiment):
    experiment.note("running")
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "0.1"])
    experiment.wait(100)
labqueue.serve(measure, queue="bench", instrument="i", url={server.url!r}, spool={str(tmp_path)!r},
               heartbeat="process")
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        assert server.wait_until(lambda: beats(server) >= 2, PATIENCE)
    finally:
        process.kill()
        process.wait()

    def silent() -> bool:
        """For longer than a lease."""
        before = beats(server)
        return not server.wait_until(lambda: beats(server) > before, 1.5)

    assert any(silent() for _ in range(40)), "somebody still renews the leases of a dead adapter"
    assert server.experiments[number].holder is not None
