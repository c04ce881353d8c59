"""A learner of a user's own in a process of its own, against a real API: killed, stopped, broken, too slow.

Our own workers, where they stand in, are called here with a learner that needs no torch.
"""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import learners_for_tests
import pytest
from api import context_for, served, settings_for
from fake_learner import FakeLearner

import labqueue
from services.bootstrap import Context
from services.flow import due, suggest, train
from services.flow.asking import SILENT
from services.flow.number import number
from services.flow.recover import stamp_alive

PATIENCE = 60.0
PROBLEM = {
    "parameters": [{"name": "x", "kind": "continuous", "low": 0, "high": 1000}],
    "outputs": [{"name": "y"}],
    "objectives": [{"output": "y"}],
}
T = TypeVar("T")


class Campus:
    """A campaign that a learner teaches, and the processes that are that learner."""

    def __init__(self, context: Context, url: str, folder: Path) -> None:
        self.context, self.url, self.folder = context, url, folder
        self.client = labqueue.Client(url, timeout=30.0)
        self.processes: list[Process] = []
        self.ours = FakeLearner()

    def create(self, **strategy: Any) -> None:
        self.client.put_queue("q", lease_seconds=60)
        wish = {
            "method": "learner",
            "learner": "own",
            "initial": 0,
            "depth": 2,
            "fallback": "design",
            **strategy,
        }
        self.client.create_campaign("own", queue="q", problem=PROBLEM, strategy=wish, seed=7)

    def start(self, kind: str = "Spread") -> Process:
        process = Process(self, kind)
        self.processes.append(process)
        return process

    def hold(self, what: str) -> None:
        (self.folder / f"hold-{what}").touch()

    def go_on(self, what: str) -> None:
        (self.folder / f"hold-{what}").unlink()

    def diary(self, what: str = "") -> list[dict[str, Any]]:
        path = self.folder / "diary"
        written = path.read_text().splitlines(keepends=True) if path.exists() else []
        lines = [json.loads(line) for line in written if line.endswith("\n")]
        return [each for each in lines if what in ("", each["what"])]

    def until(self, condition: Callable[[], T | None], what: str) -> T:
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            logs = "\n".join(each.log.read_text() for each in self.processes)
            assert time.monotonic() < deadline, f"still not: {what}\n{logs}"
            time.sleep(0.02)
        return found

    def staged(self, count: int = 2) -> list[dict[str, Any]]:
        """What waits, as soon as there are so many."""

        def look() -> list[dict[str, Any]] | None:
            found = list(self.client.experiments("own", "staged"))
            return found if len(found) == count else None

        return self.until(look, f"{count} are staged")

    def measure(self, count: int = 1) -> None:
        """As a robot: claims and reports."""
        for _ in range(count):
            key = f"robot-{time.monotonic_ns()}"
            claimed = self.client.claim("q", instrument="robot", adapter="robot.1", key=key, wait=30.0)
            [one] = claimed.experiments
            self.client.start([one.lease])
            body = {
                "id": str(uuid.uuid4()),
                "experiment": one.experiment,
                "lease": one.lease,
                "outputs": {"y": 1.0},
            }
            [judged] = self.client.post_results([body])
            assert judged.verdict == "accepted"

    def shown(self) -> dict[str, Any]:
        learner: dict[str, Any] = self.client.campaign("own")["learner"]
        return learner

    def fall_silent(self) -> None:
        """Time passes for the process that is gone: what it last said, and the leases that it had, are older now."""
        with self.context.store.session() as session:
            step = [SILENT + 1.0]
            # In the order in which the server locks them.
            session.run("UPDATE jobs SET deadline = deadline - make_interval(secs => %s)", step)
            session.run("UPDATE learners SET seen_at = seen_at - make_interval(secs => %s)", step)

    def work(self) -> set[str]:
        """What the janitor and our workers do."""
        number(self.context.store, wait=True)
        commands = due.due(self.context.store)
        for each in commands:
            if each.name == "train":
                train.train(self.context.store, self.ours, int(each.argument), "trainer")
            else:
                suggest.suggest(
                    self.context.store, self.context.ids, self.ours, int(each.argument), "suggester"
                )
        return {each.name for each in commands}


