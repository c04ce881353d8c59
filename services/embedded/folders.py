"""Folders that belong to one launcher at a time, and what an earlier launcher may have left in them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import stat
import subprocess
import time
from pathlib import Path

from labqueue.errors import ConflictError, UnavailableError


class FolderLock:
    """Held by one process at a time; the operating system frees it when that process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def take(self) -> bool:
        """Take the lock unless it is already ours; whether its last holder ended without freeing it.

        Raises ConflictError naming the process that has it.
        """
        if self._file is not None:
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 32).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise ConflictError(
                f"{self.path.parent} is in use by another Labqueue (process {holder}). "
                "Stop that one, or set LABQUEUE_HOME to another folder."
            ) from None
        unfreed = os.fstat(file).st_size > 0
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        self._file = file
        return unfreed

    def free(self) -> None:
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None


def private_folder(path: Path) -> Path:
    """Make `path` a folder that only we can enter. Raises UnavailableError when somebody else made it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or (found.st_uid != os.geteuid() and os.geteuid() != 0):
        raise UnavailableError(
            f"{path} is not a folder of ours. Remove it, or set LABQUEUE_HOME to another folder."
        )
    path.chmod(0o700)
    return path


def read_pid(pid_file: Path) -> int | None:
    """The process id on the first line of `pid_file`; None when there is none."""
    try:
        return int(pid_file.read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None


def works_in(pid: int, folder: Path) -> bool:
    """Whether `pid` is a live process (a zombie is not) that works in `folder`."""
    process = Path("/proc") / str(pid)
    if Path("/proc/self").exists():
        try:
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            return state not in "ZX" and os.path.samefile(process / "cwd", folder)
        except OSError:
            return False
    return _works_in_by_ps(pid, folder)


def _works_in_by_ps(pid: int, folder: Path) -> bool:
    # Without /proc: both servers show their folder in their command line.
    shown = subprocess.run(
        ["ps", "-ww", "-o", "stat=,command=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(shown) and not shown.startswith("Z") and str(folder) in shown


def end_leftover(pid_file: Path, folder: Path, stop_signal: signal.Signals, seconds: float = 30.0) -> None:
    """End the server that an earlier launcher left behind in `folder`, if there is one.

    Only for the holder of the folder's lock: with the lock in hand, a server that lives there is nobody's.
    Raises UnavailableError when it does not end in time.
    """
    pid = read_pid(pid_file)
    if pid is None or not works_in(pid, folder):
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, stop_signal)
    deadline = time.monotonic() + seconds
    while works_in(pid, folder):
        if time.monotonic() > deadline:
            raise UnavailableError(f"process {pid} still works in {folder}. End it, then start again.")
        time.sleep(0.02)
