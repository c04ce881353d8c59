"""Chooses the implementations: Postgres, Redis, the artifact store, and where ids come from."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from uuid import UUID

from services.broker.commands import CeleryCommands
from services.broker.log import BatchLog
from services.broker.publisher import RedisPublisher
from services.broker.subscriber import Subscriber
from services.broker.wake import Wake
from services.ports import Blobs, Commands, Ids, Publisher
from services.settings import Settings
from services.store.blobs import FsspecBlobs
from services.store.postgres import PostgresStore


class SystemIds:
    """The `Ids` port on the operating system's randomness."""

    def uuid(self) -> UUID:
        """Of version 7: new keys stand side by side in their index, where random ones each touch a page of their
        own (measured with a million attempts: a quarter of the log written for a claim)."""
        random = secrets.randbits(74)
        milliseconds = time.time_ns() // 1_000_000
        fields = milliseconds << 80 | 0x7 << 76 | random >> 62 << 64 | 0b10 << 62 | random & ((1 << 62) - 1)
        return UUID(int=fields)

    def seed(self) -> int:
        return secrets.randbelow(2**31)

    def secret(self) -> str:
        return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Context:
    """What the edges need. Without Redis (None) everything works but suggesting, and waking is slower."""

    settings: Settings
    store: PostgresStore
    ids: Ids
    blobs: Blobs
    publisher: Publisher | None = None
    subscriber: Subscriber | None = None
    batches: BatchLog | None = None
    wake: Wake | None = None
    commands: Commands | None = None

    def close(self) -> None:
        """Gives back every connection. May be called twice."""
        for each in (self.publisher, self.wake, self.commands):
            close = getattr(each, "close", None)
            if close is not None:
                close()
        self.store.close()


def build(settings: Settings) -> Context:
    """Connects to nothing yet: each part does when it is first used."""
    return Context(
        settings=settings,
        store=PostgresStore(
            settings.database, pool_size=settings.db_pool_size, prepared=settings.prepared_statements
        ),
        ids=SystemIds(),
        blobs=FsspecBlobs(settings.artifacts, settings.home / "cache"),
        publisher=RedisPublisher(settings.redis),
        subscriber=Subscriber(settings.redis),
        batches=BatchLog(settings.redis),
        wake=Wake(settings.redis),
        commands=CeleryCommands(settings),
    )