class Process:
    def __init__(self, campus: Campus, kind: str) -> None:
        self._campus = campus
        self.log = campus.folder / f"log-{len(campus.processes)}"
        with self.log.open("wb") as log:
            self._popen = subprocess.Popen(
                [sys.executable, learners_for_tests.__file__, campus.url, "own", str(campus.folder), kind],
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/bin:/bin"},
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def says(self, text: str) -> None:
        self._campus.until(lambda: text in self.log.read_text(), f"the log says {text!r}")

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait()

    def stop(self, number: int = signal.SIGTERM) -> str:
        """Its last line."""
        self._popen.send_signal(number)
        assert self._popen.wait(PATIENCE) == 0, self.log.read_text()
        return self.log.read_text().splitlines()[-1]


@pytest.fixture
def campus(postgres_url: str, redis_url: str, home: Path, tmp_path: Path) -> Iterator[Campus]:
    with context_for(settings_for(postgres_url, home, redis_url)) as context:
        stamp_alive(context.store)
        with served(context) as url:
            made = Campus(context, url, tmp_path)
            try:
                yield made
            finally:
                for each in made.processes:
                    each.kill()
                made.client.close()


def test_a_campaign_is_taught_from_elsewhere(campus: Campus) -> None:
    campus.create(depth=3)
    process = campus.start()
    first = campus.staged(3)
    assert {each["reason"] for each in first} == {"spread, knowing 0"}
    for results in range(1, 4):
        campus.measure()
        campus.until(
            lambda results=results: all(
                each["reason"] == f"spread, knowing {results}" for each in campus.staged(3)
            ),
            f"the queue knows {results} results",
        )
    models = campus.client.models("own")
    assert [each["rows"] for each in models] == [1, 2, 3]
    assert models[-1]["metrics"] == {"rows": 3} and models[-1]["versions"]["learner"] == "own"
    assert [each["state"] for each in campus.diary("train")] == [
        None,
        {"rows": 1, "trainings": 1},
        {"rows": 2, "trainings": 2},
    ]
    staged = campus.staged(3)
    assert staged[0]["expected"] == {"y": {"mean": 3.0, "sd": 1.0}}
    shown = campus.shown()
    assert (shown["live"], shown["asked"], shown["failures"], shown["instead"]) == (True, True, 0, "")
    assert campus.work() == set(), "our workers have nothing to do"
    assert re.fullmatch(r"taught 3 \d+ 0", process.stop())
    campus.until(lambda: campus.shown()["live"] is False, "it is known to be gone")


def test_killed_in_the_middle_of_suggesting_nothing_is_lost(campus: Campus) -> None:
    campus.create()
    campus.hold("suggest")
    first = campus.start()
    campus.until(lambda: campus.diary("suggest"), "it is suggesting")
    first.kill()
    assert campus.work() == set(), "it may come back"
    campus.fall_silent()
    assert campus.work() == {"suggest"}
    assert all("in place of the learner own, silent for" in each["reason"] for each in campus.staged())
    assert campus.shown()["asked"] is False
    assert any(each["kind"] == "learner" for each in campus.client.status()["attention"])
    campus.go_on("suggest")
    campus.start()
    campus.measure()
    campus.until(lambda: campus.diary("train"), "the next one takes over")
    campus.until(
        lambda: any(each["reason"] == "spread, knowing 1" for each in campus.staged()), "and fills the queue"
    )
    assert campus.work() == set() and campus.shown()["asked"] is True


def test_killed_in_the_middle_of_training_nothing_is_lost(campus: Campus) -> None:
    campus.create()
    first = campus.start()
    campus.staged()
    campus.hold("train")
    campus.measure()
    campus.until(lambda: campus.diary("train"), "it is training")
    first.kill()
    second = campus.start()
    second.says("stands by")
    campus.fall_silent()
    campus.until(lambda: len(campus.diary("train")) == 2, "the other one trains")
    campus.go_on("train")
    campus.until(lambda: [each["rows"] for each in campus.client.models("own")] == [1], "one version")
    assert {each["pid"] for each in campus.diary("train")} == {first.pid, second.pid}
    campus.until(
        lambda: {each["reason"] for each in campus.staged()} == {"spread, knowing 1"}, "a fresh queue"
    )


def test_sigterm_gives_the_work_back_at_once(campus: Campus) -> None:
    campus.create()
    campus.hold("suggest")
    first = campus.start()
    campus.until(lambda: campus.diary("suggest"), "it is suggesting")
    second = campus.start()
    second.says("stands by")
    assert first.stop(signal.SIGINT) == "taught 0 0 0"
    campus.until(
        lambda: {each["pid"] for each in campus.diary()} == {first.pid, second.pid}, "the other has it"
    )
    campus.go_on("suggest")
    campus.staged()
    assert second.stop() == "taught 0 1 0"


def test_a_learner_whose_points_are_not_numbers_is_refused_and_stood_in_for(campus: Campus) -> None:
    campus.create()
    process = campus.start("Nan")
    process.says("is not a finite number")
    campus.until(lambda: campus.shown()["failures"] >= 3, "three failures")
    shown = campus.shown()
    assert "candidates[0].x: is not a finite number" in shown["error"] and shown["asked"] is False
    assert campus.work() == {"suggest"}
    assert all("failed 3 times in a row" in each["reason"] for each in campus.staged())
    assert [each["state"] for each in campus.client.experiments("own")] == ["staged"] * 2, "nothing else ever"


def test_what_a_learner_raises_is_told_and_logged_in_full(campus: Campus) -> None:
    campus.create()
    process = campus.start("Broken")
    campus.until(lambda: campus.shown()["failures"] >= 1, "a failure")
    assert campus.shown()["error"].startswith("ValueError: singular matrix (")
    assert "learners_for_tests.py, line" in campus.shown()["error"]
    process.says("Traceback")


def test_a_learner_that_exits_has_failed_and_goes_on(campus: Campus) -> None:
    campus.create()
    process = campus.start("Exits")
    campus.until(lambda: campus.shown()["failures"] >= 2, "two failures of one process")
    assert campus.shown()["error"].startswith("SystemExit: no licence (")
    assert re.fullmatch(r"taught 0 0 \d+", process.stop())


def test_a_learner_that_is_too_slow_loses_its_lease_and_changes_nothing(campus: Campus) -> None:
    campus.create(deadline=1.0)
    campus.hold("suggest")
    process = campus.start()
    campus.until(lambda: campus.diary("suggest"), "it is suggesting")
    process.says("A suggestion may take 1 s")
    campus.fall_silent()
    assert campus.work() == {"suggest"}
    ours = campus.staged()
    campus.go_on("suggest")
    process.says("its answer is not needed")
    assert campus.staged() == ours
    assert campus.shown()["failures"] == 1


def test_a_state_of_a_megabyte_and_one_point_at_a_time(campus: Campus) -> None:
    campus.create()
    campus.start("Bytes")
    campus.staged()
    campus.measure()
    campus.until(
        lambda: [each["state"] for each in campus.diary("suggest")][-1:] == [1024 * 1024], "its state"
    )
    first = campus.start("Bytes")
    for each in campus.processes[:-1]:
        each.kill()
    campus.fall_silent()
    campus.measure()
    told = hashlib.sha256(learners_for_tests.Bytes.STATE).hexdigest()
    campus.until(
        lambda: any(each["pid"] == first.pid and each["state"] == told for each in campus.diary("train")),
        "a new process goes on from it",
    )


def test_an_api_that_goes_away_is_waited_for(
    postgres_url: str, redis_url: str, home: Path, tmp_path: Path
) -> None:
    with context_for(settings_for(postgres_url, home, redis_url)) as context:
        stamp_alive(context.store)
        with served(context) as url:
            campus = Campus(context, url, tmp_path)
            campus.create()
            campus.hold("suggest")
            process = campus.start()
            campus.until(lambda: campus.diary("suggest"), "it is suggesting")
        try:
            campus.go_on("suggest")
            process.says("The answer is kept and sent again")
            with served(context, port=int(url.rpartition(":")[2])):
                campus.staged()
                process.says("Suggested 2")
                assert process.stop() == "taught 0 1 0"
        finally:
            process.kill()
