"""What echo workers did, one line per step in a file that survives them. Standard library only."""

from __future__ import annotations

import os
import time
from pathlib import Path


def echo(diary: str, number: int, seconds: float) -> None:
    """The work: says that it began, takes its time, says that it is done."""
    note(diary, "began", number)
    time.sleep(seconds)
    note(diary, "done", number)


def note(diary: str, what: str, number: int) -> None:
    """One write in append mode: lines of several processes never mix. Workers are told apart by process group."""
    file = os.open(diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{what} {number} {os.getpgrp()}\n".encode())
    os.close(file)


def read(diary: Path) -> list[tuple[str, int, int]]:
    """(began or done, number, worker), in the order of writing."""
    if not diary.exists():
        return []
    lines = (line.split() for line in diary.read_text().splitlines())
    return [(what, int(number), int(worker)) for what, number, worker in lines]
