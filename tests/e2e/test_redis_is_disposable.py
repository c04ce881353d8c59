"""Redis is killed, emptied, deleted and away: staging, claims and results go on, and streams fill again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from adapters_for_tests import value
from whole import Whole
from whole_lab import Lab, body_of

from services.broker import streams

AWAY = 30.0  # seconds: longer than any part of ours waits for a connection


@pytest.fixture
def valkey(shared: Whole) -> Iterator[Any]:
    with redis.Redis.from_url(shared.stack.settings.redis, decode_responses=True) as client:
        yield client


def published(client: Any, it: Lab) -> list[list[int]]:
    """What a subscriber of the queue's stream sees: the ids of each batch, in order."""
    found = [streams.read(fields) for _, fields in client.xrange(streams.stream(it.queue))]
    return [[each["id"] for each in one.body["experiments"]] for one in found if one and one.kind == "batch"]


def last_ids(client: Any, it: Lab, count: int) -> list[int]:
    return [id for batch in published(client, it) for id in batch][-count:]


def measured_by_hand(it: Lab, *xs: float) -> None:
    """Staged, claimed, started and reported without any adapter."""
    staged = it.stage(*xs)
    taken = it.claim(len(xs))
    assert [each.experiment for each in taken] == staged
    assert all(each.ok for each in it.client.start([each.lease for each in taken]))
    judged = it.client.post_results([body_of(each, y=value(each.parameters["x"])) for each in taken])
    assert [each.verdict for each in judged] == ["accepted"] * len(xs)
    assert [each.state for each in judged] == ["completed"] * len(xs)


def test_work_goes_on_while_redis_is_away(lab: Callable[..., Lab], shared: Whole, valkey: Any) -> None:
    it = lab(lease_seconds=2)
    it.gate.touch()
    robot = it.adapter()
    it.reaches("completed", *it.stage(1.0))
    with shared.down("valkey"):
        began, number = time.monotonic(), 1
        while time.monotonic() - began < AWAY:
            # The robot waits in a long poll: it is woken without Redis as well.
            it.reaches("completed", *it.stage(float(number % 1000)))
            number += 1
        held = it.client.ready()
        assert held["status"] == "degraded" and held["dependencies"]["postgres"] == "ok"
    shared.until(lambda: it.client.ready()["status"] == "ok", "Redis is seen again")
    it.reaches("completed", *it.stage(5.0))
    assert robot.stop()["runs"] == number + 1
    assert set(it.states()) == {"completed"} and len(it.diary("moved")) == number + 1


@pytest.mark.parametrize("fault", ["flushed", "killed", "deleted"])
def test_what_a_queue_holds_is_published_again_in_its_stored_order(
    lab: Callable[..., Lab], shared: Whole, valkey: Any, fault: str
) -> None:
    it = lab(lease_seconds=60)
    staged = it.stage(*[float(x) for x in range(8)])
    first = it.client.change_experiment(staged[5], priority=9)["id"]
    gone = it.claim(2)
    assert [each.experiment for each in gone] == [first, staged[0]]
    left = [id for id in staged if id not in (first, staged[0])]
    shared.until(
        lambda: set(staged) <= {id for batch in published(valkey, it) for id in batch}, "it is published"
    )
    if fault == "flushed":
        valkey.flushall()
    elif fault == "killed":
        with shared.down("valkey"):
            measured_elsewhere = lab(lease_seconds=60)
            measured_by_hand(measured_elsewhere, 1.0, 2.0)
    else:
        data = shared.home / "valkey"
        with shared.down("valkey"):
            shutil.rmtree(data)
            measured_elsewhere = lab(lease_seconds=60)
            measured_by_hand(measured_elsewhere, 1.0, 2.0)
    shared.until(lambda: last_ids(valkey, it, len(left)) == left, "published again, in the stored order")
    # A subscriber claims what it saw by its id: the claim in Postgres decides.
    seen = last_ids(valkey, it, len(left))
    assert [each.experiment for each in it.claim(1, experiments=[seen[2]])] == [seen[2]]
    assert it.claim(1, instrument="late", experiments=[seen[2]]) == [], "somebody was faster"
    assert [each.experiment for each in it.claim(9)] == [id for id in left if id != seen[2]]
