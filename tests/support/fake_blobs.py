"""Blobs in memory, with a folder for those that are read as files."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from labqueue.errors import NotFoundError


class FakeBlob:
    def __init__(self, blobs: FakeBlobs) -> None:
        self._blobs = blobs
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> None:
        self._parts.append(part)

    def keep(self) -> tuple[str, int]:
        body = b"".join(self._parts)
        sha256 = hashlib.sha256(body).hexdigest()
        self._blobs.write(sha256, body)
        return sha256, len(body)


class FakeBlobs:
    """`services.ports.Blobs`. `folder`: where `path` puts its files; without one it has none."""

    def __init__(self, folder: Path | None = None) -> None:
        self.bytes: dict[str, bytes] = {}
        self.own: dict[str, bytes] = {}
        self._folder = folder

    def write(self, sha256: str, body: bytes) -> None:
        self.bytes[sha256] = body

    def open(self, sha256: str) -> BinaryIO | None:
        body = self.bytes.get(sha256)
        return None if body is None else io.BytesIO(body)

    @contextmanager
    def begin(self) -> Iterator[FakeBlob]:
        yield FakeBlob(self)

    def path(self, sha256: str) -> str:
        if sha256 not in self.bytes or self._folder is None:
            raise NotFoundError(f"There is no artifact {sha256}.")
        place = self._folder / sha256
        if not place.exists():
            place.write_bytes(self.bytes[sha256])
        return str(place)

    def put(self, key: str, body: BinaryIO) -> tuple[str, int]:
        self.own[key] = body.read()
        return hashlib.sha256(self.own[key]).hexdigest(), len(self.own[key])

    def get(self, key: str) -> BinaryIO | None:
        body = self.own.get(key)
        return None if body is None else io.BytesIO(body)

    def remove(self, key: str) -> None:
        self.own.pop(key, None)
