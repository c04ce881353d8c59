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

#: Commands that need no model: this worker is there within seconds.
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
def hooks(postgres_url: str) -> Iterator[list[UUID]]:
    """Webhooks to name in commands. They want no event, so nothing is posted."""
    store = PostgresStore(postgres_url, pool_size=1)
    yield [
        add_webhook(store, IDS, "http://127.0.0.1:1/", ["nothing."], None, "person:anna").id for _ in range(6)
    ]
    store.close()


@contextmanager
def gate(postgres_url: str, hook: UUID) -> Iterator[psycopg.Connection]:
    """While it lasts, a command about `hook` waits for the webhook's row."""
    with psycopg.connect(postgres_url) as database:
        database.execute("SELECT FROM webhooks WHERE id = %s FOR UPDATE", [hook])
        yield database


def hold(commands: CeleryCommands, database: psycopg.Connection, hook: UUID) -> None:
    """Send a command about `hook` and wait until a worker stands at the gate."""
    commands.send("notify", hook)
    until(
        lambda: database.execute(
            "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        ).fetchone(),
        "the command waits at the gate",
    )


def ended(*workers: Part) -> list[UUID]:
    """What the commands were about that came to an end, in their order."""
    lines = [json.loads(line) for each in workers for line in each.text.splitlines() if line.startswith("{")]
    return [UUID(line["argument"]) for line in lines if line["event"] == "command"]


def executes(worker: Part, commands: CeleryCommands, hook: UUID) -> None:
    """Sent once, for nobody sends again here."""
    commands.send("notify", hook)
    until(lambda: hook in ended(worker), "the command is executed")


def processes(worker: Part) -> list[int]:
    """The worker and its pool process."""
    return [worker.process.pid, *(each.pid for each in psutil.Process(worker.process.pid).children())]


def forget(valkey: Valkey) -> None:
    for file in (valkey.data / "appendonlydir").glob("*"):
        file.unlink()


def test_redis_is_away_when_a_command_ends(
    valkey: Valkey, settings: Settings, postgres_url: str, hooks: list[UUID]
) -> None:
    commands = CeleryCommands(settings)
    with running(settings, NOTIFIER) as [worker]:
        for round in (0, 2):
            with gate(postgres_url, hooks[round]) as database:
                hold(commands, database, hooks[round])
                before, said = processes(worker), worker.text.count("\n")
                valkey.kill()
            until(lambda id=hooks[round]: id in ended(worker), "the command ends without Redis")
            # Not before the worker has met with its absence, or it would find the next one and notice nothing.
            until(
                lambda said=said: any(
                    words in "\n".join(worker.text.splitlines()[said:])
                    for words in ("Cannot connect", "Couldn't ack")
                ),
                "the worker notices that Redis is away",
            )
            forget(valkey)
            valkey.start()
            executes(worker, commands, hooks[round + 1])
            assert processes(worker) == before
        assert ended(worker) == hooks[:4]


def test_redis_dies_and_is_back_while_a_command_runs_and_the_next_is_sent_meanwhile(
    valkey: Valkey, settings: Settings, postgres_url: str, hooks: list[UUID]
) -> None:
    commands = CeleryCommands(settings)
    with running(settings, NOTIFIER) as [worker]:
        with gate(postgres_url, hooks[0]) as database:
            hold(commands, database, hooks[0])
            before = processes(worker)
            valkey.kill()
            forget(valkey)
            valkey.start()
            commands.send("notify", hooks[1])
        until(lambda: hooks[1] in ended(worker), "the second command is executed")
        executes(worker, commands, hooks[2])
        assert ended(worker) == hooks[:3], "each once, in their order"
        assert processes(worker) == before


def test_redis_dies_and_is_back_while_nothing_runs(
    valkey: Valkey, settings: Settings, hooks: list[UUID]
) -> None:
    commands = CeleryCommands(settings)
    with running(settings, NOTIFIER) as [worker]:
        executes(worker, commands, hooks[0])
        before = processes(worker)
        for hook in hooks[1:3]:
            valkey.kill()
            forget(valkey)
            valkey.start()
            executes(worker, commands, hook)
        assert processes(worker) == before


def test_no_command_waits_behind_a_long_one_while_another_worker_is_free(
    settings: Settings, postgres_url: str, hooks: list[UUID]
) -> None:
    commands = CeleryCommands(settings)
    with running(settings, NOTIFIER, NOTIFIER) as workers:
        with gate(postgres_url, hooks[0]) as database:
            hold(commands, database, hooks[0])
            for hook in hooks[1:]:
                commands.send("notify", hook)
            until(lambda: sorted(ended(*workers)) == sorted(hooks[1:]), "all others are executed")
        until(lambda: hooks[0] in ended(*workers), "the long one ends")
