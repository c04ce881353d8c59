"""A small lab for tests of whole processes: a campaign on one parameter, and a robot that answers at once."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from models.domain import records as r
from services.bootstrap import SystemIds
from services.flow.claim import ClaimRequest, claim
from services.flow.define import NewCampaign, QueuePolicy, create_campaign, put_queue
from services.flow.filing import Report
from services.flow.recover import stamp_alive
from services.flow.renew import StartItem, start
from services.flow.report import report
from services.ports import Store
from services.settings import Settings, load

PATIENCE = 90.0
PROBLEM = {
    "parameters": [{"name": "x", "kind": "continuous", "low": 0, "high": 10}],
    "outputs": [{"name": "y"}],
    "objectives": [{"output": "y", "goal": "maximize"}],
}
IDS = SystemIds()
T = TypeVar("T")
_numbers = itertools.count(1)


def settings_for(postgres_url: str, redis_url: str, home: Path, **more: str) -> Settings:
    given = {
        "LABQUEUE_DATABASE_URL": postgres_url,
        "LABQUEUE_REDIS_URL": redis_url,
        "LABQUEUE_HOME": str(home),
    }
    return load({**given, "LABQUEUE_DB_POOL_SIZE": "4", **more})


def until(condition: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
    """What `condition` returns as soon as it is true. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"after {seconds:g} s still not: {what}"
        time.sleep(0.02)
    return found


def campaign(store: Store, name: str = "tiny", queue: str = "q", **strategy: Any) -> r.Campaign:
    """A campaign on its own queue; leases of a second, and what is lost goes back."""
    put_queue(store, queue, QueuePolicy(lease_seconds=1.0, on_lost="requeue"), "person:anna")
    new = NewCampaign(name, queue, "anna", PROBLEM, strategy, seed=7)
    return create_campaign(store, IDS, new, "person:anna")[0]


def take(
    store: Store, queue: str = "q", instrument: str = "robot", count: int = 1
) -> list[tuple[str, r.Experiment]]:
    """Up to `count` experiments, claimed and started: (lease, experiment)."""
    request = ClaimRequest(queue, instrument, "home.1", f"key-{next(_numbers)}", max=count)
    taken = [(each.lease, each.experiment) for each in claim(store, IDS, request).assignments]
    start(store, [StartItem(lease) for lease, _ in taken])
    return taken


def answer(store: Store, lease: str, experiment: r.Experiment) -> None:
    """A parabola with its best at x = 3."""
    y = -((experiment.planned["x"] - 3.0) ** 2)
    report(store, IDS, [Report(IDS.uuid(), experiment.id, lease, outputs={"y": y})], "adapter:robot")


def run_all(store: Store, name: str, queue: str = "q", seconds: float = PATIENCE) -> r.Campaign:
    """Be the robot until the campaign is finished."""

    def step() -> r.Campaign | None:
        for lease, experiment in take(store, queue):
            answer(store, lease, experiment)
        return finished(store, name)

    return until(step, f"campaign {name} is finished", seconds)


def finished(store: Store, name: str) -> r.Campaign | None:
    with store.begin() as tx:
        found = tx.campaigns.get(name)
    return found if found is not None and found.state == "finished" else None


@contextmanager
def alive(store: Store) -> Iterator[None]:
    """What an API process does all the time: say that it lives, so that silent holders can lose their leases."""
    over = threading.Event()

    def stamp() -> None:
        while not over.is_set():
            stamp_alive(store)
            over.wait(0.5)

    thread = threading.Thread(target=stamp)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Part:
    """A process of the application, with its log in `home`."""

    def __init__(self, settings: Settings, *argv: str) -> None:
        self.log = settings.home / f"{argv[0]}-{next(_numbers)}.log"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("LABQUEUE_")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", *argv],
                env={**environ, **settings.environ(), "OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def says(self, words: str, seconds: float = PATIENCE) -> None:
        until(
            lambda: words in self.text or self.process.poll() is not None, f"{words!r} in {self.log}", seconds
        )
        assert words in self.text, self.text

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self, seconds: float = PATIENCE) -> int:
        self.process.terminate()
        return self.process.wait(seconds)

    def end(self) -> None:
        """Whatever is left of it and of its children."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


@contextmanager
def running(settings: Settings, *parts: tuple[str, ...]) -> Iterator[list[Part]]:
    """These parts as processes; their logs are printed, so that a failing test shows them."""
    started = [Part(settings, *argv) for argv in parts]
    try:
        yield started
    finally:
        for part in started:
            part.end()
            print(f"--- {part.log.name}\n{part.text[-6000:]}")


JANITOR = ("workers.janitor",)
TRAINER = ("workers", "--queue", "train")
SUGGESTER = ("workers", "--queue", "suggest,inquire,notify")
