"""The spool: a folder for each instrument with the journal, the files of results, and a lock.

One adapter at a time serves from a spool. People may look into it meanwhile (`labqueue spool`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Union
from urllib.parse import quote

from .errors import ConflictError
from .journal import Entry, Journal, SpoolError
from .measured import Artifact

if TYPE_CHECKING:
    from typing_extensions import Self

#: Below this much free space, in bytes, nothing new is claimed.
SPACE = 32 * 1024 * 1024
JOURNAL, LOCK, FILES, PART = "journal.sqlite3", "lock", "files", "part-"

PathLike = Union[str, "os.PathLike[str]"]

#: Folders that this process serves from: a file lock does not keep a process from itself.
_open_here: set[str] = set()
_open_lock = threading.Lock()


class Spool:
    """An instrument's spool in `folder`, for the server at `url`.

    lock=False opens it beside the adapter that serves from it, to look and to repair.
    Raises ConflictError when another adapter serves from it, SpoolError when it cannot be used.
    """

    def __init__(self, folder: PathLike, url: str = "", *, lock: bool = True) -> None:
        self.folder = Path(folder)
        self._lock: BinaryIO | None = None
        #: Files that were kept and whose result is not in the journal yet.
        self._fresh: set[str] = set()
        self._keeping = threading.Lock()
        try:
            (self.folder / FILES).mkdir(parents=True, exist_ok=True, mode=0o700)
            if lock:
                self._lock = _take(self.folder)
        except OSError as error:
            raise SpoolError(f"The spool {self.folder} cannot be used: {error.strerror or error}.") from error
        try:
            self.journal = Journal(self.folder / JOURNAL, url)
        except SpoolError:
            self._unlock()
            raise

    def close(self) -> None:
        self.journal.close()
        self._unlock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- room

    def has_room(self) -> bool:
        """Whether the disk has room for what a run leaves behind."""
        try:
            return shutil.disk_usage(self.folder).free >= SPACE
        except OSError:
            return False

    # -- files

    def keep(self, path: str) -> Artifact:
        """Copies a file in, on the disk before this returns. Raises OSError where it cannot."""
        digest, size = hashlib.sha256(), 0
        handle, name = tempfile.mkstemp(dir=self.folder / FILES, prefix=f"{PART}{os.getpid()}-")
        try:
            with os.fdopen(handle, "wb") as copy, open(path, "rb") as source:
                for block in iter(lambda: source.read(1 << 20), b""):
                    digest.update(block)
                    size += len(block)
                    copy.write(block)
                copy.flush()
                os.fsync(copy.fileno())
            with self._keeping:
                self._fresh.add(digest.hexdigest())
                os.replace(name, self.file(digest.hexdigest()))
        except BaseException:
            Path(name).unlink()
            raise
        return Artifact(Path(path).name, digest.hexdigest(), size)

    def file(self, sha256: str) -> Path:
        return self.folder / FILES / sha256

    def recorded(self, entries: Iterable[Entry]) -> None:
        """The journal knows these, and with them which files are needed."""
        self._fresh.difference_update(file.sha256 for entry in entries for file in entry.files)

    def sweep(self) -> None:
        """Deletes the files that no unacknowledged result needs, and what an interrupted copy left."""
        with self._keeping:
            needed = self.journal.needed_files() | self._fresh
            for path in (self.folder / FILES).iterdir():
                if path.name not in needed and not path.name.startswith(PART + str(os.getpid())):
                    try:
                        path.unlink()
                    except OSError:
                        continue  # open elsewhere, on Windows: the next sweep gets it

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
            with _open_lock:
                _open_here.discard(str(self.folder.resolve()))


def _take(folder: Path) -> BinaryIO:
    """The locked file; it holds the number of this process."""
    path, here = folder / LOCK, str(folder.resolve())
    with _open_lock:
        if here in _open_here:
            raise _in_use(folder, str(os.getpid()))
        file = open(path, "a+b")  # noqa: SIM115 - open as long as this spool is
        try:
            _lock_file(file)
        except OSError:
            file.seek(0)
            holder = file.read(20).decode("ascii", "replace")
            file.close()
            raise _in_use(folder, holder) from None
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
        _open_here.add(here)
    return file


def _in_use(folder: Path, holder: str) -> ConflictError:
    return ConflictError(
        f"Another adapter (process {holder or 'unknown'}) serves from the spool {folder}. "
        "Stop it first, or give this one another instrument name or another spool folder."
    )


if sys.platform == "win32":
    import msvcrt

    def _lock_file(file: BinaryIO) -> None:
        # Far behind the process id, which must stay readable for others.
        file.seek(1 << 30)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock_file(file: BinaryIO) -> None:
        # A record lock ends with this process, even where a child inherited the file.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def state_folder() -> Path:
    """Where this user's programs keep their state."""
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "labqueue"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "labqueue"
    return Path(os.environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "labqueue"


def default_folder(instrument: str) -> Path:
    """The spool of an instrument where none is named."""
    return state_folder() / quote(instrument, safe="").replace(".", "%2E")
