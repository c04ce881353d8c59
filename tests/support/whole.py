"""The whole of Labqueue for fault tests: real servers, API, janitor and workers in a private home, adapters
beside them as processes, and eyes on the database.

Every wait is a condition that is looked at again and again with a generous deadline.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import adapters_for_tests
import psycopg
from adapters_for_tests import Setup
from psycopg.rows import dict_row
from servers import Servers

from labqueue.client import Client
from labqueue.errors import UnavailableError
from labqueue.journal import Entry
from labqueue.spool import Spool
from services.embedded.stack import Stack
from services.settings import Settings, load

#: Seconds after which a condition that is still not true fails its test: for busy machines, far from any aim.
PATIENCE = 120.0
LOOK = 0.02
T = TypeVar("T")
_numbers = itertools.count(1)


class Whole:
    """A running Labqueue. `supervised`: what ends is started again while a test waits with `until`."""

    def __init__(self, stack: Stack, token: str | None = None) -> None:
        self.stack = stack
        self.supervised = True
        self.home = stack.settings.home
        self.client = Client(stack.url, token, timeout=20.0, retry_for=60.0, actor="anna")
        self._adapters: list[Adapter] = []

    @property
    def url(self) -> str:
        return self.stack.url

    # -- waiting

    def until(self, condition: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
        """What `condition` returns as soon as it is true. A server that is away meanwhile is waited for."""
        deadline = time.monotonic() + seconds
        while True:
            if self.supervised:
                self.stack.supervisor.tick()
            try:
                found = condition()
            except (psycopg.OperationalError, UnavailableError):
                found = None
            if found:
                return found
            assert time.monotonic() < deadline, f"after {seconds:g} s still not: {what}"
            time.sleep(LOOK)

    # -- parts

    def kill(self, *names: str) -> None:
        """SIGKILL to each of these parts, all in the same moment; they are not waited for."""
        for name in names:
            part = self.stack.supervisor.part(name)
            assert part.pid is not None, f"{name} is not there to be killed"
            os.kill(part.pid, signal.SIGKILL)
        for name in names:
            self.stack.supervisor.part(name).kill()

    def start(self, *names: str) -> None:
        """Start these again and wait until they are ready."""
        for name in names:
            self.stack.supervisor.part(name).start(PATIENCE)

    @contextmanager
    def down(self, *names: str) -> Iterator[None]:
        """Killed now, and started again, in this order, at the end of the block."""
        self.supervised = False
        self.kill(*names)
        try:
            yield
        finally:
            self.start(*names)
            self.supervised = True

    # -- the database, as it is

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        with (
            psycopg.connect(self.stack.settings.database, autocommit=True, connect_timeout=30) as database,
            database.cursor(row_factory=dict_row) as cursor,
        ):
            return cursor.execute(sql.encode(), values).fetchall()

    def one(self, sql: str, *values: Any) -> Any:
        """The only column of the only row."""
        [row] = self.rows(sql, *values)
        [found] = row.values()
        return found

    # -- adapters

    def adapter(self, setup: Setup, prefix: Sequence[str] = ()) -> Adapter:
        made = Adapter(self, setup, prefix)
        self._adapters.append(made)
        return made

    def end_adapters(self) -> None:
        """Whatever is left of them; their last words are printed, so that a failing test shows them."""
        for each in self._adapters:
            each.end()
            print(f"--- {each.log.name}\n{each.log.read_text(errors='replace')[-4000:]}")
        self._adapters.clear()

    def print_logs(self) -> None:
        for status in self.stack.statuses():
            if status.log.exists():
                print(f"--- {status.log.name}\n{status.log.read_text(errors='replace')[-4000:]}")


class Adapter:
    """A process beside an instrument, started at once."""

    def __init__(self, whole: Whole, setup: Setup, prefix: Sequence[str] = ()) -> None:
        self._whole, self.setup, self._prefix = whole, setup, tuple(prefix)
        self.name = setup.instrument
        self.log = Path(setup.spool).with_suffix(f".{next(_numbers)}.log")
        self.process = self._popen()

    def _popen(self) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        script = [sys.executable, adapters_for_tests.__file__, json.dumps(asdict(self.setup))]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("LABQUEUE_")}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*self._prefix, *script], env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def says(self, words: str) -> str:
        """Its log, as soon as `words` stand in it."""
        self._whole.until(
            lambda: words in self.text or self.process.poll() is not None, f"{self.name}: {words}"
        )
        assert words in self.text, self.text
        return self.text

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """As a computer that hangs: nothing of it runs until `thaw`."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def again(self) -> Adapter:
        """Its successor: the same instrument and spool, started after its end."""
        assert self.process.poll() is not None
        return self._whole.adapter(self.setup, self._prefix)

    def stop(self) -> dict[str, int]:
        """Asks it to stop, and returns what it says that it did."""
        self.process.terminate()
        self.says("served {")
        self.process.wait(60)
        served: dict[str, int] = json.loads(self.text.rpartition("served ")[2])
        return served

    def told(self) -> list[Entry]:
        """What it had to say and what it was answered, from its spool; only after its end."""
        assert self.process.poll() is not None
        with Spool(self.setup.spool, self._whole.url, lock=False) as spool:
            return spool.journal.entries()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.send_signal(signal.SIGCONT)
            self.process.wait()


def settings_for(home: Path, **more: str) -> Settings:
    return load({"LABQUEUE_HOME": str(home), "PORT": "0", "LABQUEUE_DB_POOL_SIZE": "6", **more})


@contextmanager
def whole(servers: Servers, parts: tuple[str, ...] = ("api", "janitor"), **settings: str) -> Iterator[Whole]:
    """A stack of one's own, in a home whose Postgres need not be created first; ended at once afterwards."""
    with running(Stack(settings_for(servers.new_home(), **settings), parts)) as made:
        yield made


@contextmanager
def running(stack: Stack, token: str | None = None) -> Iterator[Whole]:
    stack.start()
    made = Whole(stack, token)
    try:
        yield made
    finally:
        made.end_adapters()
        made.print_logs()
        made.client.close()
        end_at_once(stack)


def end_at_once(stack: Stack) -> None:
    """Without the grace of a wished end: what is left in memory has been looked at."""
    for status in reversed(stack.statuses()):
        part = stack.supervisor.part(status.name)
        if part.name == "postgres" and part.pid is not None:
            # Ends its sessions and writes no checkpoint; killed, its children would linger.
            os.kill(part.pid, signal.SIGQUIT)
        else:
            part.kill_group()
    stack.stop()
