"""One adapter as a process of its own, for the benchmark of lives over HTTP.

    python -m benchmarks.adapter URL QUEUE INSTRUMENT

Then, a line at a time on stdin: "LIVES MANY" lives that many experiments, `MANY` at once, and prints "done".
"""

from __future__ import annotations

import sys
import uuid
from typing import Any

from labqueue.answers import Assignment
from labqueue.client import Client

POINT = {"temperature": 80.0, "tau": 1.5}


def live(client: Client, queue: str, instrument: str, many: int) -> None:
    """Stages `many` experiments, claims as many, starts them, and reports their results.

    A claim that meets others may get fewer than there are: then the rest is claimed by another one.
    """
    client.stage(queue, [{"parameters": POINT}] * many)
    while many > 0:
        key = f"{instrument}-{uuid.uuid4()}"
        found = client.claim(
            queue, instrument=instrument, adapter=f"{instrument}.1", key=key, most=many, wait=10
        )
        leased = found.experiments
        assert leased, found.reason
        client.start([each.lease for each in leased])
        judged = client.post_results([result(each) for each in leased])
        assert len(judged) == len(leased) and all(each.verdict == "accepted" for each in judged), judged
        many -= len(leased)


def result(leased: Assignment) -> dict[str, Any]:
    named = {"id": str(uuid.uuid4()), "experiment": leased.experiment, "lease": leased.lease}
    return {**named, "outputs": {"yield": 0.87}}


def main() -> None:
    url, queue, instrument = sys.argv[1:]
    with Client(url) as client:
        live(client, queue, instrument, 1)
        print("ready", flush=True)
        for line in sys.stdin:
            lives, many = map(int, line.split())
            for _ in range(lives // many):
                live(client, queue, instrument, many)
            print("done", flush=True)


if __name__ == "__main__":
    main()
