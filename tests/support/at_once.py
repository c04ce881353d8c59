"""Several things in the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def at_once(*acts: Callable[[], T]) -> list[T]:
    """What each returned; all begin in the same moment. The first error is raised."""
    gate = threading.Barrier(len(acts))
    found: list[Any] = [None] * len(acts)
    faults: list[BaseException] = []

    def run(place: int, act: Callable[[], T]) -> None:
        gate.wait()
        try:
            found[place] = act()
        except BaseException as error:  # noqa: BLE001 (handed on below)
            faults.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if faults:
        raise faults[0]
    return found
