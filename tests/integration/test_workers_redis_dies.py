"""A worker hears the next command, in the same processes, whenever Redis died and whatever it forgot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import psutil
import psycopg
import pytest
from lab import IDS, Part, running, settings_for, until
from servers import Servers

from services.broker.commands import CeleryCommands
from services.embedded.valkey import Valkey
from services.flow.notify import add_webhook
from services.settings import Settings
from services.store.postgres import PostgresStore

pytestmark = pytest.mark.timeout(300)

#: Its commands need no model: this worker is there within seconds.
NOTIFIER = ("workers", "--queue", "notify")


@pytest.fixture
def valkey(servers: Servers) -> Iterator[Valkey]:
    server = servers.new_valkey()
    yield server
    server.stop()


@pytest.fixture
def settings(postgres_url: str, valkey: Valkey, home: Path) -> Settings:
    return settings_for(postgres_url, valkey.url, home)


@pytest.fixture
def commands(settings: Settings) -> Iterator[CeleryCommands]:
    """What is sent here is sent once: no janitor runs that would send it again."""
    made = CeleryCommands(settings)
    yield made
    made.close()


@pytest.fixture
def hooks(postgres_url: str) -> Iterator[list[UUID]]:
    """Webhooks for commands to name. They want no event, so nothing is posted."""
    store = PostgresStore(postgres_url, pool_size=1)
    url = "http://127.0.0.1:1/"
    yield [add_webhook(store, IDS, url, ["nothing."], None, "person:anna").id for _ in range(6)]
    store.close()


@contextmanager
def gate(postgres_url: str, hook: UUID, commands: CeleryCommands) -> Iterator[None]:
    """While it lasts, a command about `hook` runs and waits for the webhook's row."""
    with psycopg.connect(postgres_url) as database:
        database.execute("SELECT FROM webhooks WHERE id = %s FOR UPDATE", [hook])
        commands.send("notify", hook)
        until(
            lambda: (
                database.execute(
                    "SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
                ).rowcount
            ),
            "the command waits for the row",
        )
        yield


def ended(*workers: Part) -> list[UUID]:
    """What the commands that came to an end were about, in their order (worker by worker)."""
    lines = [line for each in workers for line in each.text.split("\n")[:-1] if line.startswith("{")]
    found = [json.loads(line) for line in lines]
    return [UUID(each["argument"]) for each in found if each["event"] == "command"]


def executes(worker: Part, commands: CeleryCommands, hook: UUID) -> None:
    commands.send("notify", hook)
    until(lambda: hook in ended(worker), "the command is executed")


def processes(worker: Part) -> list[int]:
    """The worker and its pool process."""
    return [worker.process.pid, *(each.pid for each in psutil.Process(worker.process.pid).children())]


def back(valkey: Valkey) -> None:
    """Start it again, on the same socket and without its data."""
    for file in (valkey.data / "appendonlydir").glob("*"):
        file.unlink()
    valkey.start()


def test_redis_dies_while_a_command_runs_and_is_back_after_its_end(
    valkey: Valkey, settings: Settings, postgres_url: str, commands: CeleryCommands, hooks: list[UUID]
) -> None:
    with running(settings, NOTIFIER) as [worker]:
        with gate(postgres_url, hooks[0], commands):
            before = processes(worker)
            valkey.kill()
        until(lambda: hooks[0] in ended(worker), "the command ends without Redis")
        # Before Redis is back, or the worker might never meet with its absence.
        worker.says("Cannot connect")
        back(valkey)
        executes(worker, commands, hooks[1])
        assert ended(worker) == hooks[:2]
        assert processes(worker) == before


def test_redis_dies_and_is_back_while_a_command_runs_and_the_next_is_sent_meanwhile(
    valkey: Valkey, settings: Settings, postgres_url: str, commands: CeleryCommands, hooks: list[UUID]
) -> None:
    with running(settings, NOTIFIER) as [worker]:
        with gate(postgres_url, hooks[0], commands):
            before = processes(worker)
            valkey.kill()
            back(valkey)
            commands.send("notify", hooks[1])
        until(lambda: hooks[1] in ended(worker), "the second command is executed")
        executes(worker, commands, hooks[2])
        assert ended(worker) == hooks[:3], "each once, in their order"
        assert processes(worker) == before


def test_redis_dies_and_is_back_while_nothing_runs(
    valkey: Valkey, settings: Settings, commands: CeleryCommands, hooks: list[UUID]
) -> None:
    with running(settings, NOTIFIER) as [worker]:
        executes(worker, commands, hooks[0])
        before = processes(worker)
        for hook in hooks[1:3]:
            valkey.kill()
            back(valkey)
            executes(worker, commands, hook)
        assert processes(worker) == before


def test_no_command_waits_behind_a_long_one_while_another_worker_is_free(
    settings: Settings, postgres_url: str, commands: CeleryCommands, hooks: list[UUID]
) -> None:
    with running(settings, NOTIFIER, NOTIFIER) as workers:
        with gate(postgres_url, hooks[0], commands):
            for hook in hooks[1:]:
                commands.send("notify", hook)
            until(lambda: sorted(ended(*workers)) == sorted(hooks[1:]), "all others are executed")
        until(lambda: hooks[0] in ended(*workers), "the long one ends")
