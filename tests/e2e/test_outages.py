"""Servers of ours die, together or in turn, while work goes on: nothing that was acknowledged is lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from adapters_for_tests import value
from servers import Servers
from whole import Whole, whole
from whole_lab import Lab, body_of

from labqueue.client import Client


@pytest.fixture
def own(servers: Servers) -> Iterator[Whole]:
    with whole(servers) as stack:
        yield stack


def test_our_downtime_of_five_leases_costs_none_of_twenty_runs_anything(own: Whole) -> None:
    lease = 2.0
    it = Lab(own, on_lost="hold", lease_seconds=lease)
    staged = it.stage(*[float(x) for x in range(20)])
    adapters = [it.adapter("cluster", f"cluster{each}", size=9) for each in range(2)]
    it.moved(18)
    adapters += [it.adapter("function", f"device{each}") for each in range(2)]
    it.moved(20)
    with own.down("postgres", "api"):
        began = time.monotonic()
        # Half of them end meanwhile: their results wait beside the instruments.
        it.own_gate("cluster0").touch()
        it.own_gate("device0").touch()
        own.until(lambda: time.monotonic() - began >= 5 * lease, "five leases are over")
        own.until(lambda: len(it.diary("ended")) == 10, "what was to end has ended")
    it.reaches("completed", *(each["experiment"] for each in it.diary("ended")))
    outages = "SELECT data FROM events WHERE type = 'server.outage'"
    # On a busy machine there may be shorter ones beside it.
    own.until(
        lambda: any(each["data"]["seconds"] >= 5 * lease for each in own.rows(outages)),
        "it is seen, as long as it was",
    )
    [latest] = own.rows("SELECT max(deadline) AS deadline FROM attempts WHERE state <> 'ended'")
    own.until(
        lambda: own.one("SELECT min(deadline) > %s FROM attempts WHERE state <> 'ended'", latest["deadline"]),
        "every lease was renewed by its holder since",
    )
    assert it.states() == {"completed": 10, "leased": 10}
    it.gate.touch()
    it.reaches("completed", *staged)
    assert all(it.ends(each) == ["completed"] for each in staged), "each as its first attempt"
    assert not {"held", "lost"} & {kind for each in staged for kind in it.event_types(each)}
    assert Counter(each["experiment"] for each in it.diary("moved")) == dict.fromkeys(staged, 1)
    assert sum(each.stop()["runs"] for each in adapters) == 20
    told = [entry.message for each in adapters for entry in each.told()]
    assert told == ["accepted"] * 20
    it.check_books()


@dataclass
class Robot:
    """A client that stages, claims, starts and reports, and writes down what it was told. Its requests are sent
    again until they are answered."""

    it: Lab
    name: str
    rounds: int
    staged: list[int] = field(default_factory=list)
    leases: dict[str, int] = field(default_factory=dict)
    verdicts: list[str] = field(default_factory=list)
    done: int = 0
    error: BaseException | None = None

    def run(self) -> None:
        try:
            with Client(self.it.whole.url, timeout=20.0, retry_for=100.0) as client:
                for number in range(self.rounds):
                    self.turn(client, number)
                    self.done += 1
        except BaseException as error:  # noqa: BLE001 - raised in the test's thread
            self.error = error

    def turn(self, client: Client, number: int) -> None:
        rows = [{"parameters": {"x": float(10 * number + each)}} for each in range(3)]
        answer = client.stage(self.it.name, rows, key=f"{self.name}-{number}")
        self.staged += [each["id"] for each in answer["experiments"]]
        name = f"{self.it.name}-{self.name}"
        taken = client.claim(
            self.it.queue, instrument=name, adapter=f"{name}.1", key=f"{name}-{number}", most=3, wait=1
        ).experiments
        if not taken:
            return
        self.leases.update({each.lease: each.experiment for each in taken})
        assert all(each.ok for each in client.start([each.lease for each in taken]))
        bodies = [body_of(each, y=value(each.parameters["x"])) for each in taken]
        self.verdicts += [each.verdict for each in client.post_results(bodies)]


def test_kill_9_of_every_part_in_turn_loses_nothing_that_was_acknowledged(own: Whole) -> None:
    it = Lab(own, on_lost="hold", lease_seconds=60)
    it.gate.touch()
    adapter = it.adapter(instrument="adapter")
    robots = [Robot(it, f"robot{each}", rounds=40) for each in range(3)]
    threads = [threading.Thread(target=each.run, daemon=True) for each in robots]
    for each in threads:
        each.start()

    def progress() -> int:
        return sum(each.done for each in robots)

    for number, victim in enumerate(("postgres", "api", "valkey", "janitor", "postgres", "api"), start=1):
        own.until(lambda number=number: progress() >= 18 * number, f"{number} sixths of the work are done")
        own.kill(victim)
    own.until(lambda: not any(each.is_alive() for each in threads), "all robots are through")
    for robot in robots:
        assert robot.error is None, robot.error
    staged = sorted(id for robot in robots for id in robot.staged)
    assert len(staged) == len(set(staged)) == 3 * 40 * 3
    it.reaches("completed", *staged)
    assert it.states() == {"completed": len(staged)}, "nothing was staged twice"
    claimed = Counter(id for robot in robots for id in robot.leases.values())
    assert set(claimed.values()) == {1}, "no two were given the same one"
    assert Counter(word for robot in robots for word in robot.verdicts).keys() <= {"accepted", "duplicate"}
    for each in staged:
        assert it.ends(each) == ["completed"] and it.verdicts(each) == ["accepted"]
    assert adapter.stop()["unsent"] == 0
    it.check_books()
