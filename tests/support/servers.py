"""Real Postgres and Valkey servers for tests: private sockets, fsync on, gone with the test process."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import redis

from services.embedded.postgres import Postgres
from services.embedded.valkey import Valkey
from services.settings import postgres_url, valkey_url

VALKEY_DATABASES = 16


# Where a folder in memory is this large it is used: syncing to a busy disk takes most of a test's time. What a
# process wrote survives its kill -9 there as on a disk, and power is not what these tests take away.
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 2 * 1024**3


def short_folder() -> Path:
    """A folder of its own whose path leaves room for a socket's name; pytest's are too long. Remove it."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    return Path(tempfile.mkdtemp(prefix="lq-", dir=MEMORY if roomy else None)).resolve()


class Servers:
    """One Postgres and one Valkey for a test process, started when first asked for, and databases on them.

    `postgres` and `valkey` are shared: a test that kills a server starts one of its own with `new_postgres`
    or `new_valkey`. All must be called from the main thread.
    """

    def __init__(self) -> None:
        self.folder = short_folder()
        self._numbers = itertools.count(1)
        self._postgres: Postgres | None = None
        self._valkey: Valkey | None = None
        self._migrated = False
        self._own: list[Postgres | Valkey] = []

    @property
    def postgres(self) -> Postgres:
        if self._postgres is None:
            self._postgres = self.new_postgres()
        return self._postgres

    @property
    def valkey(self) -> Valkey:
        if self._valkey is None:
            self._valkey = self.new_valkey()
        return self._valkey

    def new_home(self) -> Path:
        """A new home folder; its embedded Postgres will not have to be created first."""
        home = self.folder / f"h{next(self._numbers)}"
        seed = Postgres(self.folder / "seed", self.folder / "seed")
        seed.initialise()
        shutil.copytree(seed.data, home / seed.data.name)
        (home / seed.data.name).chmod(0o700)
        return home

    def new_postgres(self) -> Postgres:
        """A Postgres of its own, started and empty (`.url`); stopped at the end of the test process."""
        home = self.new_home()
        server = Postgres(home, home / "run")
        self._own.append(server)
        server.start()
        return server

    def new_valkey(self) -> Valkey:
        """A Valkey of its own, started and empty (`.url`); stopped at the end of the test process."""
        home = self.folder / f"h{next(self._numbers)}"
        server = Valkey(home, home / "run")
        self._own.append(server)
        server.start()
        return server

    @contextmanager
    def database(self, *, migrated: bool = True) -> Iterator[str]:
        """The URL of a new database on the shared Postgres; dropped afterwards, whoever is connected."""
        template = self._template() if migrated else "template1"
        name = f"t{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield postgres_url(self.postgres.sockets, name)
        finally:
            self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    @contextmanager
    def redis_database(self) -> Iterator[str]:
        """The URL of an empty database on the shared Valkey; emptied afterwards."""
        url = valkey_url(self.valkey.sockets, next(self._numbers) % VALKEY_DATABASES)
        with redis.Redis.from_url(url) as client:
            client.flushdb()
            yield url
            client.flushdb()

    def _template(self) -> str:
        if not self._migrated:
            from services.store.migrate import upgrade

            self._run("CREATE DATABASE migrated")
            upgrade(postgres_url(self.postgres.sockets, "migrated"))
            self._migrated = True
        return "migrated"

    def _run(self, statement: str) -> None:
        with psycopg.connect(postgres_url(self.postgres.sockets, "postgres"), autocommit=True) as server:
            server.execute(statement.encode())

    def stop(self) -> None:
        """End all servers at once, without saving anything, and remove their folders."""
        for server in self._own:
            if server.pid is not None:
                # Postgres ends its sessions at once and writes no checkpoint; on a busy disk that takes long.
                os.kill(server.pid, signal.SIGQUIT if isinstance(server, Postgres) else signal.SIGKILL)
        for server in self._own:
            server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
