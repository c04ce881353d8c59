"""A Postgres of our own: on a private socket, without TCP, ended with its launcher."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from services.embedded.binaries import (
    PostgresPrograms,
    postgres_identity,
    postgres_programs,
    reachable_by_nobody,
)
from services.embedded.folders import FolderLock, end_leftover, private_folder, read_pid, works_in
from services.embedded.process import NOBODY, Command, Identity, LaunchError, Process, before_exec
from services.settings import postgres_url

DATABASE = "labqueue"
_OPTIONS = ("listen_addresses=", "port=5432", "unix_socket_permissions=0700", "max_connections=200")
# Backends of a killed postmaster end within moments of it; until then the memory they share is in use.
_STILL_IN_USE = "is still in use"
_PATIENCE = 20.0


class Postgres(Process):
    """The embedded Postgres of one home. `start` and `stop` may be called any number of times.

    `home` gets the data (pg18/, named by major version) and the log; `sockets` is the private folder of the
    socket. A server that was killed recovers at the next start: committed rows are there.
    """

    def __init__(
        self,
        home: Path,
        sockets: Path,
        *,
        programs: PostgresPrograms | None = None,
        identity: Identity | None = None,
    ) -> None:
        self._programs = programs or postgres_programs()
        identity = identity or postgres_identity()
        if identity is Identity.NOBODY:
            self._programs = reachable_by_nobody(self._programs)
        self.data = home.absolute() / f"pg{self._programs.major}"
        self.sockets = sockets.absolute()
        self._lock = FolderLock(self.data.with_name(f"{self.data.name}.lock"))
        argv = [str(self._programs.postgres), "-D", str(self.data), "-k", str(self.sockets)]
        for option in _OPTIONS:
            argv += ["-c", option]
        super().__init__(
            Command(
                name="postgres",
                argv=tuple(argv),
                log=home.absolute() / "logs" / "postgres.log",
                # The server's messages in English and its defaults its own, whatever the person's shell says.
                env={"LC_ALL": "C.UTF-8", "PGOPTIONS": "", "PGDATA": ""},
                cwd=home.absolute(),
                stop_signal=signal.SIGINT,  # "fast": ends sessions, then shuts down cleanly
                identity=identity,
            )
        )
        self.url = postgres_url(self.sockets, DATABASE)

    def start(self, seconds: float = 300.0, ended: Callable[[], bool] = lambda: False) -> str:
        """Start unless it runs, wait until it answers, and return its URL.

        `seconds` bounds the wait; recovery after a crash takes as long as there is to replay.
        Raises LaunchError with the end of the log, ConflictError when another process serves this home.
        """
        give_up = time.monotonic() + _PATIENCE
        while True:
            self.spawn()
            try:
                self.wait_ready(seconds, ended)
            except LaunchError as error:
                if _STILL_IN_USE not in str(error) or time.monotonic() > give_up:
                    raise
                time.sleep(0.2)
            else:
                return self.url

    def spawn(self) -> None:
        if self.pid is not None:
            return
        self._lock.take()
        self.initialise()
        self._own(private_folder(self.sockets))
        pid_file = self.data / "postmaster.pid"
        end_leftover(pid_file, self.data, self.command.stop_signal)
        self._disown(pid_file)
        super().spawn()

    def initialise(self) -> None:
        """Create the data folder unless it is there; whole or not at all."""
        if self.data.exists():
            return
        new = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        self._own(private_folder(new))
        done = subprocess.run(
            [*self._initdb(), "-D", str(new)],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", "PGDATA": ""},
            cwd=new,
            user=NOBODY if self.command.identity is Identity.NOBODY else None,
            group=NOBODY if self.command.identity is Identity.NOBODY else None,
            preexec_fn=before_exec(signal.SIGTERM, self.command.identity),
        )
        if done.returncode != 0:
            raise LaunchError(
                f"Postgres could not create {self.data}.\n{done.stderr.strip()}\n"
                "Set LABQUEUE_HOME to a folder that it can write, or LABQUEUE_DATABASE_URL to a server of your own."
            )
        new.rename(self.data)

    def _initdb(self) -> list[str]:
        argv = [str(self._programs.initdb), "-U", "labqueue", "--auth=trust", "--encoding=UTF8"]
        if self._programs.major >= 17:  # sorts the same on every machine, whatever its C library
            return [*argv, "--locale-provider=builtin", "--locale=C.UTF-8"]
        return [*argv, "--locale=C"]

    def ready(self) -> bool:
        """Whether our child, and no other server, answers; the database is made at its first answer."""
        if self.pid is None:
            return False
        try:
            with psycopg.connect(
                postgres_url(self.sockets, "postgres"), connect_timeout=5, autocommit=True
            ) as server:
                own = server.execute(
                    "SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)::int"
                ).fetchone()
                if own is None or own[0] != self.pid:
                    raise LaunchError(f"process {own and own[0]} answers on {self.sockets}, and is not ours.")
                known = server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if known is None:
                    server.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        super().stop()
        self._lock.free()

    def _disown(self, pid_file: Path) -> None:
        """Make a dead server's pid file harmless even when its number belongs to another process by now.

        Postgres takes the number of its own parent for stale, and still checks the shared memory that the
        other lines name; removing the file would skip that check.
        """
        pid = read_pid(pid_file)
        if pid is not None and pid != os.getpid() and not works_in(pid, self.data):
            _, _, rest = pid_file.read_text().partition("\n")
            pid_file.write_text(f"{os.getpid()}\n{rest}")

    def _own(self, folder: Path) -> None:
        if self.command.identity is Identity.NOBODY:
            os.chown(folder, NOBODY, NOBODY)
