"""dispatch: what was committed is published to the queue streams, at least once, by one relay at a time."""

from __future__ import annotations

from models.domain import records as r
from services.ports import Publisher, Store


def relay(store: Store, publisher: Publisher, limit: int = 500) -> list[r.Published]:
    """Publishes what waits in the outbox and returns it. Where the streams were lost (their epoch changed), what
    each queue holds is announced again first, in its stored order; doubles are harmless, since a claim decides.

    Raises UnavailableError where the publisher is away; nothing is lost by that.
    """
    epoch = publisher.epoch() or publisher.open_epoch()
    with store.begin() as tx:
        filled = tx.outbox.epochs()
        for queue in tx.queues.all():
            if filled.get(queue.name) != epoch:
                # What waits unpublished is part of what is announced again.
                tx.outbox.restage(queue.name)
                tx.outbox.set_epoch(queue.name, epoch)
    published: list[r.Published] = []
    while True:
        with store.begin() as tx:
            entries = tx.outbox.take(limit)
            if entries:
                publisher.publish(entries, epoch)
                tx.outbox.done([each.id for each in entries])
        published += entries
        if len(entries) < limit:
            return published
