"""An adapter killed between any two of its steps, and started again on the same spool.

A child process serves one experiment and ends by os._exit before or after its n-th write to the journal or
request to the server. Whatever n is: no attempt moves the hardware twice, what was recorded arrives exactly
once, and the experiment is completed in the end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from adapters_here import adapter

from labqueue.conformance.server import FakeServer
from labqueue.experiment import Experiment

CHILD = """
import os, sys
import labqueue
from labqueue.journal import Journal
from labqueue.transport import Transport

url, folder, moves, form, number, when, instrument = sys.argv[1:8]
left = [int(number)]
DIES = 9

def step(name, original):
    def wrapped(*words, **more):
        left[0] -= 1
        mine = left[0] == 0
        if mine and when == "before":
            print("before", name, flush=True)
            os._exit(DIES)
        answer = original(*words, **more)
        if mine:
            print("after", name, flush=True)
            os._exit(DIES)
        return answer
    return wrapped

for name in ("ask", "answered", "move", "refer", "finish", "acknowledged"):
    setattr(Journal, name, step(name, getattr(Journal, name)))
Transport.request = step("request", Transport.request)

def moved(experiment):
    with open(moves, "a") as file:
        file.write(experiment.attempt + "\\n")

def measure(experiment):
    moved(experiment)
    return {"y": 1.0}

class Bench:
    def start(self, experiment):
        moved(experiment)
        return "job " + experiment.attempt
    def check(self, ref):
        return {"y": 1.0}
    def find(self, experiment):
        known = os.path.exists(moves) and experiment.attempt in open(moves).read()
        return "job " + experiment.attempt if known else None

target = Bench() if form == "object" else measure
labqueue.serve(target, queue="bench", instrument=instrument, url=url, spool=folder, limit=1, poll=0.02)
print("whole", flush=True)
"""
PATIENCE = 60.0
#: More than an experiment's life has; what lies behind its end kills nobody.
STEPS = {"function": 10, "object": 13}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as one:
        yield one


class Found:
    """The same instrument in this process, for the second start."""

    def __init__(self, moves: Path, fresh: list[str]) -> None:
        self._moves, self._fresh = moves, fresh

    def start(self, experiment: Experiment) -> str:
        with self._moves.open("a") as file:
            file.write(experiment.attempt + "\n")
        self._fresh.append(experiment.attempt)
        return f"job {experiment.attempt}"

    def check(self, ref: str) -> dict[str, float]:
        return {"y": 1.0}

    def find(self, experiment: Experiment) -> str | None:
        known = self._moves.exists() and experiment.attempt in self._moves.read_text()
        return f"job {experiment.attempt}" if known else None


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("form", ["function", "object"])
def test_killed_between_any_two_steps(server: FakeServer, tmp_path: Path, form: str, when: str) -> None:
    seen = []
    for number in range(1, STEPS[form] + 1):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        [experiment] = server.stage(x=1.0)
        moves, fresh = folder / "moves.txt", list[str]()
        words = [server.url, str(folder / "spool"), str(moves), form, str(number), when, f"hplc-{number}"]
        child = subprocess.run(
            [sys.executable, "-c", CHILD, *words], capture_output=True, text=True, timeout=60, check=False
        )
        place = child.stdout.strip()
        assert child.returncode == (0 if place == "whole" else 9), child.stderr
        seen.append(place)
        again(server, experiment, folder, Found(moves, fresh), form, place)
        runs = Counter(moves.read_text().split())
        assert set(runs.values()) == {1}, f"{place}: an attempt moved the hardware twice"
        results = [each for each in server.results if each.experiment == experiment]
        assert [each.verdict for each in results] == ["accepted"], place
        if place in ("after finish", "before acknowledged", "after acknowledged", "whole"):
            assert not fresh, f"{place}: what was measured was measured again"
        if form == "object" and place in ("before refer", "after refer", "before finish"):
            assert not fresh, f"{place}: the run went on on the instrument, and was begun again"
    assert "whole" not in seen[: STEPS[form] - 2], "there are fewer steps than this test believes"
    assert len({each for each in seen if each != "whole"}) >= 6


def again(server: FakeServer, experiment: int, folder: Path, bench: Found, form: str, place: str) -> None:
    """Starts the adapter again on the same spool, until the experiment is completed."""

    def measure(given: Experiment) -> dict[str, float]:
        bench.start(given)
        return {"y": 1.0}

    found = server.experiments[experiment]
    begun = bool(found.attempts) and found.attempts[-1].started_at is not None
    # Where a function died in mid-run nobody can know: nothing happens by itself, and the policy decides.
    unknown = form == "function" and begun and place in ("after move", "before finish")
    target = bench if form == "object" else measure
    with adapter(server, target, folder / "spool", instrument=f"hplc-{folder.name}", poll=0.02):
        settled = server.wait_until(lambda: found.state == "completed", 3.0 if unknown else PATIENCE)
        assert settled is not unknown, place
        if unknown:
            server.lose(server.lease_of(experiment), "requeue")
            assert server.wait_until(lambda: found.state == "completed", PATIENCE), place


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("signals", [1, 2])
def test_a_signal_lets_the_run_end_and_a_second_one_does_not(
    server: FakeServer, tmp_path: Path, signals: int
) -> None:
    first, second = server.stage(x=1.0, count=2)
    gate = tmp_path / "gate"
    code = f"""
import labqueue, os, time
def measure(experiment):
    experiment.note("running")
    while not os.path.exists({str(gate)!r}):
        time.sleep(0.01)
    return {{"y": 1.0}}
print(labqueue.serve(measure, queue="bench", instrument="i", url={server.url!r}, spool={str(tmp_path)!r}))
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.wait_until(
            lambda: server.experiments[first].attempts and server.experiments[first].attempts[0].notes,
            PATIENCE,
        )
        child.send_signal(signal.SIGTERM)
        assert child.stderr is not None
        assert any("A second signal stops it now" in line for line in child.stderr)
        if signals == 1:
            gate.touch()
        else:
            child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=PATIENCE)
    finally:
        child.kill()
    assert child.returncode == 0, err
    assert "Served(runs=1, unsent=0" in out
    assert server.experiments[second].state == "staged"
    attempt = server.experiments[first].attempts[0]
    if signals == 1:
        assert server.experiments[first].state == "completed"
    else:
        assert (attempt.ended, attempt.reason) == ("failed", "Stopped at the instrument in mid-run.")


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_an_idle_adapter_stops_at_once(server: FakeServer, tmp_path: Path) -> None:
    [number] = server.stage(x=1.0)
    server.experiments[number].parameters["x"] = 2.0
    code = f"""
import labqueue
labqueue.serve(lambda _: {{"y": 1.0}}, queue="bench", instrument="i", url={server.url!r}, spool={str(tmp_path)!r})
"""
    child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        assert server.wait_until(lambda: len(server.calls("/queues/*/claims")) >= 2, PATIENCE)
        child.send_signal(signal.SIGTERM)
        assert child.wait(15) == 0, "it waited for its long poll"
    finally:
        child.kill()
        child.wait()
