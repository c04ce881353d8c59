"""The part of the store that is about files: those of results, of campaigns and of pools, and documents beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from models.domain import records as r


@dataclass(frozen=True)
class PoolRow:
    """`shown`: the features of its first columns, in order, categories by name; None: nothing is kept of them."""

    place: int
    key: str
    shown: tuple[Any, ...] | None


class Artifacts(Protocol):
    def get(self, sha256: str) -> r.Artifact | None: ...
    def add(self, artifact: r.Artifact) -> None:
        """The same bytes twice are one."""


class Documents(Protocol):
    """What edges keep beside the flow; the flow itself reads none."""

    def get(self, kind: str, parent: str, name: str) -> r.Document | None: ...
    def lock(self, kind: str, parent: str, name: str) -> r.Document | None:
        """Held against other writers until the transaction ends."""

    def put(self, documents: Sequence[r.Document]) -> None:
        """Creates them or replaces their bodies; all of different names."""

    def add(self, document: r.Document) -> bool:
        """False where there is one of that name, which stays as it is."""

    def remove(self, kind: str, parent: str, name: str) -> bool: ...
    def clear(self, kind: str, parent: str) -> int:
        """Removes all of a parent. How many."""

    def all(self, kind: str, parent: str | None = None) -> list[r.Document]:
        """In the order in which they were first put. `parent` None: of every parent."""


class Files(Protocol):
    """Files of campaigns; and keys of bytes that belong to none, not yet or not any more."""

    def get(self, campaign_id: int, name: str) -> r.File | None: ...
    def of_campaign(self, campaign_id: int) -> list[r.File]:
        """By name."""

    def count(self, campaign_id: int) -> int: ...
    def put(self, file: r.File) -> r.File:
        """Creates or replaces it, with a new revision. The campaign must be locked."""

    def remove(self, campaign_id: int, name: str) -> None: ...
    def loosen(self, keys: Sequence[str]) -> None:
        """The bytes there belong to no file from now on."""

    def hold(self, key: str) -> bool:
        """They belong to one from now on; False where they were not loose, as somebody swept them."""

    def loose(self, before: datetime, limit: int) -> list[str]:
        """Some that are loose since before then, the oldest first."""

    def forget(self, keys: Sequence[str]) -> None:
        """Nothing lies there any more."""


class Pools(Protocol):
    def add(self, pool: r.Pool, rows: Iterable[Sequence[PoolRow]]) -> r.Pool:
        """As the next version of its name. `rows` in parts; they are not asked for where the same file's are known.
        Raises ConflictError where two rows have one id."""

    def newest(self, name: str) -> r.Pool | None: ...
    def of_file(self, sha256: str) -> r.Pool | None:
        """The first that is kept in this file."""

    def versions(self, name: str) -> list[r.Pool]:
        """By version."""

    def all(self) -> list[r.Pool]:
        """The newest version of each, by name."""

    def find(self, sha256: str, keys: Sequence[str]) -> dict[str, PoolRow]:
        """Those of these rows that the file has, by id."""

    def taken(self, campaign_id: int, keys: Sequence[str]) -> set[str]:
        """Those of these rows that a campaign ran or has in flight; given up before they were run does not count."""

    def spent(self, campaign_id: int) -> list[str]:
        """Rows that a campaign ran in vain: their experiments failed or their results are suspect."""
