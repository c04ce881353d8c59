"""The Redis side on a real server: readers, wake-ups and commands, across everything that Redis may do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from servers import Servers

from labqueue.errors import UnavailableError
from models.domain.records import Published
from services.broker import streams
from services.broker.commands import WAITING_LIMIT, CeleryCommands
from services.broker.connection import connect
from services.broker.publisher import RedisPublisher
from services.broker.subscriber import Numbered, Subscriber
from services.broker.wake import Wake
from services.embedded.valkey import Valkey
from services.settings import load

PATIENCE = 30.0


@pytest.fixture
def valkey(servers: Servers) -> Iterator[Valkey]:
    server = servers.new_valkey()
    yield server
    server.stop()


def batch(queue: str, *experiments: int) -> Published:
    return Published(queue, "batch", {"experiments": list(experiments)})


class Listening:
    """A subscriber at work: what it heard, and a way to wait until it heard it."""

    def __init__(self, url: str) -> None:
        self.subscriber = Subscriber(url)
        self.heard: list[tuple[str, list[int]]] = []
        self.numbers: list[int] = []

    async def run(self) -> None:
        async for queue, found in self.subscriber.listen():
            if isinstance(found, Numbered):
                self.numbers.append(found.number)
            else:
                self.heard.append((queue, found.body["experiments"]))

    async def hears(self, queue: str, *experiments: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while (queue, list(experiments)) not in self.heard:
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def listening(url: str) -> AsyncIterator[Listening]:
    reader = Listening(url)
    task = asyncio.create_task(reader.run())
    async with asyncio.timeout(PATIENCE):
        while not reader.subscriber.connected:
            await asyncio.sleep(0.01)
    yield reader
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not reader.subscriber.connected


def test_a_reader_hears_all_queues_from_now_on_also_those_that_begin_later(redis_url: str) -> None:
    async def scenario() -> None:
        publisher = RedisPublisher(redis_url)
        epoch = publisher.open_epoch()
        publisher.publish([batch("old", 1)], epoch)
        async with listening(redis_url) as reader:
            publisher.publish([batch("old", 2), batch("new queue", 3)], epoch)
            publisher.publish([batch("new queue", 4, 5)], epoch)
            await reader.hears("new queue", 4, 5)
            await reader.hears("old", 2)
            assert ("old", [1]) not in reader.heard
            assert [each for each in reader.heard if each[0] == "new queue"] == [
                ("new queue", [3]),
                ("new queue", [4, 5]),
            ]

    asyncio.run(scenario())


def test_a_reader_goes_on_after_flushall_and_after_the_server_was_killed(valkey: Valkey) -> None:
    async def scenario() -> None:
        publisher = RedisPublisher(valkey.url)
        epoch = publisher.open_epoch()
        async with listening(valkey.url) as reader:
            publisher.publish([batch("q", 1)], epoch)
            await reader.hears("q", 1)
            connect(valkey.url).flushall()
            publisher.publish([batch("q", 2)], publisher.open_epoch())
            await reader.hears("q", 2)
            valkey.kill()
            async with asyncio.timeout(PATIENCE):
                while reader.subscriber.connected:
                    await asyncio.sleep(0.01)
            valkey.start()
            publisher.publish([batch("q", 3)], publisher.open_epoch())
            await reader.hears("q", 3)

    asyncio.run(scenario())


def test_a_reader_is_not_left_behind_by_a_server_whose_clock_went_back(redis_url: str) -> None:
    async def scenario() -> None:
        client = connect(redis_url)
        later = f"{int(time.time() * 1000) + 3_600_000}-0"
        client.xadd(streams.stream("q"), streams.write("batch", {"experiments": [1]}, "e"), id=later)
        client.sadd(streams.QUEUES, "q")
        async with listening(redis_url) as reader:
            client.flushdb()
            RedisPublisher(redis_url).publish([batch("q", 2)], "e2")
            await reader.hears("q", 2)

    asyncio.run(scenario())


def test_what_is_no_entry_of_ours_is_passed_over(redis_url: str) -> None:
    async def scenario() -> None:
        publisher = RedisPublisher(redis_url)
        publisher.publish([batch("q", 1)], "e")
        client = connect(redis_url)
        async with listening(redis_url) as reader:
            for fields in ({"x": "y"}, {"kind": "batch", "body": "{"}, {"kind": "batch", "body": "[1]"}):
                client.xadd(streams.stream("q"), fields)
            client.xadd(streams.EVENTS, {"number": "-1"})
            publisher.publish([batch("q", 2)], "e")
            await reader.hears("q", 2)
            assert reader.heard == [("q", [2])]

    asyncio.run(scenario())


def test_events_wake_readers_in_other_processes(redis_url: str) -> None:
    async def scenario() -> None:
        async with listening(redis_url) as reader:
            Wake(redis_url).poke(17)
            async with asyncio.timeout(PATIENCE):
                while reader.numbers != [17]:
                    await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_a_wait_ends_with_a_poke_and_tells_the_newest_number(redis_url: str) -> None:
    waiting, other = Wake(redis_url), Wake(redis_url)
    other.poke(1)
    assert waiting.wait(0.01) is None, "what came before the first wait is not news"
    other.poke(2)
    other.poke(3)
    assert waiting.wait(PATIENCE) == 3
    assert waiting.wait(0.01) is None
    started = threading.Timer(0.05, other.poke, [4])
    started.start()
    assert waiting.wait(PATIENCE) == 4


def test_a_wait_survives_flushall_and_says_when_redis_is_away(valkey: Valkey) -> None:
    waiting, other = Wake(valkey.url), Wake(valkey.url)
    assert waiting.wait(0.01) is None
    connect(valkey.url).flushall()
    other.poke(1)
    assert waiting.wait(PATIENCE) == 1
    valkey.stop()
    with pytest.raises(UnavailableError):
        waiting.wait(PATIENCE)
    with pytest.raises(UnavailableError):
        other.poke(2)
    valkey.start()
    other.poke(3)
    assert waiting.wait(PATIENCE) == 3


def test_streams_are_trimmed_by_length_and_by_age(redis_url: str) -> None:
    client = connect(redis_url)
    publisher = RedisPublisher(redis_url)
    key = streams.stream("q")
    for _ in range(4):
        publisher.publish([batch("q", number) for number in range(500)], "e")
    assert client.xlen(key) < 1.3 * streams.STREAM_ENTRIES
    client.delete(key)
    old = int(time.time() * 1000) - 2 * streams.STREAM_SECONDS * 1000
    for number in range(300):
        client.xadd(key, {"kind": "batch", "body": "{}"}, id=f"{old}-{number}")
    RedisPublisher(redis_url).publish([batch("q", 1)], "e")
    assert client.xlen(key) < 150, "most of the entries of the day before yesterday are gone"


def test_commands_carry_ids_as_json_to_a_queue_of_their_own(redis_url: str) -> None:
    commands = CeleryCommands(load({"LABQUEUE_REDIS_URL": redis_url}))
    inquiry = uuid.uuid4()
    commands.send("train", 5)
    commands.send("inquire", inquiry)
    client = connect(redis_url)
    message = json.loads(client.lrange(f"{streams.CELERY}inquire", 0, -1)[0])
    assert message["content-type"] == "application/json"
    assert message["headers"]["task"] == "labqueue.inquire"
    assert message["headers"]["eta"] is None
    assert str(inquiry) in message["headers"]["argsrepr"]
    assert commands.waiting("train") == 1
    with pytest.raises(ValueError, match="train, suggest, inquire, notify"):
        commands.send("tarin", 5)


def test_commands_arrive_after_flushall_and_nobody_piles_them_up(redis_url: str) -> None:
    commands = CeleryCommands(load({"LABQUEUE_REDIS_URL": redis_url}))
    commands.send("train", 1)
    client = connect(redis_url)
    client.flushdb()
    commands.send("train", 2)
    assert commands.waiting("train") == 1
    client.rpush(f"{streams.CELERY}suggest", *["x"] * WAITING_LIMIT)
    with pytest.raises(UnavailableError, match="labqueue-server worker --queue suggest"):
        commands.send("suggest", 1)


def test_commands_say_when_redis_is_away_and_go_on_when_it_is_back(valkey: Valkey) -> None:
    commands = CeleryCommands(load({"LABQUEUE_REDIS_URL": valkey.url}))
    commands.send("train", 1)
    valkey.kill()
    with pytest.raises(UnavailableError):
        commands.send("train", 2)
    valkey.start()
    commands.send("train", 3)
    assert commands.waiting("train") >= 1


def test_a_server_that_never_answers_costs_seconds_not_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        for call in (RedisPublisher(url).epoch, lambda: Wake(url).poke(1)):
            with pytest.raises(UnavailableError):
                call()
