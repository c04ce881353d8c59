"""A queue class for PhysicsNeMo's own Driver: `queue_cls=LabqueueQueue`.

What the driver puts lies in Labqueue until it is taken, and shows there. It knows no acknowledgement: an item that
was taken is gone from the queue, as with any other. The server is LABQUEUE_URL.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from labqueue.client import Client

from .items import item_from, payload_of, text_of
from .labelling import OUTPUT
from .run import Patience, Run

LEASE = 60.0
ATTEMPTS = 1000


class LabqueueQueue:
    """First in, first out; a campaign and a queue of its own on the server.

    Safe to use from several threads; `put` and `get` raise what labqueue.Client raises.
    """

    def __init__(self) -> None:
        self.client = Client(retry_for=600.0)
        self.name = f"physicsnemo-queue-{uuid.uuid4()}"
        self._run = Run(self.client, self.name, self.name, lease=LEASE, attempts=ATTEMPTS)

    def put(self, item: Any) -> None:
        payload = payload_of(self.client, text_of(item), {"run": self.name})
        self._run.stage(str(uuid.uuid4()), [payload], "")

    def get(self) -> Any:
        """The next item; waits until there is one."""
        key = str(uuid.uuid4())
        patience = Patience()
        while True:
            claimed = self.client.claim(
                self.name, instrument=self.name, adapter=self.name, key=key, wait=10.0
            )
            if claimed.experiments:
                break
            key = str(uuid.uuid4())
            patience.sleep()
        [given] = claimed.experiments
        item = item_from(self.client, given.payload)
        self.client.start([given.lease])
        taken = {
            "id": str(uuid.uuid4()),
            "experiment": given.experiment,
            "lease": given.lease,
            "outputs": {OUTPUT: 1},
        }
        self.client.post_results([taken])
        return item

    def empty(self) -> bool:
        return self._run.unlabelled() == 0

    def to_list(self) -> list[Any]:
        """What is in it, without taking anything."""
        rows = sorted(self.client.experiments(self.name, "staged"), key=lambda each: each["id"])
        return [item_from(self.client, each["payload"]) for each in rows]

    def from_list(self, items: Iterable[Any]) -> None:
        """Holds these, and nothing else."""
        for each in list(self.client.experiments(self.name, "staged")):
            self.client.cancel(each["id"], "the queue was loaded from a checkpoint")
        for item in items:
            self.put(item)
