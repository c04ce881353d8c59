"""Waiting longer after each failure, and never in step with the neighbours."""

from __future__ import annotations

import random
from typing import Callable

#: Not the one that a program seeds: waiting for a server must not change what it computes.
_OWN = random.Random()


class Backoff:
    """Doubles from `first` to `most` seconds; each pause is drawn between half of that and the whole."""

    def __init__(
        self, first: float = 0.2, most: float = 15.0, chance: Callable[[], float] = _OWN.random
    ) -> None:
        self.first, self.most = first, most
        self._chance = chance
        self._next = first

    def pause(self) -> float:
        """The seconds to wait now."""
        seconds = self._next * (0.5 + 0.5 * self._chance())
        self._next = min(self.most, self._next * 2)
        return seconds

    def reset(self) -> None:
        """It worked: begin again with short pauses."""
        self._next = self.first
