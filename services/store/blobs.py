"""Artifacts in any place that fsspec knows: a local folder, S3, and so on. Named by their SHA-256."""

from __future__ import annotations

import os
import uuid
from typing import Any

import fsspec

from labqueue.errors import UnavailableError


class FsspecBlobs:
    """The `Blobs` port under one fsspec address. Nothing is touched before the first call.

    A blob appears whole or not at all: it is written beside its place and then moved there.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened: tuple[Any, str] | None = None

    def write(self, sha256: str, body: bytes) -> None:
        system, path = self._place(sha256)
        beside = f"{path}.{uuid.uuid4().hex}.part"
        try:
            if system.exists(path):
                return
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
            with system.open(beside, "wb") as file:
                file.write(body)
                _sync(file)
            system.mv(beside, path)
        except OSError as error:
            raise _unavailable(error) from error

    def read(self, sha256: str) -> bytes | None:
        """None where there is no such blob."""
        system, path = self._place(sha256)
        try:
            with system.open(path, "rb") as file:
                body: bytes = file.read()
                return body
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unavailable(error) from error

    def _place(self, sha256: str) -> tuple[Any, str]:
        if self._opened is None:
            self._opened = fsspec.url_to_fs(self._url)
        system, root = self._opened
        return system, f"{root.rstrip('/')}/{sha256[:2]}/{sha256}"


def _sync(file: Any) -> None:
    """On a local disk: not only in the operating system's memory when we say that it is kept."""
    file.flush()
    if hasattr(file, "fileno"):
        try:
            number = file.fileno()
        except OSError:
            return
        os.fsync(number)


def _unavailable(error: OSError) -> UnavailableError:
    return UnavailableError(f"The artifact store does not answer: {error.strerror or type(error).__name__}.")
