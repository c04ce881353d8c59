"""A campaign taught by a program of a user's own goes on whatever dies: it is stood in for, and takes over again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import learners_for_tests
import pytest
from adapters_for_tests import read_diary
from servers import Servers
from whole import Whole, whole
from whole_lab import Lab

from services.flow.asking import SILENT

# Workers that import torch, on a machine that others use as well.
pytestmark = pytest.mark.timeout(400)
#: Experiments after the last fault.
MORE = 8


@pytest.fixture(scope="module")
def learning(servers: Servers) -> Iterator[Whole]:
    with whole(servers, ("api", "janitor", "suggester")) as stack:
        yield stack


class Own:
    """The learner's processes, one after the other."""

    def __init__(self, it: Lab) -> None:
        self.it, self.folder = it, it.folder / "learner"
        self.folder.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [
            sys.executable,
            learners_for_tests.__file__,
            self.it.whole.url,
            self.it.name,
            str(self.folder),
            "Spread",
        ]
        with (self.folder / "learner.log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, env={"PATH": "/usr/bin:/bin"})

    def kill_in_the_middle_of(self, what: str) -> None:
        """SIGKILL while it trains or suggests."""
        hold = self.folder / f"hold-{what}"
        before = self.count(what)
        hold.touch()
        self.it.whole.until(lambda: self.count(what) > before, f"it is asked to {what}")
        self.end()
        hold.unlink()

    def count(self, what: str) -> int:
        return len([each for each in read_diary(self.folder / "diary") if each["what"] == what])

    def end(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def fall_silent(self) -> None:
        """Its last word, and the leases of its work, are older now."""
        for sql in (
            "UPDATE learners SET seen_at = seen_at - make_interval(secs => %s) RETURNING 1",
            "UPDATE jobs SET deadline = deadline - make_interval(secs => %s) RETURNING 1",
        ):
            self.it.whole.rows(sql, SILENT + 1)


def reasons(it: Lab) -> list[str]:
    rows = it.whole.rows("SELECT reason FROM experiments WHERE campaign = %s ORDER BY id", it.name)
    return [row["reason"] for row in rows]


def finished(it: Lab) -> Any:
    found = it.client.campaign(it.name)
    return found if found["state"] == "finished" else None


def test_kill_9_of_a_learner_in_the_middle_of_its_work_loses_nothing(learning: Whole) -> None:
    strategy = {
        "method": "learner",
        "learner": "own",
        "fallback": "design",
        "initial": 2,
        "depth": 2,
    }
    it = Lab(learning, strategy=strategy, on_lost="requeue", lease_seconds=10)
    own = Own(it)
    try:
        own.start()
        robot = it.adapter(seconds=0.2)
        learning.until(lambda: any("spread" in each for each in reasons(it)), "the learner has taken over")
        for what in ("suggest", "train"):
            own.kill_in_the_middle_of(what)
            before = len(reasons(it))
            own.fall_silent()
            learning.until(
                lambda before=before: any(
                    "in place of the learner own" in each for each in reasons(it)[before:]
                ),
                "our workers stand in, and say so",
            )
            before = len(reasons(it))
            own.start()
            learning.until(
                lambda before=before: any(each.startswith("spread") for each in reasons(it)[before:]),
                "the learner takes over again",
            )
            with learning.down("api"):
                pass
        budget = it.states()["completed"] + MORE
        it.client.change_strategy(it.name, {**strategy, "stop": {"budget": budget}}, "enough")
        learning.until(lambda: finished(it), "the campaign is finished")
        assert f"budget of {budget}" in finished(it)["reason"]
        completed = it.states()["completed"]
        assert completed >= budget
        assert it.states()["held"] == it.states()["failed"] == it.states()["leased"] == 0
        done = learning.rows("SELECT * FROM experiments WHERE campaign = %s AND state = 'completed'", it.name)
        assert all(it.ends(each["id"]) == ["completed"] for each in done), "each ran once"
        models = it.client.models(it.name)
        assert [each["version"] for each in models] == list(range(1, len(models) + 1))
        assert robot.stop()["runs"] == completed
        it.check_books()
    finally:
        own.end()
        print((own.folder / "learner.log").read_text())
