"""A run's newest point on the server, in the folder of its campaign: the run goes on from there on any machine.

`latest.json` names the files of the point and is changed by compare-and-set: of two drivers of a run, one is refused.
Every other file has a name that is never used again, so nothing that a point needs is written over; what was needed
before is deleted when `latest.json` names others. A driver that dies in between leaves a whole point, and files that
the next one deletes. Labels are not here: they are results, and are read from those.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Callable

from labqueue.client import Client
from labqueue.errors import ChangedError, NotFoundError, TooLargeError

from . import states
from .checkpoints import PROGRESS, Checkpoints, Progress
from .disk import digest_of, sync

LATEST, POINTS, LOG = "latest.json", "points", "log"
FILES = (states.MODEL, states.TRAINING, states.RNG, PROGRESS)
#: These are the same at several points, and large.
LARGE = (states.MODEL, states.TRAINING)
FORMAT = 1
#: A point that somebody replaces while it is fetched is asked for again so often.
TRIES = 5


class Upstream:
    """The folder of one campaign, as it was when it was last read or written. scratch: a local file to read into.

    revision: of `latest.json`, 0 where there is none. body: what it says, None where there is none.
    """

    def __init__(self, client: Client, campaign: str, run_id: str, scratch: Path) -> None:
        self.client, self.campaign, self.run_id, self.scratch = client, campaign, run_id, scratch
        self.revision = 0
        self.body: dict[str, Any] | None = None
        self._names: set[str] = set()
        self._own: set[str] = set()
        self._sent: Path | None = None
        self.read()

    def read(self) -> None:
        """What is there now."""
        try:
            listed = {each["name"] for each in self.client.files(self.campaign)}
        except NotFoundError:  # the campaign is made when the run begins
            listed = set()
        self.revision, self.body = 0, None
        if LATEST in listed:
            self.revision = self.client.file(self.campaign, LATEST, self.scratch)
            self.body = json.loads(self.scratch.read_text())
            self.scratch.unlink()
            if self.body.get("format") != FORMAT or self.body.get("run_id") != self.run_id:
                raise ValueError(
                    f"{LATEST} in the folder of {self.campaign} is none of this program and run. Delete it, or set "
                    "keep_on_server=False."
                )
        ours = {each for each in listed if each.startswith((f"{POINTS}/", f"{LOG}/"))}
        self._names = ours | _needed(self.body)

    def has(self, progress: Progress) -> bool:
        """Whether this point is the server's."""
        return self.body is not None and progress.point == self.body["point"]

    def follows(self, progress: Progress) -> bool:
        """Whether this point, of a local folder, was made from the server's: a driver died before it had sent it."""
        return progress.base == self.revision

    # -- from there

    def fetch(self, points: Checkpoints, log: Path) -> Path:
        """The server's point and log, in place of those here."""
        for _ in range(TRIES):
            assert self.body is not None
            try:
                return self._fetch(self.body, points, log)
            except NotFoundError:
                before = self.revision
                self.read()
                if self.revision == before or self.body is None:
                    raise
        raise RuntimeError(
            f"Another driver runs {self.run_id!r} and is faster than what is fetched. Stop it first."
        )

    def _fetch(self, body: Mapping[str, Any], points: Checkpoints, log: Path) -> Path:
        part = log.with_name(f".{log.name}")
        with part.open("wb") as file:
            for each in body["log"]:
                self._get(each, self.scratch)
                with self.scratch.open("rb") as segment:
                    shutil.copyfileobj(segment, file)
                self.scratch.unlink()
            file.flush()
            os.fsync(file.fileno())
        # Before the point: who dies in between fetches both again.
        part.replace(log)
        sync(log.parent)
        point = points.take(
            int(body["step"]), str(body["phase"]), lambda folder: self._get_files(body["files"], folder)
        )
        points.name(point)
        self._sent = point
        return point

    def _get_files(self, files: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
        for name in FILES:
            self._get(files[name], folder / name)

    def _get(self, entry: Mapping[str, Any], place: Path) -> None:
        self.client.file(self.campaign, str(entry["name"]), place)
        if digest_of(place) != entry["sha256"]:
            raise RuntimeError(f"{entry['name']} in the folder of {self.campaign} is not what {LATEST} says.")

    # -- to there

    def send(
        self, point: Path, progress: Progress, log: Path, unchanged: Path | None, *, grown: bool = True
    ) -> None:
        """Makes this point the server's. unchanged: an earlier one that has the same model and optimizer. grown: what
        the server has of the log is how this one begins.

        Raises RuntimeError where another driver has saved a point meanwhile, TooLargeError where a file is larger than
        the server takes; nothing of this point stays there then.
        """
        before = self.body or {"files": {}, "log": []}
        self._own = set()
        try:
            files = {
                name: before["files"][name]
                if name in LARGE and unchanged is not None and unchanged == self._sent
                else self._put_file(progress, point, name, before["files"].get(name))
                for name in FILES
            }
            body = {
                "format": FORMAT, "run_id": self.run_id, "point": progress.point, "step": progress.step,
                "phase": progress.phase, "files": files, "writer": socket.gethostname(),
                "log": self._put_log(progress, log, before["log"] if grown else []),
            }  # fmt: skip
            self._publish(body)
        except (RuntimeError, TooLargeError):
            self._drop(self._own)
            raise
        self._sent = point
        self._drop(self._names - _needed(self.body))

    def _put_file(
        self, progress: Progress, point: Path, name: str, before: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        place = point / name
        sha256, size = digest_of(place), place.stat().st_size
        if before is not None and before["sha256"] == sha256:
            return dict(before)
        return self._put(f"{POINTS}/{progress.point}/{name}", lambda: place.open("rb"), size, sha256)

    def _put_log(self, progress: Progress, log: Path, segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What was added, as a segment of its own; with the one before it where that is no larger. So there are few
        segments, each about twice as long as the next, and a line is sent again only as often as the log doubles."""
        kept, start, end = list(segments), sum(each["size"] for each in segments), progress.log_bytes
        if start > end:  # a shorter log than the server's: somebody has cut it
            kept, start = [], 0
        if start == end:
            return kept
        while kept and kept[-1]["size"] <= end - start:
            start -= kept.pop()["size"]
        with log.open("rb") as file:
            file.seek(start)
            added = file.read(end - start)
        sha256 = digest_of(io.BytesIO(added))
        return [*kept, self._put(f"{LOG}/{progress.point}", lambda: io.BytesIO(added), len(added), sha256)]

    def _put(self, name: str, open_file: Callable[[], BinaryIO], size: int, sha256: str) -> dict[str, Any]:
        self._own.add(name)
        kept = self.client.put_file(self.campaign, name, open_file, size)
        if kept["sha256"] != sha256:
            raise RuntimeError(f"{name} changed while it was sent. Does another program write there?")
        return {"name": name, "sha256": sha256, "size": size}

    def _publish(self, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        try:
            kept = self.client.put_file(
                self.campaign, LATEST, lambda: io.BytesIO(text), len(text), revision=self.revision
            )
        except ChangedError:
            raise RuntimeError(self._refused()) from None
        self.revision, self.body = int(kept["revision"]), body
        self._names |= self._own

    def _refused(self) -> str:
        # What this driver began from stays what it was: it is refused from now on.
        seen = Upstream(self.client, self.campaign, self.run_id, self.scratch)
        theirs = seen.body or {"step": "?", "phase": "?", "writer": "somebody"}
        return (
            f"Another driver runs {self.run_id!r}: {theirs['writer']} has saved a checkpoint on {self.client.url} (step "
            f"{theirs['step']}, before {theirs['phase']}) since this one began. Stop one of the two; this one, started "
            "again, goes on from that checkpoint."
        )

    def _drop(self, names: set[str]) -> None:
        for each in sorted(names):
            self.client.drop_file(self.campaign, each)
        self._names = self._names - names


def _needed(body: Mapping[str, Any] | None) -> set[str]:
    if body is None:
        return set()
    return {each["name"] for each in [*body["files"].values(), *body["log"]]}
