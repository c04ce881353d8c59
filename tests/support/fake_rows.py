"""Rows in memory, and what every port of the fake store does with them."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from labqueue.errors import ConflictError
from models.domain import records as r
from services.ports import PoolRow

T = TypeVar("T")


class Clock(Protocol):
    def now(self) -> datetime: ...


class Rows:
    """Every table as a dict by its key. Values are frozen, so a copy of the dicts is a copy of everything."""

    def __init__(self) -> None:
        self.serials: dict[str, int] = {}
        self.owners: dict[str, float] = {}
        self.queues: dict[str, r.Queue] = {}
        self.campaigns: dict[int, r.Campaign] = {}
        self.versions: dict[tuple[int, str, int], tuple[r.Json, str, str, datetime]] = {}
        self.experiments: dict[int, r.Experiment] = {}
        self.attempts: dict[UUID, r.Attempt] = {}
        self.instruments: dict[str, r.Instrument] = {}
        self.met: dict[str, datetime] = {}  # instruments: when each was first heard of
        self.claims: dict[str, r.Claim] = {}
        self.claimed: dict[str, datetime] = {}  # claims: when each was made
        self.batches: dict[tuple[int, str], r.StagedBatch] = {}
        self.results: dict[int, r.Result] = {}
        self.revisions: dict[int, int] = {}
        self.retired: dict[int, int] = {}
        self.dismissed: dict[int, datetime] = {}  # results of no use: when
        self.readings: dict[int, r.Reading] = {}
        self.events: dict[int, r.Event] = {}
        self.outbox: dict[int, r.Published] = {}
        self.epochs: dict[str, str] = {}
        self.jobs: dict[tuple[int, str], r.Job] = {}
        self.models: dict[tuple[int, int], r.Model] = {}
        self.seats: dict[int, r.Seat] = {}
        self.suggestions: dict[int, r.Suggestion] = {}
        self.inquiries: dict[UUID, r.Inquiry] = {}
        self.tokens: dict[UUID, r.Token] = {}
        self.artifacts: dict[str, r.Artifact] = {}
        self.documents: dict[tuple[str, str, str], r.Document] = {}
        self.files: dict[tuple[int, str], r.File] = {}
        self.loose: dict[str, datetime] = {}  # keys of bytes that belong to no file: since when
        self.pools: dict[int, r.Pool] = {}
        self.pool_rows: dict[str, dict[str, PoolRow]] = {}  # by file
        self.webhooks: dict[UUID, r.Webhook] = {}
        self.stamps: dict[int, datetime] = {}
        self.leases: dict[str, tuple[str, datetime]] = {}
        self.workers: dict[tuple[str, str], tuple[datetime, Any]] = {}
        self.broken: ConflictError | None = None

    def copy(self) -> dict[str, dict[Any, Any]]:
        return {name: dict(table) for name, table in vars(self).items() if isinstance(table, dict)}

    def restore(self, tables: dict[str, dict[Any, Any]]) -> None:
        vars(self).update(tables)
        self.broken = None

    def next(self, table: str) -> int:
        self.serials[table] = self.serials.get(table, 0) + 1
        return self.serials[table]

    def conflict(self, message: str) -> ConflictError:
        """As in Postgres, a transaction that met one can only be undone: leaving its block raises it again."""
        self.broken = self.broken or ConflictError(message)
        return self.broken


class Port:
    def __init__(self, rows: Rows, clock: Clock) -> None:
        self.rows = rows
        self.clock = clock


def plain(value: Any) -> Any:
    """JSON as it comes back from a database: lists for tuples, nothing shared with the caller."""
    return json.loads(json.dumps(value, allow_nan=False))


def stored(value: T, *fields: str, **changes: Any) -> T:
    """`value` with its JSON `fields` made plain and with `changes`."""
    made = {name: plain(getattr(value, name)) for name in fields}
    return dataclasses.replace(value, **made, **changes)  # type: ignore[type-var]
