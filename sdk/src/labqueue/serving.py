"""`labqueue.serve`: an instrument in four lines."""

from __future__ import annotations

import logging
import threading
from typing import Any

from .client import Client
from .errors import FieldError, InvalidError
from .functions import run_batches, run_function
from .session import Served, Session
from .slots import Bench
from .spool import PathLike, Spool, default_folder
from .stopping import Stop

log = logging.getLogger("labqueue")


def serve(
    target: Any, *, queue: str, instrument: str, url: str | None = None, token: str | None = None,
    batch: int = 1, at_least: int = 1, within: float = 0.0, slots: int = 1, poll: float = 2.0,
    spool: PathLike | None = None, heartbeat: str = "thread", stop: threading.Event | None = None,
    limit: int | None = None, take_over: bool = False,
) -> Served:  # fmt: skip
    """Claims experiments of `queue` for `instrument` and runs them, until it is asked to stop.

    target: one of
      - a function(experiment) that returns {output: number} or experiment.result(...), or raises
        labqueue.Infeasible, Suspect, Failed or Cancelled; any other exception is a failed run;
      - with batch > 1, a function([experiments]) that returns a list, or a dict by experiment id, of the same;
        it is called with `at_least` experiments, or with fewer once one has waited `within` seconds;
      - an object with start(experiment) -> reference, check(reference) -> None or a result, and, if it can,
        cancel(reference) and find(experiment) -> reference or None; up to `slots` runs at once, checked each
        `poll` seconds. All is called in this thread.
    url, token: default LABQUEUE_URL and LABQUEUE_TOKEN. spool: the folder in which results wait for the server;
    default: one for each instrument, in the user's state folder. heartbeat: "process" for vendor code that
    keeps the interpreter lock. stop: an event that ends the loop. limit: ends it after that many runs.
    take_over: serve although the server believes that another adapter of this instrument is alive.

    SIGTERM and Ctrl-C let the running experiment end and give back what has not begun; a second signal stops at
    once. A server that is away is waited for. Returns what was done. Raises InvalidError for arguments that
    cannot be used, ConflictError when another adapter serves from this spool, NotFoundError for an unknown
    queue, DeniedError for a token that may not.
    """
    many = hasattr(target, "start") and hasattr(target, "check")
    speak()
    _check(target, many, batch, at_least, within, slots, poll, heartbeat, limit)
    folder = spool or default_folder(instrument)
    with Client(url, token) as client, Stop(stop) as asked, Spool(folder, client.url) as store:
        log.info("%s serves %s of %s; spool: %s", instrument, queue, client.url, store.folder)
        session = Session(
            client, store, asked, queue, instrument, limit=limit, heartbeat=heartbeat, take_over=take_over
        )
        try:
            if many:
                Bench(session, target, slots, poll).run()
            elif batch > 1:
                run_batches(session, target, batch, at_least, within)
            else:
                run_function(session, target)
        finally:
            served = session.close()
        return served


def speak() -> None:
    """A program that says nothing about logging still shows what its instrument does."""
    if not log.hasHandlers() and log.level == logging.NOTSET:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)


def _check(
    target: Any, many: bool, batch: int, at_least: int, within: float, slots: int, poll: float, heartbeat: str,
    limit: int | None,
) -> None:  # fmt: skip
    wrong = []

    def require(holds: bool, field: str, value: Any, allowed: str) -> None:
        if not holds:
            wrong.append(FieldError(field, f"cannot be used; allowed: {allowed}.", value, allowed))

    require(many or callable(target), "target", repr(target), "a function, or an object with start and check")
    require(1 <= batch <= 500, "batch", batch, "1 to 500")
    require(1 <= at_least <= batch, "at_least", at_least, "1 to batch")
    require(within >= 0, "within", within, "seconds, 0 or more")
    allowed = "1 to 500" if many else "1; more for an object with start and check"
    require(1 <= slots <= (500 if many else 1), "slots", slots, allowed)
    require(not many or batch == 1, "batch", batch, "1 for an object with start and check; use slots")
    require(poll > 0, "poll", poll, "seconds, more than 0")
    require(heartbeat in ("thread", "process"), "heartbeat", heartbeat, "thread, process")
    require(limit is None or limit >= 1, "limit", limit, "1 or more, or None")
    if wrong:
        raise InvalidError("serve cannot work with these arguments.", errors=wrong)
