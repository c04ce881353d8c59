"""What stands beside the work: news of it and who hears of them, who may come in, what was uploaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from .work import Json


@dataclass(frozen=True)
class Event:
    """Something that became true. `number` is given right after commit, gapless, in order of visibility."""

    type: str
    actor: str
    campaign_id: int | None = None
    experiment_id: int | None = None
    attempt: UUID | None = None
    queue: str | None = None
    instrument: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    teaches: bool = False  # changes what training may use
    accepts: int = 0  # accepted results that it stands for
    result_seq: int | None = None  # the result whose revision its number becomes
    number: int | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Published:
    """An outbox row: one entry for a queue's stream, written with what it announces."""

    queue: str
    kind: str  # batch, withdrawn
    body: Json
    id: int = 0


@dataclass(frozen=True)
class Webhook:
    """A URL that hears of events; `cursor` is the last number delivered."""

    id: UUID
    url: str
    types: tuple[str, ...]
    campaign_id: int | None
    secret: str
    cursor: int
    failures: int = 0
    retry_at: datetime | None = None
    state: str = "active"
    created_at: datetime | None = None


@dataclass(frozen=True)
class Token:
    """A bearer token: hashed, shown once, scoped."""

    id: UUID
    name: str
    prefix: str
    sha256: str
    scopes: tuple[str, ...]
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class Document:
    """What an edge remembers beside the flow: of some kind, part of something, under a name."""

    kind: str
    parent: str
    name: str
    body: Json
    id: int = 0
    changed_at: datetime | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class File:
    """In a campaign's folder, for the program that drives it: named, replaced whole.

    revision: another one with every change, never used again. before: the one that it replaced; None where there was
    no such file. key: where the bytes lie, which no other content shares.
    """

    campaign_id: int
    name: str
    sha256: str
    size: int
    key: str
    actor: str
    before: int | None = None
    revision: int = 0
    changed_at: datetime | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class Artifact:
    """Bytes kept under their SHA-256."""

    sha256: str
    size: int
    media_type: str
    actor: str
    created_at: datetime | None = None


@dataclass(frozen=True)
class Pool:
    """Rows that may be run, as uploaded. The same name with other rows is a further version; campaigns keep theirs."""

    id: int
    name: str
    version: int
    sha256: str  # of the file that its features are kept in
    size: int  # of that file, bytes
    rows: int
    columns: Json  # [{name, kind: number, low, high, mean, sd} or {name, kind: category, categories}]
    actor: str
    created_at: datetime | None = None
