"""The lease of a learning job: short, so that a dead holder is soon replaced, and renewed while the work lasts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from models.domain import records as r
from services.ports import Store

LEASE = 15.0  # seconds

#: Runs its argument now and then while the block lasts, so that the job's lease goes on.
KeepAlive = Callable[[Callable[[], bool]], AbstractContextManager[None]]


def no_keeping(renew: Callable[[], bool]) -> AbstractContextManager[None]:
    """For work that is done long before the lease ends."""
    return nullcontext()


def renewal(store: Store, job: r.Job) -> Callable[[], bool]:
    """Renews the lease in a transaction of its own; false where it went to another holder."""

    def renew() -> bool:
        with store.begin() as tx:
            return tx.jobs.renew(job, LEASE)

    return renew
