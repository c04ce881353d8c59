"""How long instruments wait: the whole stack, eight adapters in processes of their own, experiments of 1 to 10 s.

    python -m benchmarks.idle [--minutes 10] [--times 3]

Each adapter writes when it began and ended each experiment; between two of them it waits (for the result to be stored,
for the next claim, for a candidate). Counted from the end of the initial design on; the campaign's budget never ends.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import Figure, percentile
from benchmarks.place import folder, settings_for
from labqueue.client import Client
from services.embedded.stack import Stack

ADAPTERS = 8
SHORTEST, LONGEST = 1.0, 10.0  # seconds
QUEUE = "idle"
ASKED = 2.0  # per cent
MINUTES, TIMES = 10.0, 3
PROBLEM: dict[str, Any] = {
    "parameters": [{"name": f"x{n}", "kind": "continuous", "low": 0, "high": 1} for n in range(4)],
    "outputs": [{"name": "height"}],
    "objectives": [{"output": "height", "goal": "maximize"}],
}


@dataclass(frozen=True)
class Waits:
    """Of one run. share: of the adapters' time, in per cent; gaps: seconds between two experiments."""

    share: float
    gaps: tuple[float, ...]
    experiments: int
    staleness: float  # results that a claimed candidate's model had not seen, on average


def height(point: dict[str, Any]) -> float:
    """Two bent hills, so that there is something to learn."""
    x = [float(point[f"x{n}"]) for n in range(4)]
    one = math.exp(-8 * sum((value - 0.3 - 0.1 * n) ** 2 for n, value in enumerate(x)))
    other = math.exp(-4 * sum((value - 0.8) ** 2 for value in x))
    return one + 0.7 * other + 0.1 * math.sin(5 * x[0] * x[1])


def duration(code: str) -> float:
    """Seconds of an experiment, log-uniform, by its code alone."""
    return SHORTEST * math.exp(math.log(LONGEST / SHORTEST) * random.Random(code).random())


def adapter(url: str, name: str, diary: Path) -> None:
    """One adapter's life: a line for each experiment."""
    import labqueue

    with diary.open("a", encoding="utf-8") as lines:

        def run(experiment: labqueue.Experiment) -> dict[str, float]:
            began = time.monotonic()
            experiment.wait(duration(experiment.code))
            measured = {"height": height(experiment.parameters)}
            lines.write(json.dumps({"began": began, "ended": time.monotonic()}) + "\n")
            lines.flush()
            return measured

        labqueue.serve(run, queue=QUEUE, instrument=name, url=url, spool=diary.with_suffix(".spool"))


@contextmanager
def adapters(url: str, home: Path) -> Iterator[list[Path]]:
    diaries = [home / f"adapter-{number}.jsonl" for number in range(ADAPTERS)]
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = []
    for diary in diaries:
        command = [sys.executable, "-m", "benchmarks.idle", "--adapter", url, diary.stem, str(diary)]
        with diary.with_suffix(".log").open("ab") as log:
            running.append(subprocess.Popen(command, env=environ, stdout=log, stderr=log))
    try:
        yield diaries
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)


def once(minutes: float) -> Waits:
    with folder() as home, Stack(settings_for(home)) as stack, Client(stack.url) as client:
        client.put_queue(QUEUE, on_lost="requeue")
        client.create_campaign(QUEUE, queue=QUEUE, problem=PROBLEM, seed=7)
        with adapters(stack.url, home) as diaries:
            while client.campaign(QUEUE)["model_version"] == 0 or _designing(client):
                time.sleep(1.0)
            start = time.monotonic()
            time.sleep(60 * minutes)
            end = time.monotonic()
        stale = [each["staleness"] for each in _claimed(client)]
        lives = diaries_of(diaries)  # the folder is gone after this
    return _waits(lives, start, end, [each for each in stale if each is not None])


def diaries_of(paths: list[Path]) -> list[list[tuple[float, float]]]:
    return [
        [(line["began"], line["ended"]) for line in map(json.loads, path.read_text().splitlines())]
        for path in paths
    ]


def _designing(client: Client) -> bool:
    """Is anything of the initial design still to be run?"""
    rows = client.experiments(QUEUE)
    return any(each["origin"] == "design" and each["state"] in ("staged", "leased") for each in rows)


def _claimed(client: Client) -> list[dict[str, Any]]:
    return [each for each in client.experiments(QUEUE) if each["origin"] == "suggester"]


def _waits(diaries: list[list[tuple[float, float]]], start: float, end: float, stale: list[float]) -> Waits:
    """An adapter counts from the first experiment that it began in this time to the last that it ended; one that began
    none waited all the time."""
    gaps: list[float] = []
    whole, ran = 0.0, 0
    for lines in diaries:
        inside = [each for each in lines if start <= each[0] and each[1] <= end]
        ran += len(inside)
        gaps += [later[0] - sooner[1] for sooner, later in pairwise(inside)] if inside else [end - start]
        whole += inside[-1][1] - inside[0][0] if inside else end - start
    return Waits(100 * sum(gaps) / whole, tuple(gaps), ran, sum(stale) / len(stale) if stale else math.nan)


def run(minutes: float = MINUTES, times: int = TIMES) -> list[Figure]:
    runs = []
    for number in range(times):
        found = once(minutes)
        runs.append(found)
        print(
            f"idle {number + 1}: {found.share:.2f} % of the time, {found.experiments} experiments, "
            f"gap p50 {1000 * percentile(found.gaps, 0.5):.0f} ms, p95 {1000 * percentile(found.gaps, 0.95):.0f} ms, "
            f"staleness {found.staleness:.1f}",
            flush=True,
        )
    shares = [each.share for each in runs]
    gaps = [gap for each in runs for gap in each.gaps]
    beside = (
        f"runs {', '.join(f'{each:.2f}' for each in shares)} %; {sum(each.experiments for each in runs)} experiments of "
        f"1 to 10 s, {len(runs)} x {minutes:g} min; staleness {median([each.staleness for each in runs]):.1f}"
    )
    return [
        Figure(
            "time that 8 adapters wait, median of the runs", median(shares), "%", most=ASKED, baseline=beside
        ),
        Figure("wait between two experiments, p95", 1000 * percentile(gaps, 0.95), "ms"),
    ]


def main() -> None:
    if sys.argv[1:2] == ["--adapter"]:
        adapter(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--times", type=int, default=TIMES)
    options = parser.parse_args()
    for each in run(options.minutes, options.times):
        print(f"{each.name}: {each.value:.3g} {each.unit} {each.asked} ({each.baseline})")


if __name__ == "__main__":
    main()
