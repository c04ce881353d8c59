"""Ten thousand staged experiments, published again after Redis has lost everything."""

from __future__ import annotations

import time
from typing import Any

import redis

from benchmarks.figures import Figure
from benchmarks.place import POINT, PROBLEM, STRATEGY, Commits, stack
from labqueue.client import Client
from services.broker import streams

STAGED = 10_000
BATCH = 500
PATIENCE = 120.0


def published(client: Any, queue: str) -> set[int]:
    """The experiments that a subscriber finds in the queue's stream."""
    entries = [streams.read(fields) for _, fields in client.xrange(streams.stream(queue))]
    return {
        int(one["id"]) for each in entries if each is not None for one in each.body.get("experiments", ())
    }


def await_published(client: Any, queue: str) -> float:
    """Seconds until all of them are there."""
    began = time.perf_counter()
    while len(published(client, queue)) < STAGED:
        if time.perf_counter() - began > PATIENCE:
            raise TimeoutError(f"only {len(published(client, queue)):,} of {STAGED:,} were published")
        time.sleep(0.05)
    return time.perf_counter() - began


def run() -> list[Figure]:
    with stack("api", "janitor") as running, Client(running.url, timeout=60) as client:
        commits = Commits(running.settings.database)
        commits.sample(200)
        client.put_queue("again")
        client.create_campaign("again", queue="again", problem=PROBLEM, strategy=STRATEGY)
        for _ in range(STAGED // BATCH):
            client.stage("again", [{"parameters": POINT}] * BATCH)
        with redis.Redis.from_url(running.settings.redis, decode_responses=True) as broker:
            await_published(broker, "again")
            broker.flushall()
            seconds = await_published(broker, "again")
        commits.close()
    return [Figure(f"{STAGED:,} published again", seconds, "s", most=10.0, baseline=str(commits))]
