"""What the flow needs from outside, as Protocols.

Contract of every port, held by one suite on the real thing and on the fake (`tests/contracts`):

* A transaction sees the database's time, commits when its block ends and undoes everything when the block
  raises. `lock` and `pick` hold rows until then; several rows are locked in the order of their ids.
* Values are frozen: `add` returns the stored value (with ids), `save` writes every field that may change.
* An unknown name or id is None or absent from the answer, never an error; what the unique keys forbid raises
  `ConflictError`; a database that does not answer raises `UnavailableError`.
"""

from __future__ import annotations

from .files import Artifacts, Documents, Files, PoolRow, Pools
from .learning import Chosen, Fitted, HeldOut, Learner, Snapshot, Suggested
from .outside import Blob, Blobs, Commands, Courier, Ids, Publisher
from .store import (
    Attempts,
    Batches,
    Campaigns,
    Claims,
    Events,
    Experiments,
    Inquiries,
    Instruments,
    Jobs,
    Liveness,
    Models,
    Outbox,
    Queues,
    Results,
    Seats,
    Store,
    Suggestions,
    Tokens,
    Transaction,
    Webhooks,
)

__all__ = [
    "Artifacts",
    "Attempts",
    "Batches",
    "Blob",
    "Blobs",
    "Campaigns",
    "Chosen",
    "Claims",
    "Commands",
    "Courier",
    "Documents",
    "Events",
    "Experiments",
    "Files",
    "Fitted",
    "HeldOut",
    "Ids",
    "Inquiries",
    "Instruments",
    "Jobs",
    "Learner",
    "Liveness",
    "Models",
    "Outbox",
    "PoolRow",
    "Pools",
    "Publisher",
    "Queues",
    "Results",
    "Seats",
    "Snapshot",
    "Store",
    "Suggested",
    "Suggestions",
    "Tokens",
    "Transaction",
    "Webhooks",
]
