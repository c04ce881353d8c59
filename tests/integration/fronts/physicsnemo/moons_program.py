"""The moons as a program of a user, run as a process of its own, that kills itself where a test wants it.

    moons_program.py FOLDER RUN '{"steps": 3, ...}' [POINT CALL]

It dies (kill -9) before the CALL-th call of POINT. It ends with a line of JSON: what it learnt and what it holds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[4]
sys.path.insert(0, str(ROOT / "examples" / "moons"))

import run
import strategies
from labqueue_physicsnemo import checkpoints, loop
from labqueue_physicsnemo.driver import Driver
from labqueue_physicsnemo.run import Run
from moons import Pool

#: Where it can die: the owner and the name of what is about to be called.
POINTS: dict[str, tuple[Any, str]] = {
    "training": (run, "training_step"),
    "epoch": (loop, "save_epoch"),
    "compute": (strategies.F1, "compute"),
    "serialize": (strategies.F1, "serialize_records"),
    "sample": (strategies.Uncertainty, "sample"),
    "stage": (Run, "stage"),
    "staged": (Run, "unlabelled"),
    "label": (strategies.Reveal, "label"),
    "collect": (Run, "labels"),
    "append": (Pool, "append"),
    "save": (checkpoints.Checkpoints, "save"),
    "saved": (Driver, "_kept"),
    "fsync": (os, "fsync"),
}


def die_at(point: str, call: int) -> None:
    owner, name = POINTS[point]
    before: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return before(*args, **kwargs)

    setattr(owner, name, dying)


def main(folder: str, run_id: str, options: str, point: str = "", call: str = "1") -> None:
    if point:
        die_at(point, int(call))
    driver = run.driver_for("mixed", run_id, Path(folder), **json.loads(options))
    driver(train_step_fn=lambda model, batch: run.training_step(model, batch))
    [f1] = driver.metrology_strategies or []
    print(
        json.dumps(
            {
                "records": f1.records,
                "pool": [int(each["index"]) for each in driver.training_pool],
                "given_up": len(driver.given_up),
                "weights": [float(each.double().sum()) for each in driver.learner.state_dict().values()],
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
