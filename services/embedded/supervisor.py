"""Keeps named child processes running: starts them in order, brings back what ends, stops them in reverse."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from labqueue.errors import LabqueueError
from services.embedded.process import Process, rotate

FIRST_DELAY = 0.25
LONGEST_DELAY = 30.0
# A part that stayed up this long is sound again: its next end is its first.
SOUND_SECONDS = 60.0
TICK_SECONDS = 0.1

log = logging.getLogger(__name__)
State = Literal["starting", "running", "waiting", "stopped"]


def delay(failures: int) -> float:
    """Seconds to wait before the start that follows `failures` ends in a row."""
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures - 1, 16))


@dataclass(frozen=True)
class Status:
    """How one part is: `waiting` means that it ended and will be started again."""

    name: str
    state: State
    pid: int | None
    restarts: int
    last_exit: int | None
    log: Path


@dataclass
class _Watched:
    part: Process
    state: State = "starting"
    since: float = 0.0
    failures: int = 0
    restarts: int = 0
    last_exit: int | None = None
    due: float = 0.0


@dataclass
class Supervisor:
    """Groups of processes. All methods belong to the main thread, except `statuses` and `end`."""

    clock: Callable[[], float] = time.monotonic
    _groups: list[list[_Watched]] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)

    def start(self, *parts: Process, seconds: float = 60.0) -> None:
        """Start `parts` together and return when all are ready; they are stopped before earlier groups.

        Raises LaunchError (a LabqueueError) when one ends, is not ready within `seconds`, or `end` was called meanwhile.
        """
        group = [_Watched(part, since=self.clock()) for part in parts]
        self._groups.append(group)
        for watched in group:
            watched.part.spawn()
        deadline = self.clock() + seconds
        for watched in group:
            watched.part.start(max(1.0, deadline - self.clock()), self._end.is_set)
            watched.state, watched.since = "running", self.clock()

    def tick(self) -> None:
        """Look at every part once and start again what is due. Call it often."""
        for watched in self._watched():
            try:
                self._look(watched)
            except (LabqueueError, OSError) as error:
                log.error("%s did not start: %s", watched.part.name, error)
                self._failed(watched, watched.part.poll())

    def _look(self, watched: _Watched) -> None:
        now, part = self.clock(), watched.part
        if watched.state == "waiting":
            if now >= watched.due:
                watched.state, watched.since = "starting", now
                watched.restarts += 1
                part.spawn()
        elif part.poll() is not None:
            if watched.state == "running" and now - watched.since >= SOUND_SECONDS:
                watched.failures = 0
            self._failed(watched, part.poll())
            log.warning(
                "%s ended with %s; started again in %.2g s", part.name, watched.last_exit, watched.due - now
            )
        elif watched.state == "starting" and part.ready():
            watched.state, watched.since = "running", now
        rotate(part.log)

    def _failed(self, watched: _Watched, code: int | None) -> None:
        watched.failures += 1
        watched.last_exit = code
        watched.state, watched.due = "waiting", self.clock() + delay(watched.failures)

    def run(self) -> None:
        """Keep everything running until `end` is called."""
        while not self._end.wait(TICK_SECONDS):
            self.tick()

    def end(self) -> None:
        """Make `run` return, or a `start` under way fail; for signal handlers and other threads."""
        self._end.set()

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Within it, SIGTERM, SIGHUP and Ctrl-C call `end`; a second Ctrl-C interrupts as usual."""

        def heard(number: int, frame: object) -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.end()

        watched = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
        before = [signal.signal(number, heard) for number in watched]
        try:
            yield
        finally:
            for number, handler in zip(watched, before, strict=True):
                signal.signal(number, handler)

    def stop(self) -> None:
        """Stop the groups in reverse, the parts of one group together. May be called twice."""
        while self._groups:
            group = self._groups[-1]
            for watched in group:
                watched.part.ask_to_stop()
            for watched in group:
                watched.part.stop()
                watched.state = "stopped"
            self._groups.pop()

    def statuses(self) -> list[Status]:
        """Every part's status, in the order of their start."""
        return [
            Status(w.part.name, w.state, w.part.pid, w.restarts, w.last_exit, w.part.log)
            for w in self._watched()
        ]

    def part(self, name: str) -> Process:
        """The part of that name. Raises KeyError."""
        return {watched.part.name: watched.part for watched in self._watched()}[name]

    def _watched(self) -> list[_Watched]:
        return [watched for group in self._groups for watched in group]
