"""Says in Postgres, each few seconds, that this worker is there and what it does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from labqueue.errors import UnavailableError
from services.ports import Store

log = structlog.get_logger(__name__)

SECONDS = 10.0
RETRY_SECONDS = 1.0
#: A worker that was silent for so long is taken for dead.
DEAD_SECONDS = 3 * SECONDS


class Pulse:
    """A thread that beats until `stop`, and then says goodbye. `info` is asked at each beat."""

    def __init__(
        self,
        store: Store,
        kind: str,
        holder: str,
        info: Callable[[], Mapping[str, Any]],
        every: float = SECONDS,
    ) -> None:
        self._store, self._kind, self._holder, self._info, self._every = store, kind, holder, info, every
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def beat(self) -> None:
        with self._store.begin() as tx:
            tx.liveness.beat(self._kind, self._holder, self._info())

    def _run(self) -> None:
        while not self._stopped.wait(self._every if self._said(self.beat) else RETRY_SECONDS):
            continue
        self._said(self._leave)

    def _leave(self) -> None:
        with self._store.begin() as tx:
            tx.liveness.leave(self._kind, self._holder)

    def _said(self, say: Callable[[], None]) -> bool:
        try:
            say()
        except UnavailableError as error:
            log.warning("no heartbeat: the database is away", error=str(error))
        except Exception:
            log.exception("no heartbeat")
        else:
            return True
        return False
