"""The whole of Labqueue on one machine: servers, schema, API, janitor and workers, started and supervised."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from services.embedded.folders import FolderLock
from services.embedded.postgres import Postgres
from services.embedded.process import Command, LaunchError, Process
from services.embedded.supervisor import Status, Supervisor
from services.embedded.valkey import Valkey
from services.settings import Settings

# What each part of the application runs, after `python -P`; a module's own defaults do the rest.
PARTS: dict[str, tuple[str, ...]] = {
    "api": ("-m", "services.api"),
    "janitor": ("-m", "workers.janitor"),
    "trainer": ("-m", "workers", "--queue", "train"),
    "suggester": ("-m", "workers", "--queue", "suggest,inquire,notify"),
}
# A run of the trainer may take long, and everything it does can be done again.
STOP_SECONDS = {"api": 15.0, "janitor": 10.0, "trainer": 5.0, "suggester": 5.0}
START_SECONDS = 120.0
PORT_PATIENCE = 20.0


class Stack:
    """Labqueue with these settings: embedded servers where no URL is given, and `parts` of the application.

    `port=0` in the settings takes a free one; `settings` and `url` say which. One stack a home: a second one
    is refused with a ConflictError. Use it as a context, from the main thread.
    """

    def __init__(self, settings: Settings, parts: tuple[str, ...] = tuple(PARTS)) -> None:
        port = settings.port or free_port(settings.host)
        self.settings = settings.model_copy(update={"home": settings.home.absolute(), "port": port})
        self.parts = parts
        self.supervisor = Supervisor()
        self._lock = FolderLock(self.settings.home / "lock")

    @property
    def url(self) -> str:
        """Where the API answers, for clients on this machine."""
        return f"http://{_bracketed(_reachable(self.settings.host))}:{self.settings.port}"

    def start(self) -> None:
        """Start everything and return when the API is ready.

        Raises LabqueueError saying which part failed; what had started is stopped again by then.
        """
        killed = self._lock.take()
        try:
            if "api" in self.parts:
                # The parts of a launcher that was killed end by themselves, which may take a moment.
                self._await_port(PORT_PATIENCE if killed else 0.0)
            self.supervisor.start(*self._servers(), seconds=START_SECONDS)
            self._migrate()
            # The API before the others: it is what everybody waits for, and their libraries take seconds to load.
            for named in (True, False):
                group = [self.process(name) for name in self.parts if (name == "api") is named]
                if group:
                    self.supervisor.start(*group, seconds=START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything, the servers last. May be called twice."""
        self.supervisor.stop()
        self._lock.free()

    def statuses(self) -> list[Status]:
        return self.supervisor.statuses()

    def process(self, name: str) -> Process:
        """The process of the part `name`, not started yet."""
        ready: dict[str, Callable[[], bool]] = {"api": self._api_ready}
        return Process(
            Command(
                name=name,
                argv=(sys.executable, "-P", *PARTS[name]),
                log=self.settings.home / "logs" / f"{name}.log",
                env=self.environ(),
                stop_signal=signal.SIGTERM,
                stop_seconds=STOP_SECONDS[name],
            ),
            ready.get(name),
        )

    def environ(self) -> dict[str, str]:
        """The environment in which every part of this stack runs, beyond our own."""
        # One thread each: the parts share the machine, and two were up to 20 x slower on busy cores.
        threads = os.environ.get("OMP_NUM_THREADS", "1")
        return {**self.settings.environ(), "OMP_NUM_THREADS": threads, "PYTHONUNBUFFERED": "1"}

    def _servers(self) -> list[Process]:
        servers: list[Process] = []
        if self.settings.embeds_postgres:
            servers.append(Postgres(self.settings.home, self.settings.sockets))
        if self.settings.embeds_redis:
            servers.append(Valkey(self.settings.home, self.settings.sockets))
        return servers

    def _migrate(self) -> None:
        from services.store.migrate import upgrade

        upgrade(self.settings.database)

    def _await_port(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return check_port(self.settings.host, self.settings.port)
            except LaunchError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.05)

    def _api_ready(self) -> bool:
        connection = http.client.HTTPConnection(_reachable(self.settings.host), self.settings.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_port(host: str) -> int:
    """A port of `host` that nothing listens on at this moment."""
    with _listener(host, 0) as listener:
        return int(listener.getsockname()[1])


def check_port(host: str, port: int) -> None:
    """Raises LaunchError when the API could not bind to `host` and `port`."""
    try:
        _listener(host, port).close()
    except OSError as error:
        raise LaunchError(
            f"The API cannot listen on {host} port {port}: {error.strerror}. "
            "Stop what listens there, or choose another port with PORT=8001."
        ) from None


def _listener(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _reachable(host: str) -> str:
    """The address under which this machine itself reaches a server bound to `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
