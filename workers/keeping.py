"""Leases of the learning jobs: kept while a long run lasts, let go when a worker stops in the middle."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog

from labqueue.errors import UnavailableError
from services.flow.holding import LEASE
from services.ports import Store

log = structlog.get_logger(__name__)

#: Commands that hold a job's lease while they run.
JOBS = ("train", "suggest")


@contextmanager
def keep_alive(renew: Callable[[], bool], every: float = LEASE / 3) -> Iterator[None]:
    """Call `renew` each `every` seconds, in a thread, while the block lasts; until it says that the lease is lost."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(every):
            try:
                if not renew():
                    log.warning("the job went to another worker; what comes of this run is not kept")
                    return
            except UnavailableError as error:
                log.warning("the job's lease was not renewed", error=str(error))

    thread = threading.Thread(target=keep, name="keep-alive", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def let_go(store: Store, kind: str, campaign_id: int, holder: str, *, failed: bool = False) -> bool:
    """The job is free again, and this holder did not die of it. False where it is not this holder's.

    Due again at once; where it `failed`, after the usual while, or it would fail in a tight loop.
    """
    with store.begin() as tx:
        job = tx.jobs.lock(campaign_id, kind)
        if job.holder != holder:
            return False
        # The next fence: should this holder go on after all, what it writes is refused.
        free = replace(job, holder="", fence=job.fence + 1, deadline=None)
        tx.jobs.save(free if failed else replace(free, issued_at=None), issued=failed)
    return True
