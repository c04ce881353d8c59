"""Labels that take a second each: made by the driver one after the other, and by eight processes beside it.

`python -m benchmarks.labelling` runs it alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, table
from benchmarks.place import stack
from labqueue.client import Client

PROCESSES, STEPS, SAMPLES, SECONDS, SEED = 8, 3, 16, 1.0, 1
ROOT = Path(__file__).parents[1]
MOONS = ROOT / "examples" / "moons"
QUEUE = "labels"
PATIENCE = 120.0


def run() -> list[Figure]:
    """The moons of examples/moons, twice; the same seed, so that both choose the same items."""
    sys.path.insert(0, str(MOONS))
    with stack("api", "janitor") as running:
        folder = running.settings.home / "runs"
        alone, f1_alone = learn(running.url, folder, "alone", seconds=SECONDS)
        with processes(running.url, folder):
            together, f1_together = learn(running.url, folder, "together", adapters=True, queue=QUEUE)
    labels = STEPS * SAMPLES
    beside = f"one after the other: {alone:.1f} s for {labels} labels of {SECONDS:g} s"
    return [
        Figure(f"{labels} labels by {PROCESSES} processes, times faster", alone / together, "x", least=6.0, baseline=beside),
        Figure("difference of the final F1", abs(f1_alone - f1_together), "", most=0.01, baseline=f"F1 {f1_alone:.3f}"),
    ]  # fmt: skip


def learn(url: str, folder: Path, name: str, **options: Any) -> tuple[float, float]:
    """Seconds of the labelling phases together, and the F1 at the end."""
    program = import_module("run")
    driver = program.driver_for(
        "mixed", name, folder, steps=STEPS, samples=SAMPLES, seed=SEED, url=url, **options
    )
    driver(train_step_fn=program.training_step)
    [strategy] = driver.metrology_strategies
    lines = [json.loads(line) for line in (driver.log_dir / f"{name}.log").read_text().splitlines()]
    begun = [when(each) for each in lines if each["message"].endswith(": labeling")]
    ended = [when(each) for each in lines if " labels appended" in each["message"]]
    seconds = sum(end - begin for begin, end in zip(begun, ended, strict=True))
    return seconds, float(strategy.records[-1]["f1"])


def when(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["timestamp"]).timestamp()


@contextmanager
def processes(url: str, folder: Path) -> Iterator[None]:
    """Label processes, all begun."""
    with Client(url) as client:
        client.put_queue(QUEUE, lease_seconds=60, on_lost="requeue", max_attempts=3)
    environ = {
        **os.environ,
        "PYTHONPATH": str(MOONS),
        "LABQUEUE_URL": url,
        "XDG_STATE_HOME": str(folder / "state"),
        "OMP_NUM_THREADS": "1",
    }
    arguments = json.dumps({"seed": SEED, "seconds": SECONDS})
    command = [sys.executable, "-m", "labqueue_physicsnemo", "label", "strategies:Reveal", "--queue", QUEUE]
    logs = [folder / f"label-{number}.log" for number in range(PROCESSES)]
    started = []
    try:
        for log in logs:
            with log.open("wb") as out:
                started.append(
                    subprocess.Popen([*command, "--arguments", arguments], cwd=folder, env=environ, stdout=out, stderr=out)
                )  # fmt: skip
        ends = time.monotonic() + PATIENCE
        while not all("serves" in log.read_text() for log in logs):
            if time.monotonic() > ends:
                raise TimeoutError("\n".join(log.read_text() for log in logs))
            time.sleep(0.1)
        yield
    finally:
        for each in started:
            each.kill()
            each.wait()


if __name__ == "__main__":
    print(table([("labelling", run())]))
