"""The moons as a program of a user, run as a process of its own, that kills itself where a test wants it.

    moons_program.py FOLDER RUN '{"steps": 3, ...}' [POINT CALL]

It dies (kill -9) before the CALL-th call of POINT; at `body`, in the middle of the file that it sends then. It ends with a line of JSON: what it learnt and what it holds.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[4]
sys.path.insert(0, str(ROOT / "examples" / "moons"))

import run
import strategies
import torch
from labqueue_physicsnemo import checkpoints, loop
from labqueue_physicsnemo.driver import Driver
from labqueue_physicsnemo.run import Run
from labqueue_physicsnemo.upstream import Upstream
from moons import Pool

from labqueue.client import Client

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
    "send": (Upstream, "send"),
    "put": (Upstream, "_put"),
    "body": (Upstream, "_put"),
    "publish": (Upstream, "_publish"),
    "published": (Upstream, "_drop"),
    "drop": (Client, "drop_file"),
    "fetch": (Upstream, "fetch"),
    "get": (Upstream, "_get"),
    "taken": (checkpoints.Checkpoints, "name"),
}


class Breaks(io.RawIOBase):
    """The first half of a file, and then the end of the process."""

    def __init__(self, body: bytes) -> None:
        self.half = body[: len(body) // 2]

    def read(self, size: int = -1) -> bytes:
        if not self.half:
            os.kill(os.getpid(), signal.SIGKILL)
        half, self.half = self.half, b""
        return half


def die_at(point: str, call: int) -> None:
    owner, name = POINTS[point]
    before: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and point == "body":
            upstream, name, open_file, *more = args
            body = open_file().read()
            return before(upstream, name, lambda: Breaks(body), *more)
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return before(*args, **kwargs)

    setattr(owner, name, dying)


def digest(value: Any) -> str:
    """Equal only for the same bits."""
    if isinstance(value, torch.Tensor):
        return hashlib.sha256(value.detach().contiguous().numpy().tobytes()).hexdigest()[:16]
    if isinstance(value, dict):
        return digest([(str(key), digest(each)) for key, each in value.items()])
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def main(folder: str, run_id: str, options: str, point: str = "", call: str = "1") -> None:
    if point:
        die_at(point, int(call))
    random.seed(4)
    driver = run.driver_for("mixed", run_id, Path(folder), **json.loads(options))
    driver(train_step_fn=lambda model, batch: run.training_step(model, batch))
    [f1] = driver.metrology_strategies or []
    print(
        json.dumps(
            {
                "records": f1.records,
                "pool": [int(each["index"]) for each in driver.training_pool],
                "given_up": len(driver.given_up),
                "weights": [digest(each) for each in driver.learner.state_dict().values()],
                "optimizer": digest(driver.optimizer.state_dict()["state"]),
                "chance": [digest(torch.get_rng_state()), digest(random.getstate())],
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
