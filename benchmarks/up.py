"""The second `make up` in one home: how soon it works, and what it weighs when it has nothing to do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.figures import Figure
from benchmarks.place import POINT, PROBLEM, STRATEGY, folder
from labqueue.client import Client
from labqueue.errors import UnavailableError
from services.embedded.stack import free_port

IDLE = 60.0
PATIENCE = 120.0


@contextmanager
def up(home: Path, port: int) -> Iterator[psutil.Process]:
    """What `make up` runs, from its first moment."""
    environ = {**os.environ, "LABQUEUE_HOME": str(home), "PORT": str(port)}
    command = [str(Path(sys.executable).with_name("labqueue-server")), "up"]
    with (home.parent / f"{home.name}.log").open("ab") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def work(client: Client, number: int) -> None:
    """One experiment staged, claimed and completed."""
    client.put_queue("up")
    client.create_campaign("up", queue="up", problem=PROBLEM, strategy=STRATEGY)
    client.stage("up", [{"parameters": POINT}])
    found = client.claim("up", instrument="one", adapter="one.1", key=f"one-{number}", wait=10)
    [leased] = found.experiments
    client.start([leased.lease])
    result = {"id": str(uuid.uuid4()), "experiment": leased.experiment, "lease": leased.lease}
    [judged] = client.post_results([{**result, "outputs": {"yield": 0.87}}])
    assert judged.verdict == "accepted", judged


def until_it_works(client: Client, number: int) -> float:
    """Seconds from now until an experiment has been completed."""
    began = time.perf_counter()
    while time.perf_counter() - began < PATIENCE:
        with suppress(UnavailableError):
            client.transport.request("GET", "//readyz", retry_for=0.0)
            work(client, number)
            return time.perf_counter() - began
        time.sleep(0.02)
    raise TimeoutError("make up did not work in time")


def weight(process: psutil.Process) -> tuple[float, int]:
    """Proportional set size of a process and all below it, in GB, and how many they are."""
    family = [process, *process.children(recursive=True)]
    return sum(each.memory_full_info().pss for each in family) / 1e9, len(family)


def run() -> list[Figure]:
    with folder() as room:
        home, port = room / "home", free_port("127.0.0.1")
        home.mkdir()
        with Client(f"http://127.0.0.1:{port}") as client:
            with up(home, port):
                first = until_it_works(client, 1)
            with up(home, port) as process:
                second = until_it_works(client, 2)
                time.sleep(IDLE)
                heavy, count = weight(process)
    beside = f"the first one, with initdb: {first:.1f} s"
    return [
        Figure("second make up: first experiment completed", second, "s", most=10.0, baseline=beside),
        Figure(f"idle stack after {IDLE:.0f} s, PSS", heavy, "GB", most=1.2, baseline=f"{count} processes"),
    ]
