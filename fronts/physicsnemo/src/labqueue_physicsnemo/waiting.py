"""Labels: made in the driver's own process, or waited for while adapters make them."""

from __future__ import annotations

import logging
import math
import threading
import time
from pathlib import Path
from typing import Any, Callable

from labqueue import serve
from labqueue.errors import LabqueueError, NotFoundError

from .labelling import Labeller
from .run import Patience, Run

#: Seconds after which somebody who waits says for what.
SAY_AFTER = 20.0
#: The server's limit of failed runs in a row: in the driver's process, a failed item is no broken instrument.
FAILURES = 1000


class Enough:
    """Whether enough labels are there to go on: the share of what is outstanding, or the time."""

    def __init__(self, run: Run, outstanding: int, share: float, seconds: float | None) -> None:
        self.run, self.outstanding = run, outstanding
        self.may_lack = outstanding - math.ceil(share * outstanding - 1e-9)
        self.until = None if seconds is None else time.monotonic() + seconds
        self.lacking = outstanding

    def __call__(self) -> bool:
        if self.outstanding == 0 or (self.until is not None and time.monotonic() >= self.until):
            return True
        self.lacking = self.run.unlabelled()
        return self.lacking <= self.may_lack


def wait(enough: Enough, run: Run, log: logging.Logger) -> None:
    """Until enough labels are there; says what it waits for, and who does not label."""
    patience, said = Patience(most=0.25), time.monotonic()
    while not enough():
        if time.monotonic() - said > SAY_AFTER:
            said = time.monotonic()
            _say(enough, run, log)
        patience.sleep()


def _say(enough: Enough, run: Run, log: logging.Logger) -> None:
    for each in run.complaints():
        log.warning("%s; `labqueue instrument clear` lets it work again.", each)
    if not run.served():
        log.warning(
            "%d items wait for labels, and nobody serves queue %s. Start `labqueue-physicsnemo label module:Class "
            "--queue %s`, here or on any other machine.", enough.lacking, run.queue, run.queue,
        )  # fmt: skip


def label_here(
    enough: Enough, run: Run, strategy: Any, folder: Path, make_queue: Callable[[], Any],
    more: tuple[tuple[Any, ...], dict[str, Any]], token: str | None,
) -> None:  # fmt: skip
    """Labels in this thread until enough labels are there. Raises KeyboardInterrupt where the process is asked to end."""
    instrument = f"{run.name}-driver"
    work = Labeller(
        run.client, strategy, folder, instrument, failures=FAILURES, make_queue=make_queue, more=more
    )
    _clear(run, instrument)
    while not enough():
        stop, over = threading.Event(), threading.Event()
        watcher = threading.Thread(target=_watch, args=(enough, stop, over), name="labels", daemon=True)
        # As many runs as there are items: it ends by itself unless one fails or others label too.
        limit = max(1, enough.lacking)
        watcher.start()
        try:
            served = serve(
                work, queue=run.queue, instrument=instrument, url=run.client.url, token=token, stop=stop,
                spool=folder / "spool", limit=limit,
            )  # fmt: skip
        finally:
            over.set()
            watcher.join()
        if served.runs < limit and not stop.is_set():
            raise KeyboardInterrupt("Stopped while labels were made; the same run_id goes on from here.")


def _watch(enough: Enough, stop: threading.Event, over: threading.Event) -> None:
    patience = Patience(0.5)
    while not over.wait(patience.next()):
        try:
            if enough():
                stop.set()
                return
        except LabqueueError:
            continue  # the serve loop waits for the server too


def _clear(run: Run, instrument: str) -> None:
    try:
        if run.client.instrument(instrument)["state"] == "paused":
            run.client.instrument_action(instrument, "clear", "the driver begins to label")
    except NotFoundError:
        pass  # it has not claimed anything yet
