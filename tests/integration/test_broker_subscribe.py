"""docs/subscribe.md is executed: nothing but redis-py and HTTP sees each batch and claims it by id."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from lab import JANITOR, Part, campaign, running, settings_for, until
from servers import Servers

from labqueue.states import State
from services.bootstrap import SystemIds
from services.embedded.stack import free_port
from services.embedded.valkey import Valkey
from services.flow.stage import StageItem, StageRequest, stage
from services.store.postgres import PostgresStore

PAGE = (Path(__file__).parents[2] / "docs" / "subscribe.md").read_text()
IDS = SystemIds()


def block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.fixture
def valkey(servers: Servers) -> Iterator[Valkey]:
    server = servers.new_valkey()
    yield server
    server.stop()


def ready(part: Part, port: int) -> bool:
    assert part.process.poll() is None, part.text
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except OSError:
        return False


def test_the_program_of_the_page_runs_what_is_staged_also_across_flushall(
    postgres_url: str, valkey: Valkey, home: Path
) -> None:
    store = PostgresStore(postgres_url, pool_size=2)
    port = free_port("127.0.0.1")
    settings = settings_for(postgres_url, valkey.url, home, LABQUEUE_PORT=str(port))
    queue = "flow reactor: Säule 2"
    mine = campaign(store, queue=queue, method="caller")

    def staged(*values: float) -> None:
        items = tuple(StageItem({"x": value}) for value in values)
        stage(store, IDS, StageRequest("tiny", str(IDS.uuid()), items), "person:anna")

    def completed() -> int:
        with store.begin() as tx:
            return tx.experiments.counts(mine.id).get(State.COMPLETED, 0)

    administrator = redis.Redis.from_url(valkey.url)
    administrator.execute_command(*block("redis").split())
    environ = {
        **os.environ,
        "QUEUE": queue,
        "LABQUEUE_URL": f"http://127.0.0.1:{port}",
        "LABQUEUE_REDIS_URL": valkey.url.replace("unix://", "unix://subscriber:choose-a-password@"),
    }
    with running(settings, JANITOR, ("services.api",)) as [_, api]:
        until(lambda: ready(api, port), "the API answers")
        staged(1.0, 2.0)
        program = subprocess.Popen(
            [sys.executable, "-c", block("python")], env=environ, stderr=subprocess.PIPE, text=True
        )
        try:
            until(lambda: completed() == 2 or program.poll() is not None, "what was there is run")
            staged(3.0)
            until(lambda: completed() == 3 or program.poll() is not None, "what comes is run")
            administrator.flushall()
            staged(4.0, 5.0)
            until(lambda: completed() == 5 or program.poll() is not None, "what came after FLUSHALL is run")
        finally:
            program.kill()
            _, errors = program.communicate()
        assert completed() == 5, errors
        with store.begin() as tx:
            assert {each.name for each in tx.instruments.all()} == {"subscriber-1"}
    store.close()


def test_the_user_of_the_page_reads_batches_and_nothing_else(valkey: Valkey) -> None:
    administrator = redis.Redis.from_url(valkey.url, decode_responses=True)
    administrator.execute_command(*block("redis").split())
    administrator.xadd("labqueue:q:batches", {"kind": "batch", "body": "{}"})
    administrator.set("labqueue:epoch", "secret")
    url = valkey.url.replace("unix://", "unix://subscriber:choose-a-password@")
    subscriber = redis.Redis.from_url(url, decode_responses=True)
    assert subscriber.xread({"labqueue:q:batches": "0"})
    for forbidden in (
        lambda: subscriber.get("labqueue:epoch"),
        lambda: subscriber.xadd("labqueue:q:batches", {"kind": "batch"}),
        lambda: subscriber.xread({"labqueue:celery:train": "0"}),
        lambda: subscriber.delete("labqueue:q:batches"),
        subscriber.flushall,
        lambda: subscriber.config_get("*"),
        lambda: subscriber.publish("x", "y"),
    ):
        with pytest.raises(redis.exceptions.NoPermissionError):
            forbidden()
