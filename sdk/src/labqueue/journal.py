"""The journal of an instrument computer: what was asked, claimed, started, measured and sent, in SQLite.

Every method that writes returns only when the change is on the disk (synchronous=FULL). SpoolError says that
it is not. One connection behind a lock; any thread may call.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from .answers import Assignment
from .errors import NotFoundError, UnavailableError

#: Attempts: held and not begun; about to begin (hardware has not moved); running; its end is in the outbox; over.
CLAIMED, STARTING, STARTED, FINISHED, ENDED = "claimed", "starting", "started", "finished", "ended"
#: Entries of the outbox.
WAITING, ACKNOWLEDGED, REFUSED = "waiting", "acknowledged", "refused"
RESULT = "result"
#: How many finished entries are kept for people to look at.
KEPT = 1000

SCHEMA = """
CREATE TABLE IF NOT EXISTS home (name TEXT);
CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, url TEXT, queue TEXT, body TEXT, at REAL);
CREATE TABLE IF NOT EXISTS attempts (
    attempt TEXT PRIMARY KEY, lease TEXT UNIQUE, url TEXT, assignment TEXT, state TEXT, ref TEXT, at REAL
);
CREATE INDEX IF NOT EXISTS attempts_by_state ON attempts (state);
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, url TEXT, kind TEXT, attempt TEXT, lease TEXT,
    code TEXT, body TEXT, state TEXT, message TEXT DEFAULT '', at REAL, ended_at REAL
);
CREATE INDEX IF NOT EXISTS outbox_by_state ON outbox (state, seq);
CREATE INDEX IF NOT EXISTS outbox_by_attempt ON outbox (attempt);
CREATE TABLE IF NOT EXISTS files (entry TEXT, sha256 TEXT, name TEXT, size INTEGER, sent INTEGER DEFAULT 0);
CREATE INDEX IF NOT EXISTS files_of ON files (entry);
"""


class SpoolError(UnavailableError):
    """The spool on this computer cannot be written."""


@dataclass(frozen=True)
class Asked:
    """A claim whose answer never came. Asked again with the same key, its leases are found."""

    key: str
    queue: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Held:
    """An attempt of this adapter, and how far it came. `ref`: what the instrument calls the run."""

    assignment: Assignment
    state: str
    ref: Any = None


@dataclass(frozen=True)
class File:
    """A file that an entry names; its content lies in the spool."""

    sha256: str
    name: str
    size: int
    sent: bool = False


@dataclass(frozen=True)
class Entry:
    """Something that the server must hear: a result, or the report that there is none.

    kind: result, fail, cancelled or release. body: what is sent. state: waiting, acknowledged, refused.
    url: the server it is for; empty: whichever this adapter talks to. at: seconds since 1970, this clock.
    number: its place in the spool.
    """

    id: str
    kind: str
    attempt: str
    lease: str
    code: str
    body: Mapping[str, Any]
    files: tuple[File, ...] = ()
    state: str = WAITING
    message: str = ""
    url: str = ""
    at: float = 0.0
    number: int = 0


class Journal:
    """The journal in the file `path`, for the server at `url`."""

    def __init__(self, path: Path, url: str = "", now: Callable[[], float] = time.time) -> None:
        self.url, self._now = url, now
        self._lock = threading.RLock()
        with _as_spool_error(path):
            self._db = sqlite3.connect(str(path), timeout=10.0, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(SCHEMA)
        self._path = path

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _as_spool_error(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _read(self, sql: str, *values: Any) -> list[Any]:
        with self._lock, _as_spool_error(self._path):
            return self._db.execute(sql, values).fetchall()

    def home(self) -> str:
        """This spool's own name, made at its first use: only one adapter at a time can bear it."""
        with self._write() as db:
            db.execute("INSERT INTO home SELECT ? WHERE NOT EXISTS (SELECT * FROM home)", (uuid.uuid4().hex,))
            name: str = db.execute("SELECT name FROM home").fetchone()[0]
            return name

    # -- claims

    def ask(self, asked: Asked) -> None:
        """Before a claim is sent."""
        with self._write() as db:
            row = (asked.key, self.url, asked.queue, _dump(asked.body), self._now())
            db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?)", row)

    def answered(self, key: str, taken: Sequence[Assignment]) -> None:
        """The claim is answered; its leases are held from here on."""
        with self._write() as db:
            db.execute("DELETE FROM claims WHERE key = ?", (key,))
            db.executemany(
                "INSERT OR IGNORE INTO attempts VALUES (?, ?, ?, ?, ?, NULL, ?)",
                [(a.attempt, a.lease, self.url, _dump(a.body), CLAIMED, self._now()) for a in taken],
            )

    def unanswered(self) -> list[Asked]:
        """Claims of whichever incarnation that were sent, or were about to be, and have no answer."""
        rows = self._read("SELECT key, queue, body FROM claims WHERE url = ? ORDER BY at", self.url)
        return [Asked(key, queue, json.loads(body)) for key, queue, body in rows]

    # -- attempts

    def lease_seconds(self) -> float | None:
        """How long the leases last held here were."""
        rows = self._read("SELECT assignment FROM attempts ORDER BY rowid DESC LIMIT 1")
        return Assignment.from_json(json.loads(rows[0][0])).lease_seconds if rows else None

    def move(self, attempts: Sequence[str], state: str) -> None:
        with self._write() as db:
            db.executemany(
                "UPDATE attempts SET state = ? WHERE attempt = ?", [(state, each) for each in attempts]
            )

    def refer(self, attempt: str, ref: Any) -> None:
        """What the instrument calls this run."""
        with self._write() as db:
            db.execute("UPDATE attempts SET ref = ? WHERE attempt = ?", (_dump(ref), attempt))

    def adopt(self, assignment: Assignment, ref: Any) -> None:
        """A run that was found on the instrument although this journal did not know it."""
        with self._write() as db:
            row = (assignment.attempt, assignment.lease, self.url, _dump(assignment.body), STARTED)
            db.execute("INSERT OR IGNORE INTO attempts VALUES (?, ?, ?, ?, ?, NULL, ?)", (*row, self._now()))
            found = (STARTED, _dump(ref), assignment.attempt)
            db.execute("UPDATE attempts SET state = ?, ref = ? WHERE attempt = ?", found)

    def held(self, attempt: str) -> Held | None:
        rows = self._read("SELECT assignment, state, ref FROM attempts WHERE attempt = ?", attempt)
        return _held(rows[0]) if rows else None

    def unfinished(self) -> list[Held]:
        """Attempts whose end is not yet in the outbox, in the order of their claims."""
        rows = self._read(
            "SELECT assignment, state, ref FROM attempts WHERE state IN (?, ?, ?) AND url = ? ORDER BY rowid",
            CLAIMED, STARTING, STARTED, self.url,
        )  # fmt: skip
        return [_held(row) for row in rows]

    # -- the outbox

    def finish(self, entries: Sequence[Entry]) -> None:
        """How these attempts ended, all in one commit. The same entry twice is one."""
        with self._write() as db:
            for one in entries:
                row = (one.id, self.url, one.kind, one.attempt, one.lease, one.code, _dump(one.body), WAITING)
                added = db.execute(
                    "INSERT OR IGNORE INTO outbox (id, url, kind, attempt, lease, code, body, state, at)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*row, self._now()),
                ).rowcount
                if not added:
                    continue
                db.executemany(
                    "INSERT INTO files (entry, sha256, name, size) VALUES (?, ?, ?, ?)",
                    [(one.id, each.sha256, each.name, each.size) for each in one.files],
                )
                db.execute("UPDATE attempts SET state = ? WHERE attempt = ?", (FINISHED, one.attempt))

    def waiting(self, after: int = 0, limit: int = 200) -> list[Entry]:
        """What is to be sent to this server, oldest first, behind the place `after`."""
        where = "state = ? AND url IN ('', ?) AND seq > ? ORDER BY seq LIMIT ?"
        return self._entries(where, WAITING, self.url, after, limit)

    def strangers(self) -> list[Entry]:
        """What waits for another server than this one."""
        return self._entries("state = ? AND url NOT IN ('', ?) ORDER BY seq", WAITING, self.url)

    def entries(self, state: str | None = None) -> list[Entry]:
        """Entries in this state (all without one), oldest first."""
        if state is None:
            return self._entries("1 ORDER BY seq")
        return self._entries("state = ? ORDER BY seq", state)

    def entry(self, name: str) -> Entry:
        """An entry by its id, or by the beginning of it. Raises NotFoundError unless exactly one has it."""
        found = self._entries("id = ? ORDER BY seq", name) or self._entries(
            "substr(id, 1, ?) = ? ORDER BY seq LIMIT 2", len(name), name
        )
        if len(found) != 1:
            many = "Several entries begin" if found else "No entry of this spool begins"
            raise NotFoundError(f"{many} with {name!r}. `labqueue spool list` shows them.")
        return found[0]

    def entry_of(self, attempt: str) -> Entry | None:
        """The last thing that was to be said about an attempt."""
        found = self._entries("attempt = ? ORDER BY seq DESC LIMIT 1", attempt)
        return found[0] if found else None

    def acknowledged(self, ids: Sequence[str], messages: Mapping[str, str]) -> None:
        """The server has these; their attempts are over."""
        self._end(ACKNOWLEDGED, {each: messages.get(each, "") for each in ids})

    def refuse(self, name: str, message: str) -> None:
        """The server will not have it as it stands: kept for a person."""
        self._end(REFUSED, {name: message})

    def _end(self, state: str, messages: Mapping[str, str]) -> None:
        with self._write() as db:
            for name, message in messages.items():
                db.execute(
                    "UPDATE outbox SET state = ?, message = ?, ended_at = ? WHERE id = ?",
                    (state, message, self._now(), name),
                )
                db.execute(
                    "UPDATE attempts SET state = ? WHERE attempt = (SELECT attempt FROM outbox WHERE id = ?)",
                    (ENDED, name),
                )

    def retry(self, name: str) -> None:
        """Sends an entry again, to whichever server this adapter talks to."""
        with self._write() as db:
            db.execute(
                "UPDATE outbox SET state = ?, message = '', url = '' WHERE id = ? AND state <> ?",
                (WAITING, name, ACKNOWLEDGED),
            )

    def repair(self, name: str, body: Mapping[str, Any]) -> None:
        """Gives an entry another body and sends it again. Files that it no longer names are left out."""
        named = [str(each.get("sha256")) for each in body.get("artifacts") or () if isinstance(each, Mapping)]
        with self._write() as db:
            db.execute("UPDATE outbox SET body = ? WHERE id = ?", (_dump(body), name))
            for row in db.execute("SELECT rowid, sha256 FROM files WHERE entry = ?", (name,)).fetchall():
                if row[1] not in named:
                    db.execute("DELETE FROM files WHERE rowid = ?", (row[0],))
        self.retry(name)

    def drop(self, name: str) -> None:
        """Forgets a refused entry for good."""
        with self._write() as db:
            gone = db.execute("DELETE FROM outbox WHERE id = ? AND state = ?", (name, REFUSED)).rowcount
            if gone:
                db.execute("DELETE FROM files WHERE entry = ?", (name,))
        if not gone:
            raise NotFoundError(f"No refused entry has the id {name!r}; only refused ones are dropped.")

    def file_sent(self, entry: str, sha256: str) -> None:
        with self._write() as db:
            db.execute("UPDATE files SET sent = 1 WHERE entry = ? AND sha256 = ?", (entry, sha256))

    def needed_files(self) -> set[str]:
        """Digests whose content an unacknowledged entry still needs."""
        rows = self._read(
            "SELECT DISTINCT sha256 FROM files JOIN outbox ON outbox.id = entry WHERE state <> ?",
            ACKNOWLEDGED,
        )
        return {row[0] for row in rows}

    def prune(self) -> None:
        """Forgets what was acknowledged long ago, so that the file stays small."""
        with self._write() as db:
            db.execute(
                "DELETE FROM outbox WHERE state = ? AND seq <= (SELECT max(seq) FROM outbox) - ?",
                (ACKNOWLEDGED, KEPT),
            )
            db.execute("DELETE FROM files WHERE entry NOT IN (SELECT id FROM outbox)")
            db.execute(
                "DELETE FROM attempts WHERE state = ? AND rowid <= (SELECT max(rowid) FROM attempts) - ?",
                (ENDED, KEPT),
            )

    def _entries(self, where: str, *values: Any) -> list[Entry]:
        with self._lock:
            rows = self._read(
                "SELECT id, kind, attempt, lease, code, body, state, message, url, at, seq FROM outbox"
                f" WHERE {where}",
                *values,
            )
            return [
                Entry(
                    row[0], row[1], row[2], row[3], row[4], json.loads(row[5]), self._files(row[0]),
                    row[6], row[7] or "", row[8], row[9], row[10],
                )
                for row in rows
            ]  # fmt: skip

    def _files(self, entry: str) -> tuple[File, ...]:
        rows = self._read("SELECT sha256, name, size, sent FROM files WHERE entry = ?", entry)
        return tuple(File(row[0], row[1], row[2], bool(row[3])) for row in rows)


def _held(row: Sequence[Any]) -> Held:
    return Held(
        Assignment.from_json(json.loads(row[0])), row[1], None if row[2] is None else json.loads(row[2])
    )


def _dump(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


@contextmanager
def _as_spool_error(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise SpoolError(f"The spool {path} cannot be used: {error}.") from error
