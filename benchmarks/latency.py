"""From staged (2xx) to claimed (reply), with one adapter that waits in a long poll."""

from __future__ import annotations

import random
import threading
import time
import uuid
from queue import SimpleQueue

from benchmarks.figures import Figure, percentile
from benchmarks.place import POINT, PROBLEM, STRATEGY, Commits, stack
from labqueue.client import Client

SAMPLES = 1000
SETTLE = (0.005, 0.025)  # seconds: the adapter's claim is on the server and waits by then


class Waiting:
    """An adapter in a thread: claims, says when the reply came, and reports a result."""

    def __init__(self, url: str, queue: str) -> None:
        self._url, self._queue = url, queue
        self.asking = threading.Semaphore(0)
        self.claimed: SimpleQueue[float] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with Client(self._url) as client:
            for number in range(SAMPLES):
                self.asking.release()
                found = client.claim(
                    self._queue, instrument="one", adapter="one.1", key=f"one-{number}", wait=60
                )
                self.claimed.put(time.perf_counter())
                for each in found.experiments:
                    result = {"id": str(uuid.uuid4()), "experiment": each.experiment, "lease": each.lease}
                    client.post_results([{**result, "outputs": {"yield": 0.87}}])


def run() -> list[Figure]:
    luck = random.Random(7)
    waits: list[float] = []
    with stack("api", "janitor") as running, Client(running.url) as client:
        client.put_queue("latency")
        client.create_campaign("latency", queue="latency", problem=PROBLEM, strategy=STRATEGY)
        commits = Commits(running.settings.database)
        adapter = Waiting(running.url, "latency")
        for _ in range(SAMPLES):
            adapter.asking.acquire()
            commits.sample()
            time.sleep(luck.uniform(*SETTLE))
            client.stage("latency", [{"parameters": POINT}])
            staged = time.perf_counter()
            waits.append((adapter.claimed.get(timeout=70) - staged) * 1000)
        commits.close()
    return [
        Figure(
            f"staged to claimed, p{share * 100:.0f} of {SAMPLES:,}",
            percentile(waits, share),
            "ms",
            most=2 * commits.p(share) + spare,
            baseline=str(commits),
        )
        for share, spare in ((0.5, 8.0), (0.99, 30.0))
    ]
