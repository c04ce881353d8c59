"""Label strategies for tests, made by `labqueue-physicsnemo label`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any


class Doubles:
    """`{"x": x}` becomes `{"x": x, "y": 2 * x}`; items named in `never` raise, those in `once` raise the first time."""

    def __init__(self, never: tuple[int, ...] = (), once: tuple[int, ...] = (), folder: str = "") -> None:
        self.never, self.once, self.folder = tuple(never), tuple(once), folder

    def label(self, queue_to_label: Any, serialize_queue: Any) -> None:
        while not queue_to_label.empty():
            item = queue_to_label.get()
            x = item["x"]
            if x in self.never:
                raise RuntimeError(f"{x} diverges")
            if x in self.once:
                seen = Path(self.folder, f"seen-{x}")
                if not seen.exists():
                    seen.touch()
                    raise RuntimeError(f"{x} diverges once")
            serialize_queue.put({**item, "y": 2 * x})


class Writes:
    """Leaves a file in its directory, and says which process and which directory it was."""

    def __init__(self, working_dir: str) -> None:
        self.working_dir = Path(working_dir)
        self.mesh = self.working_dir / "mesh"
        self.driver: Any = None

    def attach(self, driver: Any) -> None:
        self.driver = driver

    def label(self, queue_to_label: Any, serialize_queue: Any) -> None:
        item = queue_to_label.get()
        self.logger.info("labels %s", item)  # type: ignore[attr-defined]
        assert not list(self.working_dir.glob("*.txt")), "somebody was here before"
        (self.working_dir / "out.txt").write_text("x")
        about = {"step": self.driver.active_learning_step_idx, "mesh": str(self.mesh)}
        serialize_queue.put({**item, "folder": str(self.working_dir), "process": os.getpid(), **about})
        serialize_queue.put({**item, "copy": True})


class Meets:
    """Labels nothing before so many processes are labelling at the same time, and fails where they never come."""

    def __init__(self, folder: str, together: int) -> None:
        self.folder, self.together = Path(folder), together

    def label(self, queue_to_label: Any, serialize_queue: Any) -> None:
        item = queue_to_label.get()
        (self.folder / f"met-{os.getpid()}").touch()
        until = time.monotonic() + 120
        while len(list(self.folder.glob("met-*"))) < self.together:
            assert time.monotonic() < until, "the others never came"
            time.sleep(0.01)
        serialize_queue.put(item)
