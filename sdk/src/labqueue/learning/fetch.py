"""Files of the server, fetched once into this user's cache, where they lie under their SHA-256."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from labqueue.backoff import Backoff
from labqueue.errors import UnavailableError
from labqueue.transport import Transport, segment

#: So many tries in a row that brought nothing end it; each one that brings something goes on where the last broke off.
TRIES = 6


def cache_folder() -> Path:
    """Where this user's programs keep what can be fetched again."""
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "labqueue" / "cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "labqueue"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "labqueue"


def fetch(transport: Transport, sha256: str, folder: Path) -> Path:
    """The file with these bytes in `folder`, whole or not at all, whatever else fetches it at the same time.

    Raises UnavailableError where the server is away or other bytes came, NotFoundError where it has no such file.
    """
    place = folder / sha256
    if place.exists():
        return place
    folder.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=folder, prefix=f"{sha256[:16]}-", suffix=".part")
    try:
        with os.fdopen(handle, "w+b") as file:
            if _fill(transport, sha256, file) != sha256:
                raise UnavailableError(f"The file {sha256[:16]} came damaged.")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.replace(beside, place)
        except PermissionError:  # Windows, where another process that was faster has it open
            if not place.exists():
                raise
    finally:
        with suppress(OSError):
            os.unlink(beside)
    return place


def _fill(transport: Transport, sha256: str, file: BinaryIO) -> str:
    """The SHA-256 of what came."""
    digest, backoff, tries = hashlib.sha256(), Backoff(most=5.0), 0
    while True:
        try:
            for part in transport.parts(f"/artifacts/{segment(sha256)}", file.tell()):
                file.write(part)
                digest.update(part)
                backoff.reset()
                tries = 0
            return digest.hexdigest()
        except UnavailableError:
            tries += 1
            if tries == TRIES:
                raise
            time.sleep(backoff.pause())
