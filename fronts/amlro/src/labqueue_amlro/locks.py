"""Locks on files between processes; the system gives them up when their process ends, however it ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO, wait: bool) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO, wait: bool) -> None:
        # A record lock is not inherited: it ends with this process, also where it forked.
        fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def take(path: Path, *, wait: bool) -> BinaryIO | None:
    """The locked file: closing it gives the lock up. None where another process has it and `wait` is false.

    Never called for a file that this process holds: closing the second one would give up the first one's lock.
    """
    file = open(path, "a+b")  # noqa: SIM115 - open as long as it is locked
    try:
        _lock(file, wait)
    except OSError:
        file.close()
        if wait:
            raise
        return None
    return file


def write_whole(path: Path, content: bytes) -> None:
    """Replaces a file at once: a reader, or a restart after a power cut, sees the old or the new one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with open(part, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
