"""The Publisher port: one suite for the real thing and the fake."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pytest
from fake_broker import FakePublisher
from servers import Servers

from labqueue.errors import UnavailableError
from models.domain.records import Published
from services.broker import streams
from services.broker.connection import connect
from services.broker.publisher import RedisPublisher
from services.broker.streams import Entry
from services.ports import Publisher


class Bench(Protocol):
    """A publisher, and what may happen to its server."""

    @property
    def publisher(self) -> Publisher: ...
    def entries(self, queue: str) -> list[Entry]: ...
    def flush(self) -> None: ...
    def restart(self) -> None: ...
    def go_away(self) -> None: ...
    def come_back(self) -> None: ...


class FakeBench(FakePublisher):
    @property
    def publisher(self) -> Publisher:
        return self


class RedisBench:
    def __init__(self, servers: Servers) -> None:
        self.server = servers.new_valkey()
        self.client = connect(self.server.url)
        self._publisher = RedisPublisher(self.server.url)

    @property
    def publisher(self) -> Publisher:
        return self._publisher

    def entries(self, queue: str) -> list[Entry]:
        found = [streams.read(fields) for _, fields in self.client.xrange(streams.stream(queue))]
        return [entry for entry in found if entry is not None]

    def flush(self) -> None:
        self.client.flushall()

    def restart(self) -> None:
        self.server.stop()
        self.server.start()

    def go_away(self) -> None:
        self.server.stop()

    def come_back(self) -> None:
        self.server.start()


@pytest.fixture(params=["fake", "redis"])
def bench(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Bench]:
    made: Bench = FakeBench() if request.param == "fake" else RedisBench(servers)
    yield made
    if isinstance(made, RedisBench):
        made.server.stop()


def batch(queue: str, *experiments: int) -> Published:
    return Published(queue, "batch", {"batch": "b", "experiments": [{"id": each} for each in experiments]})


def test_an_empty_server_has_no_epoch_until_one_is_opened(bench: Bench) -> None:
    assert bench.publisher.epoch() is None
    opened = bench.publisher.open_epoch()
    assert bench.publisher.epoch() == opened


def test_every_epoch_is_new(bench: Bench) -> None:
    first = bench.publisher.open_epoch()
    assert bench.publisher.open_epoch() != first


def test_the_epoch_is_gone_with_the_data(bench: Bench) -> None:
    bench.publisher.open_epoch()
    bench.flush()
    assert bench.publisher.epoch() is None


def test_another_run_of_the_server_is_another_epoch(bench: Bench) -> None:
    before = bench.publisher.open_epoch()
    bench.restart()
    after = bench.publisher.epoch()
    assert after is not None
    assert after != before


def test_entries_come_in_order_with_their_epoch(bench: Bench) -> None:
    epoch = bench.publisher.open_epoch()
    entries = [batch("q", 1, 2), batch("other", 3), Published("q", "withdrawn", {"experiments": [2]})]
    bench.publisher.publish(entries, epoch)
    bench.publisher.publish([batch("q", 4)], epoch)
    found = bench.entries("q")
    assert [(entry.kind, entry.count, entry.epoch) for entry in found] == [
        ("batch", 2, epoch),
        ("withdrawn", 1, epoch),
        ("batch", 1, epoch),
    ]
    assert [entry.body["experiments"] for entry in bench.entries("other")] == [[{"id": 3}]]


@pytest.mark.parametrize("name", ["hplc 2", "a:batches", "Säule/β*", "{x}", "100 %", "labqueue"])
def test_a_queue_may_have_any_printable_name(bench: Bench, name: str) -> None:
    bench.publisher.publish([batch(name, 1)], bench.publisher.open_epoch())
    assert len(bench.entries(name)) == 1
    assert bench.publisher.epoch() is not None


def test_many_entries_in_one_call_keep_their_order(bench: Bench) -> None:
    epoch = bench.publisher.open_epoch()
    bench.publisher.publish([batch("q", number) for number in range(250)], epoch)
    assert [entry.body["experiments"][0]["id"] for entry in bench.entries("q")] == list(range(250))


def test_a_server_that_is_away_is_said_so_and_found_again(bench: Bench) -> None:
    epoch = bench.publisher.open_epoch()
    bench.go_away()
    for call in (
        bench.publisher.epoch,
        bench.publisher.open_epoch,
        lambda: bench.publisher.publish([batch("q", 1)], epoch),
    ):
        with pytest.raises(UnavailableError):
            call()
    bench.come_back()
    bench.publisher.publish([batch("q", 1)], bench.publisher.open_epoch())
    assert len(bench.entries("q")) == 1
