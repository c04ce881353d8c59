"""`python -m workers --queue train`: one worker, for one or more kinds of command, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from celery import signals
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning
from celery.worker import state

from labqueue.errors import LabqueueError
from services.broker.commands import COMMANDS
from services.observability import logs
from services.ports import Store
from services.settings import Settings, current
from workers import bootstrap
from workers.app import create_app, warm_up
from workers.identity import holder
from workers.keeping import JOBS, let_go
from workers.pulse import Pulse

log = structlog.get_logger(__name__)

#: Seconds that a running command gets to end after SIGTERM. Whatever is cut short is done again.
GRACE_SECONDS = 3.0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="labqueue-server worker", description=__doc__)
    parser.add_argument(
        "--queue", required=True, type=_queues, help=f"one or more of {','.join(COMMANDS)}, with commas"
    )
    queues: tuple[str, ...] = parser.parse_args(argv).queue
    try:
        settings = current()
    except LabqueueError as error:
        sys.exit(str(error))
    logs.configure(settings, "+".join(queues))
    _quiet()
    return run(settings, queues)


def run(settings: Settings, queues: tuple[str, ...]) -> int:
    """Serve `queues` with one pool process; returns the exit status."""
    app = create_app(settings)
    signals.setup_logging.connect(_leave_logging_alone)
    warm_up(app, queues)
    store = bootstrap.build(settings).store
    pulse = Pulse(store, "worker", holder(), lambda: _info(queues))
    signals.worker_ready.connect(lambda **_: pulse.start(), weak=False)
    signals.worker_shutting_down.connect(lambda **_: _end_soon(store), weak=False)
    worker = app.Worker(
        hostname=f"{'-'.join(queues)}.{os.getpid()}@{socket.gethostname()}",
        queues=list(queues),
        pool="prefork",
        concurrency=1,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
        loglevel=settings.log_level.upper(),
    )
    worker.start()
    return int(worker.exitcode or 0)


def _queues(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in COMMANDS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"{text!r}: known are {', '.join(COMMANDS)}.")
    return names


def _info(queues: tuple[str, ...]) -> Mapping[str, Any]:
    """What the page and the doctor show of this worker."""
    return {
        "queues": list(queues),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "commands": sum(state.total_count.values()),
        "busy": sorted({request.name for request in list(state.active_requests)}),
    }


def _quiet() -> None:
    """Leave out what our own line on each command says already, and warnings about what is meant as it is."""
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Against root, because of pickle (we take JSON alone); against not cancelling at a lost connection.
    for category in (SecurityWarning, CPendingDeprecationWarning):
        warnings.simplefilter("ignore", category)


def _leave_logging_alone(**_: object) -> None:
    """Our own configuration stands; that somebody listens is enough for Celery."""


def _end_soon(store: Store) -> None:
    """After the grace the process ends as it stands, its child with it, and the job is free for another."""
    timer = threading.Timer(GRACE_SECONDS, _end, [store])
    timer.daemon = True
    timer.start()


def _end(store: Store) -> None:
    for request in list(state.active_requests):
        command, pid = request.name.rpartition(".")[2], request.worker_pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if command in JOBS:
            with contextlib.suppress(LabqueueError):
                let_go(store, command, int(request.args[0]), holder(pid))
        log.info("stopped in the middle of a command; it is sent again", command=command)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
