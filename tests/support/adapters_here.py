"""Serve loops in threads of the test's own process, against the server in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import labqueue
from labqueue.conformance.server import FakeServer
from labqueue.experiment import Experiment
from labqueue.spool import Spool


class Adapter:
    """A serve loop in a thread. `served` is what it returned; leaving its context stops it and raises its error."""

    def __init__(self, server: FakeServer, target: Any, folder: Path, **options: Any) -> None:
        self.stop = threading.Event()
        self.served: labqueue.Served | None = None
        self._error: BaseException | None = None
        settings = {"queue": "bench", "instrument": "hplc-2", "url": server.url, "spool": folder, **options}

        def run() -> None:
            try:
                self.served = labqueue.serve(target, stop=self.stop, **settings)
            except BaseException as error:  # noqa: BLE001 - raised in the test's thread
                self._error = error

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def join(self, seconds: float = 30.0) -> labqueue.Served:
        """Waits for its end."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the serve loop did not end"
        if self._error is not None:
            raise self._error
        assert self.served is not None
        return self.served


@contextmanager
def adapter(server: FakeServer, target: Any, folder: Path, **options: Any) -> Iterator[Adapter]:
    one = Adapter(server, target, folder, **options)
    try:
        yield one
    finally:
        one.stop.set()
        one.join()


def double(experiment: Experiment) -> dict[str, float]:
    return {"y": 2 * experiment.parameters["x"]}


def states(server: FakeServer) -> list[str]:
    return [str(each.state) for each in server.experiments.values()]


def spooled(server: FakeServer, folder: Path) -> int:
    """How many finished entries wait on disk for this server."""
    with Spool(folder, server.url, lock=False) as seen:
        return len(seen.journal.waiting())
