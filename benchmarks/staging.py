"""What it costs to stage one experiment through ALchemist's API, with ten and with ten thousand staged already.

Processor time of the API and of Postgres together; the two sessions take turns, so that both see the same machine.
"""

from __future__ import annotations

from statistics import median

import httpx
import psutil

from benchmarks.figures import Figure
from benchmarks.place import POINT, stack

FEW, MANY = 10, 10_000
BATCH, ROUNDS, CALLS = 500, 9, 60
RATIO = 1.2


def used() -> float:
    """Processor seconds of every process below this one, those that have ended included."""
    seconds = 0.0
    for each in psutil.Process().children(recursive=True):
        times = each.cpu_times()
        seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def session(http: httpx.Client, staged: int) -> str:
    """A session with so many staged."""
    at: str = f"sessions/{http.post('sessions', json={}).json()['session_id']}"
    for name, low, high in (("temperature", 20, 120), ("tau", 0.1, 10)):
        body = {"name": name, "type": "real", "min": low, "max": high}
        http.post(f"{at}/variables", json=body).raise_for_status()
    fill(http, at, staged)
    return at


def fill(http: httpx.Client, at: str, count: int) -> None:
    while count > 0:
        body = {"experiments": [POINT] * min(BATCH, count)}
        http.post(f"{at}/experiments/staged/batch", json=body).raise_for_status()
        count -= BATCH


def cost(http: httpx.Client, at: str) -> float:
    """Processor seconds of one staging."""
    began = used()
    for _ in range(CALLS):
        http.post(f"{at}/experiments/staged", json={"inputs": POINT}).raise_for_status()
    return (used() - began) / CALLS


def run() -> list[Figure]:
    few, many = [], []
    with stack("api") as running, httpx.Client(base_url=f"{running.url}/api/v1/", timeout=120) as http:
        short, long = session(http, FEW), session(http, MANY)
        cost(http, short)
        for _ in range(ROUNDS):
            http.delete(f"{short}/experiments/staged").raise_for_status()
            fill(http, short, FEW)
            few.append(cost(http, short))
            many.append(cost(http, long))
    ratio = median(after / before for before, after in zip(few, many, strict=True))
    return [
        Figure(f"processor time of a staging at {FEW}", median(few) * 1e3, "ms"),
        Figure(f"the same at {MANY:,}", median(many) * 1e3, "ms"),
        Figure(
            "the second beside the first",
            ratio,
            "x",
            most=RATIO,
            baseline=f"{ROUNDS} rounds of {CALLS}, in turns",
        ),
    ]
