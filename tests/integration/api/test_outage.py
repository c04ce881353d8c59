"""Postgres and Redis go away and come back: 503 meanwhile, and everything goes on without a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from api import Client, Lab, context_for, in_process, settings_for
from servers import Servers

from services.store.migrate import upgrade

pytestmark = pytest.mark.anyio

LONG = 60.0


@pytest.fixture
def own(servers: Servers) -> tuple[Any, Any]:
    """Servers of the test's own, to be killed. Started here: the main thread must."""
    postgres, valkey = servers.new_postgres(), servers.new_valkey()
    upgrade(postgres.url)
    return postgres, valkey


async def test_postgres_is_killed_and_comes_back(own: tuple[Any, Any], home: Path) -> None:
    postgres, valkey = own
    with context_for(settings_for(postgres.url, home, valkey.url)) as context:
        async with in_process(context) as client:
            lab = await Lab.make(client)
            await lab.stage(1)
            held = await lab.begin()
            waiting = asyncio.create_task(
                client.post(
                    f"/queues/{lab.queue}/claims", json=lab.claiming(wait=LONG, instrument="b", adapter="b.1")
                )
            )
            await asyncio.sleep(0)
            postgres.kill()
            answer = await client.get("/queues")
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert (await client.get("http://localhost/readyz")).status_code == 503
            postgres.start()
            await eventually(client, "/queues")
            assert (await lab.report(held["experiment"], held["lease"]))["verdict"] == "accepted"
            (experiment,) = await lab.stage(2)
            async with asyncio.timeout(LONG):
                answer = await waiting
                got = (
                    answer.json()["experiments"] if answer.status_code == 200 else await lab.claim(wait=LONG)
                )
            assert [each["experiment"] for each in got] == [experiment]
            await events_reach(client, experiment)


async def test_redis_is_killed_and_comes_back(own: tuple[Any, Any], home: Path) -> None:
    postgres, valkey = own
    settings = settings_for(postgres.url, home, valkey.url)
    with context_for(settings) as one, context_for(settings) as two:
        async with in_process(one) as here, in_process(two) as there:
            lab = await Lab.make(here)
            valkey.kill()
            for _ in range(2):
                asked = asyncio.create_task(Lab(there, "lab").claimed(wait=LONG, key=f"k{_}"))
                (experiment,) = await lab.stage(1)
                async with asyncio.timeout(LONG):
                    assert [each["experiment"] for each in (await asked)["experiments"]] == [experiment]
                valkey.start()


async def eventually(client: Client, path: str) -> None:
    async with asyncio.timeout(LONG):
        while (await client.get(path)).status_code != 200:
            await asyncio.sleep(0.05)


async def events_reach(client: Client, experiment: int) -> None:
    async with asyncio.timeout(LONG):
        while not (await client.ok("GET", f"/events?experiment={experiment}"))["items"]:
            await asyncio.sleep(0.02)
