"""A learner in a process of its own, for tests: `python learners_for_tests.py URL CAMPAIGN FOLDER KIND`.

It writes what it does, a JSON line each, into FOLDER/diary, and while FOLDER/hold-train or FOLDER/hold-suggest is
there it stays in the middle of that. Imports the SDK alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import labqueue
from labqueue.learning.samples import sample


class Spread:
    """Random points; its state counts the rows. Draws all chance from the seed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def train(self, problem: Any, rows: Any, state: Any) -> Any:
        self.say("train", len(rows), state)
        self.hold("train")
        return {"rows": len(rows), "trainings": (state or {}).get("trainings", 0) + 1}, {"rows": len(rows)}

    def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
        self.say("suggest", count, state)
        self.hold("suggest")
        expected = {"y": (float(len(rows)), 1.0)}
        return [
            {"parameters": point, "expected": expected, "reason": f"spread, knowing {len(rows)}"}
            for point in sample(problem, count, seed)
        ]

    def say(self, what: str, number: int, state: Any) -> None:
        """A line that is short enough to be written at once; readers leave a line out until it has its end."""
        with (self.folder / "diary").open("a") as file:
            file.write(
                json.dumps({"what": what, "pid": os.getpid(), "number": number, "state": state}) + "\n"
            )

    def hold(self, what: str) -> None:
        while (self.folder / f"hold-{what}").exists():
            time.sleep(0.01)


class Nan(Spread):
    """A model that has diverged."""

    def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
        self.say("suggest", count, state)
        return [{"x": math.nan}] * count


class Broken(Spread):
    def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
        self.say("suggest", count, state)
        raise ValueError("singular matrix")


class Exits(Spread):
    def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
        sys.exit("no licence")


class Bytes(Spread):
    """Keeps its state as bytes, and gives one point at a time."""

    STATE = bytes(range(256)) * 4096

    def train(self, problem: Any, rows: Any, state: Any) -> Any:
        self.say("train", len(rows), None if state is None else hashlib.sha256(state).hexdigest())
        return self.STATE

    def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
        self.say("suggest", count, None if state is None else len(state))
        return sample(problem, 1, seed)


def main() -> None:
    url, campaign, folder, kind = sys.argv[1:]
    learner = globals()[kind](Path(folder))
    taught = labqueue.serve_learner(learner, campaign=campaign, url=url)
    print(f"taught {taught.trainings} {taught.suggestions} {taught.failures}", flush=True)


if __name__ == "__main__":
    main()
