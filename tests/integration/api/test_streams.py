"""Server-sent events over real sockets: live, from any number, across lost connections and a lost Redis."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from api import Client, Lab, context_for, numbered, served, settings_for

from services.api import hub as hubs
from services.bootstrap import Context
from services.flow.dispatch import relay

pytestmark = pytest.mark.anyio

LONG = 60.0


class Stream:
    """Reads events off an open answer."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def next(self) -> dict[str, Any]:
        """{event, id, data}; comments are skipped."""
        found: dict[str, Any] = {}
        async with asyncio.timeout(LONG):
            async for line in self._lines:
                if not line and "data" in found:
                    return found
                name, _, text = line.partition(": ")
                if name:
                    found[name] = json.loads(text) if name == "data" else text
        raise AssertionError("the stream ended")

    async def until(self, kind: str) -> dict[str, Any]:
        while (found := await self.next())["event"] != kind:
            continue
        return found


@asynccontextmanager
async def stream(client: Client, path: str, **headers: str) -> AsyncIterator[Stream]:
    async with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Stream(answer)


@pytest.fixture
def url(context: Context) -> Iterator[str]:
    with served(context) as address:
        yield address


@pytest.fixture
async def client(url: str) -> AsyncIterator[Client]:
    async with Client(base_url=f"{url}/api/v1", timeout=LONG) as made:
        yield made


async def test_events_from_the_first_and_as_they_come(client: Client, lab: Lab) -> None:
    async with stream(client, "/events/stream?after=0") as events:
        assert (await events.next())["event"] == "queue.defined"
        assert (await events.next())["event"] == "campaign.created"
        (experiment,) = await lab.stage(1)
        staged = await events.next()
        assert (staged["event"], staged["id"]) == ("experiment.staged", "3")
        assert (staged["data"]["experiment"], staged["data"]["campaign"]) == (experiment, "lab")
        await lab.claim()
        assert (await events.next())["event"] == "experiment.claimed"


async def test_events_go_on_where_the_client_was_cut_off(context: Context, client: Client, lab: Lab) -> None:
    await lab.stage(1, 2, 3)
    await numbered(context)
    async with stream(client, "/events/stream") as events:
        first = [await events.next() for _ in range(3)]
    async with stream(client, "/events/stream", **{"Last-Event-ID": first[-1]["id"]}) as events:
        rest = [await events.next() for _ in range(2)]
    assert [each["id"] for each in first + rest] == ["1", "2", "3", "4", "5"]
    await client.refused(422, "invalid", "GET", "/events/stream", headers={"Last-Event-ID": "x"})


async def test_events_of_one_campaign(context: Context, client: Client, lab: Lab) -> None:
    other = await Lab.make(client, "other")
    await other.stage(1)
    await lab.stage(1)
    await numbered(context)
    async with stream(client, "/events/stream?campaign=other") as events:
        seen = [await events.next() for _ in range(2)]
        await lab.stage(2)
        await other.stage(2)
        seen.append(await events.next())
    assert [each["event"] for each in seen] == ["campaign.created", "experiment.staged", "experiment.staged"]
    assert {each["data"]["campaign"] for each in seen} == {"other"}
    await client.refused(404, "not_found", "GET", "/events/stream?campaign=ohter")


async def test_who_is_far_behind_reads_from_postgres(
    context: Context, lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory holds only the newest events; nobody misses any."""
    monkeypatch.setattr(hubs, "RING", 3)
    with served(context) as address:
        async with Client(base_url=f"{address}/api/v1", timeout=LONG) as narrow:
            await Lab(narrow, "lab").stage(*range(10))
            await numbered(context)
            async with stream(narrow, "/events/stream") as events:
                seen = [await events.next() for _ in range(12)]
    assert [int(each["id"]) for each in seen] == list(range(1, 13))


async def test_events_of_other_processes(context: Context, lab: Lab, url: str, client: Client) -> None:
    with context_for(context.settings) as other, served(other) as address:
        elsewhere = Client(base_url=f"{address}/api/v1", timeout=LONG)
        async with elsewhere, stream(elsewhere, "/events/stream?after=2") as events:
            (experiment,) = await lab.stage(1)
            assert (await events.until("experiment.staged"))["data"]["experiment"] == experiment


async def test_batches_as_they_are_staged(client: Client, lab: Lab) -> None:
    first = await lab.stage(1, 2)
    async with stream(client, f"/queues/{lab.queue}/batches") as batches:
        seen = await until_ids(batches, first)
        assert seen["data"]["campaign"] == "lab" and seen["data"]["epoch"] and seen["id"]
        assert seen["data"]["experiments"][0]["parameters"] == {"tau": 1.0, "solvent": "water"}
        second = await lab.stage(3)
        seen = await until_ids(batches, second)
        await client.ok("POST", f"/experiments/{second[0]}/cancel", {"reason": "x"})
        assert (await batches.until("withdrawn"))["data"]["experiments"] == second
    third = await lab.stage(4)
    async with stream(client, f"/queues/{lab.queue}/batches", **{"Last-Event-ID": seen["id"]}) as batches:
        kinds = [await batches.next(), await batches.next()]
    assert kinds[0]["event"] == "withdrawn"
    assert [each["id"] for each in kinds[1]["data"]["experiments"]] == third
    await client.refused(404, "not_found", "GET", "/queues/nothing/batches")
    await client.refused(
        422, "invalid", "GET", f"/queues/{lab.queue}/batches", headers={"Last-Event-ID": "7"}
    )


async def test_batches_after_redis_lost_everything(
    context: Context, redis_url: str, client: Client, lab: Lab
) -> None:
    first = await lab.stage(1)
    async with stream(client, f"/queues/{lab.queue}/batches") as batches:
        await until_ids(batches, first)
        with redis.Redis.from_url(redis_url) as server:
            server.flushdb()
        assert context.publisher is not None
        await asyncio.to_thread(relay, context.store, context.publisher)
        await until_ids(batches, first)
        second = await lab.stage(2)
        await until_ids(batches, second)


async def test_batches_without_redis(postgres_url: str, home: Path) -> None:
    with context_for(settings_for(postgres_url, home)) as context, served(context) as address:
        async with Client(base_url=f"{address}/api/v1", timeout=LONG) as client:
            lab = await Lab.make(client)
            async with stream(client, f"/queues/{lab.queue}/batches") as batches:
                experiments = await lab.stage(1, 2)
                seen = await until_ids(batches, experiments)
                assert seen["data"]["campaign"] == "lab" and "id" not in seen
                ready = (await client.get(f"{address}/readyz")).json()
                assert ready["status"] == "degraded" and "does not answer" in ready["dependencies"]["redis"]


async def test_streams_end_when_the_server_stops(context: Context) -> None:
    async with Client(timeout=LONG) as client:
        with served(context) as address:
            opened = client.stream("GET", f"{address}/api/v1/events/stream")
            answer = await opened.__aenter__()
        async with asyncio.timeout(LONG):
            assert deque([line async for line in answer.aiter_lines()], maxlen=1) is not None
        await opened.__aexit__(None, None, None)


async def until_ids(batches: Stream, ids: list[int]) -> dict[str, Any]:
    """The batch that holds exactly these; others are doubles."""
    while True:
        found = await batches.until("batch")
        if [each["id"] for each in found["data"]["experiments"]] == ids:
            return found
