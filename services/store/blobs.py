"""Artifacts in any place that fsspec knows: a local folder, S3, and so on. Named by their SHA-256."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from labqueue.errors import NotFoundError, UnavailableError

#: What is copied at once, in bytes.
PART = 1 << 20


class FsspecBlobs:
    """The `Blobs` port under one fsspec address. Nothing is touched before the first call.

    A blob appears whole or not at all: it is written beside its place and then moved there. `cache`: a local folder
    for what is read as a file where the address is no local one.
    """

    def __init__(self, url: str, cache: Path) -> None:
        self._url = url
        self._cache = cache
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

    def open(self, sha256: str) -> BinaryIO | None:
        """Its bytes, to be read from any place of them and closed; None where there is no such blob."""
        return _bytes_at(*self._place(sha256))

    @contextmanager
    def begin(self) -> Iterator[Blob]:
        """Bytes that come in parts. Left without `keep`, nothing of them stays."""
        system, root = self._root()
        beside = f"{root}/parts/{uuid.uuid4().hex}.part"
        try:
            system.makedirs(f"{root}/parts", exist_ok=True)
            with system.open(beside, "wb") as file:
                yield Blob(self, file, beside)
        except OSError as error:
            raise _unavailable(error) from error
        finally:
            with suppress(OSError):  # moved to its place where it was kept
                system.rm(beside)

    def path(self, sha256: str) -> str:
        """A local file with these bytes. Raises NotFoundError."""
        system, path = self._place(sha256)
        near = Path(path) if _is_local(system) else self._cache / sha256
        try:
            if not near.exists() and not _is_local(system):
                self._cache.mkdir(parents=True, exist_ok=True)
                beside = near.with_name(f"{sha256}.{uuid.uuid4().hex}.part")
                system.get_file(path, str(beside))
                beside.replace(near)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _unavailable(error) from error
        if not near.exists():
            raise NotFoundError(f"There is no artifact {sha256}.")
        return str(near)

    def put(self, key: str, body: BinaryIO) -> tuple[str, int]:
        """Nobody reads a key before this returns: it is written where it stays."""
        system, path = self._own(key)
        digest, size = hashlib.sha256(), 0
        try:
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
            with system.open(path, "wb") as file:
                while part := body.read(PART):
                    file.write(part)
                    digest.update(part)
                    size += len(part)
                _sync(file)
        except OSError as error:
            raise _unavailable(error) from error
        return digest.hexdigest(), size

    def get(self, key: str) -> BinaryIO | None:
        return _bytes_at(*self._own(key))

    def remove(self, key: str) -> None:
        system, path = self._own(key)
        try:
            system.rm_file(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _unavailable(error) from error

    def _own(self, key: str) -> tuple[Any, str]:
        """No SHA-256 begins with `files`."""
        system, root = self._root()
        return system, f"{root}/files/{key}"

    def _place(self, sha256: str) -> tuple[Any, str]:
        system, root = self._root()
        return system, f"{root}/{sha256[:2]}/{sha256}"

    def _root(self) -> tuple[Any, str]:
        if self._opened is None:
            self._opened = fsspec.url_to_fs(self._url)
        system, root = self._opened
        return system, root.rstrip("/")


class Blob:
    """The `Blob` port: a file that is being written."""

    def __init__(self, blobs: FsspecBlobs, file: Any, beside: str) -> None:
        self._blobs, self._file, self._beside = blobs, file, beside
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, part: bytes) -> None:
        self._file.write(part)
        self._digest.update(part)
        self._size += len(part)

    def keep(self) -> tuple[str, int]:
        """From now on the bytes are there, under their SHA-256 and with this size."""
        _sync(self._file)
        self._file.close()
        sha256 = self._digest.hexdigest()
        system, path = self._blobs._place(sha256)
        if not system.exists(path):
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
            system.mv(self._beside, path)
        return sha256, self._size


def _bytes_at(system: Any, path: str) -> BinaryIO | None:
    try:
        file: BinaryIO = system.open(path, "rb")
        return file
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unavailable(error) from error


def _is_local(system: Any) -> bool:
    return "file" in (system.protocol if isinstance(system.protocol, tuple) else (system.protocol,))


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
