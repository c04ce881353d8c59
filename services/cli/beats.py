"""When a part of Labqueue on one machine last said that it lives."""

from __future__ import annotations

from services.settings import Settings
from services.store.postgres import PostgresStore


def last_beat(settings: Settings, part: str, host: str) -> float | None:
    """Seconds since the newest beat on `host` of the janitor, or of a worker that serves the queue `part`; None
    where there was none within a day."""
    store = PostgresStore(settings.database, pool_size=1, prepared=settings.prepared_statements)
    try:
        with store.begin() as tx:
            beats = tx.liveness.workers()
    finally:
        store.close()
    mine = [
        seconds
        for kind, _, seconds, info in beats
        if info.get("host") == host and (kind == part or part in info.get("queues", ()))
    ]
    return min(mine, default=None)
