"""What happened in the adapter's process, as lines in a file: written there, read by the scenarios."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: While this file is there, runs do not end (`after`) or do not begin to move (`before`).
AFTER, BEFORE = "hold-after", "hold-before"
TICK = 0.01


@dataclass(frozen=True)
class Line:
    """One thing that happened: `what` is ready, begin, running, end, cancel, find or exit."""

    what: str
    process: int
    attempt: str = ""
    moves: int | None = None
    said: Any = None  # of an end: {"outputs": ...} or {"raised": "..."}

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass
class Record:
    """The file and the gates of one scenario, in `folder`."""

    folder: Path
    moves: Callable[[], int] | None = field(default=None)

    @property
    def path(self) -> Path:
        return self.folder / "record.jsonl"

    def write(self, what: str, attempt: str = "", said: Any = None) -> None:
        """On the disk when it returns: the process may be killed at the next step."""
        moves = None if self.moves is None else int(self.moves())
        line = Line(what, os.getpid(), attempt, moves, said)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line.to_json(), default=str) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self, what: str | None = None) -> list[Line]:
        if not self.path.exists():
            return []
        whole = [
            each for each in self.path.read_text("utf-8").splitlines(keepends=True) if each.endswith("\n")
        ]
        lines = [Line(**json.loads(each)) for each in whole]
        return [each for each in lines if what in (None, each.what)]

    # -- gates

    def close(self, gate: str) -> None:
        (self.folder / gate).touch()

    def open(self, gate: str) -> None:
        (self.folder / gate).unlink()

    def is_closed(self, gate: str) -> bool:
        return (self.folder / gate).exists()

    def pass_through(self, gate: str, leave: Callable[[], bool] = bool) -> None:
        """Waits until the gate is open, or `leave()` is true."""
        while self.is_closed(gate) and not leave():
            time.sleep(TICK)
