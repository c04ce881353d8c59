"""Keeps the leases of an adapter alive beside the thread that runs its experiments."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable

from .answers import LeaseState, Probe
from .backoff import Backoff
from .client import Client
from .pulse import Pulse

log = logging.getLogger("labqueue")

#: How long an end waits for the thread: it holds nothing that could be lost.
PATIENCE = 2.0

Heard = Callable[[LeaseState], None]
Asked = Callable[[Sequence[Probe]], None]


class Keeper:
    """Renews leases in a thread, and remembers when the server last answered."""

    def __init__(self, client: Client, instrument: str, adapter: str, heard: Heard, probes: Asked) -> None:
        self._leases: dict[str, float] = {}
        self._lock = threading.Lock()
        self._contact = time.monotonic()
        self._pulse = Pulse(client, instrument, adapter, heard, probes, self.touch)
        self._thread = threading.Thread(target=self._pulse.run, name="labqueue-heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._pulse.stop()
        self._thread.join(PATIENCE)

    def hold(self, lease: str, seconds: float) -> None:
        """This lease is ours now; it is renewed until it is dropped."""
        with self._lock:
            self._leases[lease] = seconds
        self._hold(lease, seconds)

    def drop(self, lease: str) -> None:
        """The server knows how this one ended."""
        with self._lock:
            self._leases.pop(lease, None)
        self._drop(lease)

    def touch(self, at: float | None = None) -> None:
        """The server answered a request that was sent at this time.monotonic()."""
        self._contact = max(self._contact, time.monotonic() if at is None else at)

    def in_contact(self) -> bool:
        """False once no renewal has got through for a whole lease: then nothing new is begun."""
        with self._lock:
            if not self._leases:
                return True
            return time.monotonic() - self._contact <= min(self._leases.values())

    def _hold(self, lease: str, seconds: float) -> None:
        self._pulse.hold(lease, seconds)

    def _drop(self, lease: str) -> None:
        self._pulse.drop(lease)


class ProcessKeeper(Keeper):
    """Renews leases in a process of its own, for vendor code that keeps the interpreter lock for seconds.

    The process hears by its standard input which leases to hold, and ends when that closes: with this one.
    """

    def __init__(self, client: Client, instrument: str, adapter: str, heard: Heard, probes: Asked) -> None:
        super().__init__(client, instrument, adapter, heard, probes)
        self._heard, self._probes = heard, probes
        self._hello = {
            "url": client.url,
            "token": client.token or "",
            "timeout": client.transport.timeout,
            "instrument": instrument,
            "adapter": adapter,
            "parent": os.getpid(),
        }
        self._closed = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._watch, name="labqueue-heartbeat", daemon=True)

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            _dismiss(self._process)
        self._thread.join(PATIENCE)

    def _hold(self, lease: str, seconds: float) -> None:
        self._tell({"hold": lease, "seconds": seconds})

    def _drop(self, lease: str) -> None:
        self._tell({"drop": lease})

    def _tell(self, word: Mapping[str, Any]) -> None:
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                try:
                    self._process.stdin.write(json.dumps(word) + "\n")
                    self._process.stdin.flush()
                except (OSError, ValueError):
                    pass  # it ended; its successor is told of every lease

    def _watch(self) -> None:
        """Starts the process, listens to it, and starts another where it ends too early."""
        backoff = Backoff(first=0.2, most=5.0)
        while not self._closed.is_set():
            process = subprocess.Popen(
                [sys.executable, "-m", "labqueue.heartbeat"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env=_environment(),
                # Its own process group: Ctrl-C at the terminal is for the adapter alone.
                **_own_group(),
            )
            with self._lock:
                self._process = process
                words: list[Mapping[str, Any]] = [self._hello]
                words += [{"hold": lease, "seconds": length} for lease, length in self._leases.items()]
                if self._closed.is_set():
                    _dismiss(process)
            for word in words:
                self._tell(word)
            assert process.stdout is not None
            for line in process.stdout:
                self._listen(json.loads(line))
            process.stdout.close()
            code = process.wait()
            if not self._closed.is_set():
                log.warning("The heartbeat process ended with code %s; another one is started.", code)
                self._closed.wait(backoff.pause())

    def _listen(self, word: Mapping[str, Any]) -> None:
        if "contact" in word:
            # The age of the renewal: the two processes need not share a clock.
            self.touch(time.monotonic() - float(word["contact"]))
        elif "heard" in word:
            self._heard(LeaseState.from_json(word["heard"]))
        elif "probes" in word:
            self._probes([Probe.from_json(each) for each in word["probes"]])


def _dismiss(process: subprocess.Popen[str] | None) -> None:
    """Closes its standard input: it ends by itself."""
    if process is not None and process.stdin is not None:
        try:
            process.stdin.close()
        except OSError:
            pass  # it has ended already


def _environment() -> dict[str, str]:
    """This process's environment, in which this very package is found, however this process found it."""
    here = str(Path(__file__).resolve().parent.parent)
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{path}" if path else here}


def _own_group() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
