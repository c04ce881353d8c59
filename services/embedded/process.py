"""One child process that ends when its launcher does, however the launcher ends."""

from __future__ import annotations

import contextlib
import ctypes
import enum
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labqueue.errors import UnavailableError

LOG_BYTES = 10 * 1024 * 1024
LOGS_KEPT = 3
# The uid that Linux gives to everybody and nobody; also what an unmapped user namespace shows.
NOBODY = 65534
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1


class Identity(enum.Enum):
    """As whom a child runs. Postgres refuses to run as root, whatever the reason."""

    SAME = "same"
    NAMESPACE = "namespace"
    NOBODY = "nobody"


class LaunchError(UnavailableError):
    """A part of the stack did not start."""


@dataclass(frozen=True)
class Command:
    """What to start and how to ask it to end."""

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 30.0
    identity: Identity = Identity.SAME


class Process:
    """A `Command` that can be started, watched and stopped, each any number of times.

    `ready` says whether the running process does its work; it may be asked often and must answer fast.
    """

    def __init__(self, command: Command, ready: Callable[[], bool] | None = None) -> None:
        self.command = command
        self.name = command.name
        self.log = command.log
        self.url = ""
        self._ready = ready
        self._child: subprocess.Popen[bytes] | None = None
        self._asked = False

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    def spawn(self) -> None:
        """Start it unless it runs; returns before it is ready. Raises LaunchError, OSError."""
        if self.pid is None:
            self._child = _popen(self.command)
            self._asked = False

    def start(self, seconds: float = 60.0, ended: Callable[[], bool] = lambda: False) -> str:
        """Start unless it runs, wait until it is ready, and return its address if it has one.

        Raises LaunchError with the end of the log when it is not ready after `seconds`, or when `ended`
        says that nobody wants it any more.
        """
        self.spawn()
        self.wait_ready(seconds, ended)
        return self.url

    def poll(self) -> int | None:
        """None while it runs, else how it ended (0 when it never ran); negative for a signal."""
        return 0 if self._child is None else self._child.poll()

    def ready(self) -> bool:
        return self.pid is not None and (self._ready is None or self._ready())

    def wait_ready(self, seconds: float, ended: Callable[[], bool] = lambda: False) -> None:
        """Return when it is ready. Raises LaunchError as `start` does."""
        deadline = time.monotonic() + seconds
        while not self.ready():
            if self.poll() is not None:
                raise LaunchError(
                    f"{self.name} ended with {self.poll()} while it started.\n{self.last_lines()}"
                )
            if time.monotonic() > deadline:
                raise LaunchError(f"{self.name} is not ready after {seconds:g} s.\n{self.last_lines()}")
            if ended():
                raise LaunchError(f"{self.name} was stopped while it started.")
            time.sleep(0.01)

    def ask_to_stop(self) -> None:
        """Send the stop signal, once: many programs take a second one for impatience."""
        if self._child is not None and not self._asked and self._child.poll() is None:
            self._asked = True
            self._child.send_signal(self.command.stop_signal)

    def stop(self) -> None:
        """Ask it to end, wait, and kill its whole group if it has not ended in time."""
        self.ask_to_stop()
        if self._child is not None:
            try:
                self._child.wait(self.command.stop_seconds)
            except subprocess.TimeoutExpired:
                self.kill_group()

    def kill(self) -> None:
        """SIGKILL to the process itself, as a crash would end it. Its own children are left to notice."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def kill_group(self) -> None:
        """SIGKILL to the process and all its children."""
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def last_lines(self, count: int = 15) -> str:
        """The end of its log, with the log's path, for an error text."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 8192))
                lines = file.read().decode(errors="replace").splitlines()[-count:]
        except OSError:
            lines = []
        return "\n".join([f"The end of {self.log}:", *(f"  {line}" for line in lines)])


def _popen(command: Command) -> subprocess.Popen[bytes]:
    if threading.current_thread() is not threading.main_thread():
        # Linux ends the children when the thread that made them ends, not when the process does.
        raise RuntimeError(f"start {command.name} from the main thread")
    command.log.parent.mkdir(parents=True, exist_ok=True)
    rotate(command.log)
    drop = command.identity is Identity.NOBODY
    with command.log.open("ab") as log:
        return subprocess.Popen(
            command.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **command.env},
            cwd=command.cwd,
            process_group=0,
            user=NOBODY if drop else None,
            group=NOBODY if drop else None,
            extra_groups=[] if drop else None,
            # Safe: only the main thread starts anything, and what runs there allocates next to nothing.
            preexec_fn=before_exec(command.stop_signal, command.identity),  # noqa: PLW1509
        )


def before_exec(
    death_signal: signal.Signals, identity: Identity = Identity.SAME
) -> Callable[[], None] | None:
    """What a forked child does before it becomes another program; None where there is nothing to do.

    On Linux it asks for `death_signal` at its parent's end, and leaves root by a user namespace if told to.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    launcher = os.getpid()

    def prepare() -> None:
        if identity is Identity.NAMESPACE and libc.unshare(_CLONE_NEWUSER) != 0:
            raise OSError(ctypes.get_errno(), "no user namespace")
        if libc.prctl(_PR_SET_PDEATHSIG, death_signal.value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "no death signal")
        if os.getppid() != launcher:  # it ended before it could be watched
            os._exit(1)

    return prepare


def rotate(log: Path, limit: int = LOG_BYTES, kept: int = LOGS_KEPT) -> None:
    """Move what is in a log of more than `limit` bytes out of the way: log -> log.1 -> ... -> log.`kept`.

    Copied and emptied, since its program may go on writing: it appends to the file that it was given. What it writes
    in between is lost, some lines in each `limit` bytes.
    """
    if not log.exists() or log.stat().st_size <= limit:
        return
    for number in range(kept - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    os.truncate(log, 0)
