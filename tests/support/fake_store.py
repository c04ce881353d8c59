"""The store in memory: the contract of `services.ports` without a database, held to the same suite.

One transaction at a time, for the whole store; a failed one is undone. Numbers, order and conflicts are those
of the real thing; only its concurrency is not: nobody ever waits for, or skips, a locked row.
"""

from __future__ import annotations

import base64
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from fake_files import FakeFiles
from fake_learning import (
    FakeArtifacts,
    FakeDocuments,
    FakeInquiries,
    FakeJobs,
    FakeLiveness,
    FakeModels,
    FakeSeats,
    FakeSuggestions,
    FakeTokens,
    FakeWebhooks,
)
from fake_pools import FakePools
from fake_records import FakeBatches, FakeCampaigns, FakeEvents, FakeOutbox, FakeQueues, FakeResults
from fake_rows import Clock, Rows
from fake_runs import FakeAttempts, FakeClaims, FakeExperiments, FakeInstruments

from services import ports


class FakeClock:
    """A clock that stands still until it is told to go on. No two begin at the same moment, as no two databases do."""

    _made = count()

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 1, 8, tzinfo=UTC) + timedelta(microseconds=next(self._made))

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> datetime:
        self._now += timedelta(seconds=seconds)
        return self._now


class FakeIds:
    """The same ids and secrets for the same seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def uuid(self) -> UUID:
        return UUID(int=self._random.getrandbits(128), version=4)

    def seed(self) -> int:
        return self._random.getrandbits(31)

    def secret(self) -> str:
        return base64.urlsafe_b64encode(self._random.randbytes(32)).rstrip(b"=").decode()


class FakeTransaction:
    """`services.ports.Transaction` on rows in memory."""

    def __init__(self, rows: Rows, clock: Clock) -> None:
        self._clock = clock
        self.queues = FakeQueues(rows, clock)
        self.campaigns = FakeCampaigns(rows, clock)
        self.experiments = FakeExperiments(rows, clock)
        self.attempts = FakeAttempts(rows, clock)
        self.instruments = FakeInstruments(rows, clock)
        self.claims = FakeClaims(rows, clock)
        self.batches = FakeBatches(rows, clock)
        self.results = FakeResults(rows, clock)
        self.events = FakeEvents(rows, clock)
        self.outbox = FakeOutbox(rows, clock)
        self.jobs = FakeJobs(rows, clock)
        self.models = FakeModels(rows, clock)
        self.seats = FakeSeats(rows, clock)
        self.suggestions = FakeSuggestions(rows, clock)
        self.inquiries = FakeInquiries(rows, clock)
        self.tokens = FakeTokens(rows, clock)
        self.artifacts = FakeArtifacts(rows, clock)
        self.documents = FakeDocuments(rows, clock)
        self.files = FakeFiles(rows, clock)
        self.pools = FakePools(rows, clock)
        self.webhooks = FakeWebhooks(rows, clock)
        self.liveness = FakeLiveness(rows, clock)

    def now(self) -> datetime:
        return self._clock.now()


class FakeStore:
    """`services.ports.Store` in memory."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or FakeClock()
        self._rows = Rows()
        self._lock = threading.Lock()
        self._holder: int | None = None

    @contextmanager
    def begin(self) -> Iterator[ports.Transaction]:
        if self._holder == threading.get_ident():
            raise RuntimeError("A transaction inside a transaction would wait for itself.")
        with self._lock:
            self._holder = threading.get_ident()
            before = self._rows.copy()
            try:
                yield FakeTransaction(self._rows, self.clock)
                if self._rows.broken is not None:
                    raise self._rows.broken
            except BaseException:
                self._rows.restore(before)
                raise
            finally:
                self._holder = None
