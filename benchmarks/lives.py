"""Lives over HTTP: eight adapter processes stage, claim, start and report, singly and in batches of 50.

The adapters share the machine with the server. The server's processor time is that of the API process and its
children; Postgres, Redis and the janitor are not in it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import psutil

from benchmarks.figures import Figure
from benchmarks.place import PROBLEM, STRATEGY, Commits, stack
from labqueue.client import Client

ADAPTERS = 8
ROUNDS = 5
LIVES = {1: 30, 50: 200}  # of each adapter in each round
ASKED = {1: (100.0, 6.0), 50: (1000.0, 0.6)}


class Crew:
    """The adapter processes, told by a line what to do next."""

    def __init__(self, url: str, queue: str) -> None:
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.adapter", url, queue, f"bench-{number}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(ADAPTERS)
        ]
        self._hear("ready")

    def live(self, lives: int, many: int) -> float:
        """Seconds until each adapter has lived `lives` experiments, `many` at once."""
        began = time.perf_counter()
        for each in self._processes:
            assert each.stdin is not None
            each.stdin.write(f"{lives} {many}\n")
            each.stdin.flush()
        self._hear("done")
        return time.perf_counter() - began

    def _hear(self, word: str) -> None:
        for each in self._processes:
            assert each.stdout is not None
            heard = each.stdout.readline().strip()
            assert heard == word, f"an adapter said {heard!r}, not {word!r}"

    def end(self) -> None:
        for each in self._processes:
            each.kill()
            each.wait()


@contextmanager
def crew(url: str, queue: str) -> Iterator[Crew]:
    """A queue and a campaign of that name, and eight adapters that are ready."""
    with Client(url) as client:
        client.put_queue(queue)
        client.create_campaign(queue, queue=queue, problem=PROBLEM, strategy=STRATEGY)
    made = Crew(url, queue)
    try:
        yield made
    finally:
        made.end()


def processor_seconds(pid: int) -> float:
    """Of a process and its children, so far."""
    top = psutil.Process(pid)
    times = [each.cpu_times() for each in [top, *top.children(recursive=True)]]
    return sum(each.user + each.system for each in times)


def run() -> list[Figure]:
    figures = []
    with stack("api", "janitor") as running, crew(running.url, "lives") as adapters:
        api = running.supervisor.part("api").pid
        assert api is not None
        for many, (least, most) in ASKED.items():
            commits = Commits(running.settings.database)
            rates, costs = [], []
            for _ in range(ROUNDS):
                commits.sample(50)
                before = processor_seconds(api)
                seconds = adapters.live(LIVES[many], many)
                lives = LIVES[many] * ADAPTERS
                rates.append(lives / seconds)
                costs.append((processor_seconds(api) - before) * 1000 / lives)
            commits.close()
            how = "singly" if many == 1 else f"in batches of {many}"
            figures += [
                Figure(
                    f"lives over HTTP, {how}", median(rates), "lives/s", least=least, baseline=str(commits)
                ),
                Figure(f"server CPU, {how}", median(costs), "ms/life", most=most, baseline=str(commits)),
            ]
    return figures
