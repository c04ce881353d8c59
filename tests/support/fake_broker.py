"""Redis in memory, for the flow's tests: as forgetful and as absent as the real one can be."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from labqueue.errors import UnavailableError
from models.domain.records import Published
from services.broker import streams
from services.broker.streams import Entry


class FakePublisher:
    """The `Publisher` port. `flush`, `restart`, `go_away` and `come_back` do to it what happens to a Redis."""

    def __init__(self) -> None:
        self.streams: dict[str, list[Entry]] = {}
        self._numbers = itertools.count(1)
        self._key: str | None = None
        self._server = next(self._numbers)
        self._away = False

    def epoch(self) -> str | None:
        self._answer()
        return f"{self._key}:{self._server}" if self._key else None

    def open_epoch(self) -> str:
        self._answer()
        self._key = f"key{next(self._numbers)}"
        return f"{self._key}:{self._server}"

    def publish(self, entries: Sequence[Published], epoch: str) -> None:
        self._answer()
        for each in entries:
            entry = streams.read(streams.write(each.kind, each.body, epoch))
            assert entry is not None
            self.streams.setdefault(each.queue, []).append(entry)

    def entries(self, queue: str) -> list[Entry]:
        return list(self.streams.get(queue, []))

    def flush(self) -> None:
        self.streams.clear()
        self._key = None

    def restart(self) -> None:
        self._server = next(self._numbers)

    def go_away(self) -> None:
        self._away = True

    def come_back(self) -> None:
        self._away = False

    def _answer(self) -> None:
        if self._away:
            raise UnavailableError("Redis does not answer.")


class FakeCommands:
    """The `Commands` port: `sent` is what workers would get; `untaken`: how many of each wait for one."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.untaken: dict[str, int] = {}
        self.away = False

    def send(self, name: str, *arguments: Any) -> None:
        if self.away:
            raise UnavailableError("Redis does not answer.")
        self.sent.append((name, *arguments))

    def waiting(self, name: str) -> int:
        if self.away:
            raise UnavailableError("Redis does not answer.")
        return self.untaken.get(name, 0)
