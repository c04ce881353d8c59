"""How a serve loop is asked to end: SIGTERM, Ctrl-C, or the caller's event. The second signal is in a hurry."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

#: The caller's event has no way to wake a waiting loop; it is looked at this often, in seconds.
LOOK = 0.5

GENTLY = b"\nlabqueue: stopping when the running experiment ends. A second signal stops it now.\n"
AT_ONCE = b"\nlabqueue: stopping now.\n"


class Stop:
    """Whether to go on. As a context, it listens to signals where this is the main thread.

    `gently`: what the first signal says; `patient`: it lets the caller's code end.
    """

    gently = GENTLY
    patient = True

    def __init__(self, event: threading.Event | None = None) -> None:
        self._event = event
        self._signals = 0
        self._breakable = False
        self._before: dict[int, Any] = {}
        # put() may be called from a signal handler, unlike threading.Event.set().
        self._wake: SimpleQueue[None] = SimpleQueue()

    def now(self) -> bool:
        """Whether nothing new shall begin."""
        return self._signals > 0 or (self._event is not None and self._event.is_set())

    def hurry(self) -> bool:
        """Whether what runs shall not be waited for."""
        return self._signals > 1

    def ask(self) -> None:
        """Asks the loop to end, as a first signal does."""
        self._signals = max(1, self._signals)
        self.wake()

    def wake(self) -> None:
        """Ends a pause: there is something to look at."""
        self._wake.put(None)

    def pause(self, seconds: float) -> None:
        """Sleeps; wakes when there is something to look at, or when the loop shall end."""
        ends = time.monotonic() + seconds
        while not self.now():
            left = ends - time.monotonic()
            if left <= 0:
                return
            try:
                self._wake.get(timeout=min(LOOK, left))
                return
            except Empty:
                continue

    def linger(self, seconds: float) -> None:
        """Sleeps although the loop shall end; wakes when there is something to look at."""
        try:
            self._wake.get(timeout=seconds)
        except Empty:
            pass

    def drain(self) -> None:
        """Forgets the wake-ups until now: the caller is about to look at everything."""
        try:
            while True:
                self._wake.get_nowait()
        except Empty:
            pass

    def woken(self) -> bool:
        """Whether there is something to look at."""
        return not self._wake.empty()

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """While the caller's code runs: a second signal (where we are not patient, the first) raises
        KeyboardInterrupt in it."""
        self._breakable = True
        try:
            yield
        finally:
            self._breakable = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
                number = getattr(signal, name, None)
                if number is not None:
                    self._before[number] = signal.signal(number, self._signalled)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before if before is not None else signal.SIG_DFL)
        self._before = {}

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        self.wake()
        _say(self.gently if self._signals == 1 else AT_ONCE)
        if self._signals > 1:
            # The third signal finds the default handlers.
            self._restore()
        if self._breakable and (self._signals > 1 or not self.patient):
            raise KeyboardInterrupt


def _say(text: bytes) -> None:
    """To standard error, without the locks that a handler must not wait for."""
    try:
        os.write(sys.stderr.fileno(), text)
    except (OSError, ValueError, AttributeError):
        pass  # there is no terminal to say it on
