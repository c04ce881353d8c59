"""Adapters as processes of their own, with the real SDK, for tests that kill, stop and cut them off.

Run as a script with one JSON object that says what to be (`Setup`). Each keeps a diary, one JSON object a line,
that tests read from outside: `moved` is written whenever the hardware moves, so that "run twice" shows there.
What ends a run is a file that the test makes: a gate.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import labqueue
from labqueue.client import Client

LOOK = 0.02
FORMS = ("function", "batch", "cluster", "stuck")


@dataclass(frozen=True)
class Setup:
    """What an adapter is told.

    form: function; batch (a function of many); cluster (start, check, cancel, find); stuck (a batch that never
    gets to say that it starts). gates: files, any of which ends a run. seconds: ends a run by itself, unless 0.
    bias: added to what is measured, so that two devices differ.
    """

    form: str
    url: str
    queue: str
    instrument: str
    spool: str
    diary: str
    gates: tuple[str, ...] = ()
    seconds: float = 0.0
    size: int = 1
    bias: float = 0.0
    token: str | None = None
    limit: int | None = None


class Device:
    """The hardware: it moves when told so, is done when a gate opens, and measures a parabola."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    def note(self, what: str, experiment: Any, **more: Any) -> None:
        line = {
            "what": what,
            "experiment": experiment.id,
            "attempt": experiment.attempt,
            "number": experiment.attempt_number,
            "instrument": self.setup.instrument,
            "pid": os.getpid(),
            **more,
        }
        # One write in append mode: lines of several processes never mix.
        file = os.open(self.setup.diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, (json.dumps(line) + "\n").encode())
        os.close(file)

    def done(self, moved_at: float) -> bool:
        timed = self.setup.seconds > 0 and time.time() - moved_at >= self.setup.seconds
        return timed or any(os.path.exists(gate) for gate in self.setup.gates)

    def measured(self, experiment: Any) -> dict[str, float]:
        return {"y": value(experiment.parameters["x"]) + self.setup.bias}


def value(x: float) -> float:
    """What is measured at `x`, without any bias."""
    return float(-((x - 3.0) ** 2))


class Instrument(Device):
    """One run at a time, in the thread that serves; says what it hears meanwhile."""

    def measure(self, experiment: Any) -> dict[str, float]:
        self.note("moved", experiment)
        self.wait([experiment])
        self.note("ended", experiment)
        return self.measured(experiment)

    def measure_all(self, experiments: Sequence[Any]) -> list[dict[str, float]]:
        for each in experiments:
            self.note("moved", each)
        self.wait(experiments)
        return [self.measured(each) for each in experiments]

    def wait(self, experiments: Sequence[Any]) -> None:
        began, told = time.time(), set[int]()
        while not self.done(began):
            for each in experiments:
                if each.wish is not None and each.id not in told:
                    told.add(each.id)
                    self.note("heard", each, wish=each.wish, message=each.cancel_reason)
            time.sleep(LOOK)


class Cluster(Device):
    """Runs that go on whatever becomes of their adapter: they live in the diary, and are found there."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.runs: dict[str, tuple[Any, float]] = {}

    def start(self, experiment: Any) -> str:
        self.note("moved", experiment, at=time.time())
        return self.follow(experiment, time.time())

    def follow(self, experiment: Any, at: float) -> str:
        self.runs[experiment.attempt] = (experiment, at)
        return f"job-{experiment.attempt}"

    def check(self, ref: str) -> dict[str, float] | None:
        experiment, at = self.runs[ref.removeprefix("job-")]
        if not self.done(at):
            return None
        self.note("ended", experiment)
        return self.measured(experiment)

    def find(self, experiment: Any) -> str | None:
        for line in read_diary(Path(self.setup.diary)):
            if line["what"] == "moved" and line["attempt"] == experiment.attempt:
                self.note("found", experiment)
                return self.follow(experiment, line["at"])
        return None


def read_diary(path: Path) -> Iterator[dict[str, Any]]:
    """What was written, in the order of writing; a line that is only half there yet is left out."""
    if path.exists():
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)


def _never_start() -> None:
    """The claim is answered and written down; then this process hangs, and hardware never moves."""

    def start(client: Client, leases: Sequence[str], **_: Any) -> list[Any]:
        for lease in leases:
            print(f"holds {lease}", flush=True)
        print(f"stuck with {len(leases)}", flush=True)
        while True:
            time.sleep(60)

    Client.start = start  # type: ignore[assignment, method-assign]


def main() -> None:
    given = json.loads(sys.argv[1])
    setup = Setup(**{**given, "gates": tuple(given["gates"])})
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)d %(message)s", stream=sys.stdout)
    target: Any
    if setup.form == "cluster":
        target = Cluster(setup)
    elif setup.form == "function":
        target = Instrument(setup).measure
    else:
        target = Instrument(setup).measure_all
    if setup.form == "stuck":
        _never_start()
    many = setup.form == "cluster"
    served = labqueue.serve(
        target,
        queue=setup.queue,
        instrument=setup.instrument,
        url=setup.url,
        token=setup.token,
        spool=setup.spool,
        slots=setup.size if many else 1,
        batch=1 if many else setup.size,
        poll=0.1,
        limit=setup.limit,
    )
    print(f"served {json.dumps(vars(served))}", flush=True)


if __name__ == "__main__":
    main()
