"""The rest of the world: ids and chance, queues and commands, files, webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Protocol
from uuid import UUID

from models.domain import records as r


class Ids(Protocol):
    """Where ids and randomness come from."""

    def uuid(self) -> UUID: ...
    def seed(self) -> int:
        """For a campaign that names none: 0 <= seed < 2**31."""

    def secret(self) -> str:
        """256 bits, URL-safe."""


class Publisher(Protocol):
    """The queue streams. Everything in it may disappear at any time."""

    def epoch(self) -> str | None:
        """Our key together with the server's run id; None where the key is gone."""

    def open_epoch(self) -> str:
        """Writes a new key; the epoch from now on."""

    def publish(self, entries: Sequence[r.Published], epoch: str) -> None: ...


class Commands(Protocol):
    """Sends short commands to the workers; may lose or double them."""

    def send(self, name: str, *arguments: Any) -> None:
        """`train(campaign_id)`, `suggest(campaign_id)`, `inquire(inquiry id)`, `notify(webhook id)`. Raises
        UnavailableError where the broker is away."""

    def waiting(self, name: str) -> int:
        """How many such commands no worker has taken yet. Raises UnavailableError."""


class Blob(Protocol):
    """Bytes on their way into the store."""

    def write(self, part: bytes) -> None: ...
    def keep(self) -> tuple[str, int]:
        """From now on they are there, under their SHA-256 and with this size."""


class Blobs(Protocol):
    """Where artifacts lie, by SHA-256; and beside them what changes, by keys of its owner."""

    def write(self, sha256: str, body: bytes) -> None: ...
    def open(self, sha256: str) -> BinaryIO | None:
        """Its bytes, to be read from any place of them and closed; None where there is no such blob."""

    def begin(self) -> AbstractContextManager[Blob]:
        """Bytes that come in parts. Left without `keep`, nothing of them stays."""

    def path(self, sha256: str) -> str:
        """A local file with these bytes, fetched where the store is elsewhere. Raises NotFoundError."""

    def put(self, key: str, body: BinaryIO) -> tuple[str, int]:
        """Copies all of `body` to a place of its own, apart from what lies by SHA-256: its SHA-256 and size. A key is
        used once; its bytes are whole when this returns."""

    def get(self, key: str) -> BinaryIO | None:
        """What `put` left there, to be read and closed; None where there is nothing."""

    def remove(self, key: str) -> None:
        """What `put` left there, if anything."""


class Courier(Protocol):
    """Delivers webhooks."""

    def post(self, url: str, body: bytes, signature: str) -> int:
        """The HTTP status. Raises UnavailableError where none came."""
