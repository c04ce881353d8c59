"""The log of a run: JSON lines that are only ever added to, also by a driver that goes on after a kill.

What was interrupted is done again from the last checkpoint and says the same again. Lines that stand in the file
already are not written twice; what differs is added.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable

Line = tuple[str, str, str]


class RunLog(logging.Handler):
    """Writes to `path`. where: says the step and the phase of each line."""

    def __init__(self, path: Path, where: Callable[[], tuple[int, str]]) -> None:
        super().__init__()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.where = path, where
        self._said: Counter[Line] = Counter()
        self._cut_torn_line()
        self._file = path.open("a", encoding="utf-8")

    def size(self) -> int:
        """Bytes; a checkpoint keeps them."""
        self._file.flush()
        return self.path.stat().st_size

    def resume(self, size: int) -> None:
        """What stands behind `size` was said by the phases that are now done again."""
        with self.path.open("rb") as file:
            file.seek(size)
            for line in file:
                body = json.loads(line)
                self._said[body["logger"], body["level"], body["message"]] += 1

    def caught_up(self) -> None:
        """The interrupted phase is over: from here on, everything is news."""
        self._said.clear()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
            line = (record.name, record.levelname, message)
            if self._said[line] > 0:
                self._said[line] -= 1
                return
            step, phase = self.where()
            body: dict[str, Any] = {
                "timestamp": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
                "level": record.levelname,
                "logger": record.name,
                "message": message,
                "step": step,
                "phase": phase,
            }
            if record.exc_info:
                body["exception"] = logging.Formatter().formatException(record.exc_info)
            self._file.write(json.dumps(body) + "\n")
            # To the operating system: a kill takes nothing back.
            self._file.flush()
        except Exception:  # noqa: BLE001 - as logging has it
            self.handleError(record)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _cut_torn_line(self) -> None:
        """What a kill left of a line that was being written is said again."""
        if not self.path.exists():
            return
        body = self.path.read_bytes()
        whole = body.rfind(b"\n") + 1
        if whole < len(body):
            with self.path.open("r+b") as file:
                file.truncate(whole)
