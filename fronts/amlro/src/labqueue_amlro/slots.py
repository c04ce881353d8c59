"""A place for each copy of a program that runs beside others, and its journal, both outliving the copy.

A copy locks a slot as long as its process lives. What it was handed and has not told yet stands in the slot's
journal, so that whoever takes the slot next goes on with it. Everything is written down before it is sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from .locks import take, write_whole

SLOT_LIMIT = 1000


@dataclass
class Journal:
    """items: conditions in hand {experiment, lease, planned, phase}. outbox: results, failures and runs elsewhere that the
    server has not acknowledged. batch: staging that was begun {key, phase, conditions, reasons}. claim: one that was
    begun {key, phase, experiments}. last: the call that was told last, and the experiments that answered it."""

    items: list[dict[str, Any]] = field(default_factory=list)
    outbox: list[dict[str, Any]] = field(default_factory=list)
    batch: dict[str, Any] | None = None
    claim: dict[str, Any] | None = None
    last: dict[str, Any] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether a former process has left nothing to go on with."""
        return not (self.items or self.outbox or self.batch or self.claim)


class Slot:
    """A slot that this process holds, and its journal."""

    def __init__(self, folder: Path, number: int, lock: BinaryIO) -> None:
        self.number, self._lock = number, lock
        self._path = folder / f"slot-{number}.json"
        self.journal = Journal()
        if self._path.exists():
            self.journal = Journal(**json.loads(self._path.read_text()))

    def save(self) -> None:
        write_whole(self._path, json.dumps(vars(self.journal)).encode())

    def close(self) -> None:
        self._lock.close()


def take_slot(folder: Path, mine: set[int], *, left_only: bool) -> Slot | None:
    """The first slot whose process is gone and that has something left, else the lowest free one; `left_only`: None
    instead. `mine`: those that this process holds already."""
    free: Slot | None = None
    for number in range(SLOT_LIMIT):
        if number in mine:
            continue
        path = folder / f"slot-{number}.lock"
        if not path.exists() and (left_only or free is not None):
            break
        lock = take(path, wait=False)
        if lock is None:
            continue
        slot = Slot(folder, number, lock)
        if not slot.journal.empty:
            if free is not None:
                free.close()
            return slot
        if free is None and not left_only:
            free = slot
        else:
            slot.close()
    return free
