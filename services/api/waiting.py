"""Who waits for what: long polls by queue and by topic. Plain asyncio values; nothing here does I/O.

A thousand waiting robots are a thousand futures: no thread and no database connection each.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Self

Topic = tuple[str, object]

#: After each waking that found nothing a waiter sleeps through the safety net for twice as long, up to this.
LONGEST_MISS = 8.0


@dataclass(eq=False)
class Waiter:
    """One claim that waits. `need`: fewer than this are of no use to it (unless the oldest has waited `within`
    seconds); `most`: it would take that many; `misses`: how often it was woken for nothing."""

    queue: str
    instrument: str
    need: int = 1
    most: int = 1
    within: float = 0.0
    misses: int = 0
    deaf_until: float = 0.0
    woken: asyncio.Future[bool] = field(init=False)

    def wake(self) -> None:
        if not self.woken.done():
            self.woken.set_result(True)

    def give_up(self, *_: object) -> None:
        if not self.woken.done():
            self.woken.set_result(False)


class Waiters:
    """Claims that wait, by queue, first come first served."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lines: dict[str, dict[Waiter, None]] = {}
        self._crowds: dict[str, dict[Waiter, None]] = {}  # those that need several at once
        self._instruments: dict[str, set[Waiter]] = defaultdict(set)
        self._announced: dict[str, int] = {}
        self.closed = False

    def __len__(self) -> int:
        return sum(len(line) for lines in (self._lines, self._crowds) for line in lines.values())

    def queues(self) -> list[str]:
        """Those that somebody waits for."""
        return sorted({*self._lines, *self._crowds})

    def ticket(self, queue: str) -> int:
        """Taken before one looks for work: what is announced after that is not missed by `wait`."""
        return self._announced.get(queue, 0)

    async def wait(self, waiter: Waiter, ticket: int, seconds: float, gone: asyncio.Future[None]) -> bool:
        """Until there may be work (true), or the time is over, the client is `gone` or we close (false)."""
        if self.ticket(waiter.queue) != ticket:
            return True
        if self.closed or seconds <= 0 or gone.done():
            return False
        loop = asyncio.get_running_loop()
        waiter.woken = loop.create_future()
        lines = self._lines if waiter.need <= 1 else self._crowds
        line = lines.setdefault(waiter.queue, {})
        line[waiter] = None
        self._instruments[waiter.instrument].add(waiter)
        timer = loop.call_later(seconds, waiter.give_up)
        gone.add_done_callback(waiter.give_up)
        try:
            found = await waiter.woken
        except asyncio.CancelledError:
            if waiter.woken.done() and not waiter.woken.cancelled() and waiter.woken.result():
                self.announced(waiter.queue, 1)  # somebody else shall have it
            raise
        finally:
            timer.cancel()
            gone.remove_done_callback(waiter.give_up)
            line.pop(waiter, None)
            if not line and lines.get(waiter.queue) is line:
                del lines[waiter.queue]
            mine = self._instruments[waiter.instrument]
            mine.discard(waiter)
            if not mine:
                del self._instruments[waiter.instrument]
        if found and gone.done():
            self.announced(waiter.queue, 1)
            return False
        return found

    def missed(self, waiter: Waiter) -> None:
        """It was woken and found nothing."""
        waiter.misses += 1
        waiter.deaf_until = self._clock() + min(0.5 * 2.0**waiter.misses, LONGEST_MISS)

    def announced(self, queue: str, count: int) -> None:
        """`count` experiments can be claimed from now on: as many as can take them are woken."""
        self._announced[queue] = self.ticket(queue) + 1
        for waiter in list(self._crowds.get(queue, ())):
            waiter.wake()
        for waiter in list(self._lines.get(queue, ())):
            if count <= 0:
                return
            if not waiter.woken.done():
                waiter.wake()
                count -= waiter.most

    def found(self, queue: str, count: int, oldest: float) -> None:
        """The safety net: so many can be claimed, and the oldest has waited so many seconds."""
        now = self._clock()
        for waiter in list(self._crowds.get(queue, ())):
            enough = count >= waiter.need or (waiter.within > 0 and oldest >= waiter.within)
            if count and enough and waiter.deaf_until <= now:
                waiter.wake()
        for waiter in list(self._lines.get(queue, ())):
            if count <= 0:
                return
            if waiter.deaf_until <= now and not waiter.woken.done():
                waiter.wake()
                count -= waiter.most

    def of_instrument(self, instrument: str) -> None:
        """Something about this instrument changed: its waiters look again."""
        for waiter in list(self._instruments.get(instrument, ())):
            waiter.wake()

    def undeafen(self, queue: str) -> None:
        """What made looking vain is over."""
        for lines in (self._lines, self._crowds):
            for waiter in lines.get(queue, ()):
                waiter.misses, waiter.deaf_until = 0, 0.0

    def close(self) -> None:
        """Everybody gives up now, and nobody waits any more."""
        self.closed = True
        for lines in (self._lines, self._crowds):
            for line in list(lines.values()):
                for waiter in list(line):
                    waiter.give_up()


class Watch:
    """Waits for any of some topics. Made before one looks, it misses nothing that is touched after."""

    def __init__(self, topics: Topics, keys: Collection[Topic]) -> None:
        self._topics = topics
        self._keys = keys
        self._touched = asyncio.Event()

    def __enter__(self) -> Self:
        self._topics.add(self, self._keys)
        return self

    def __exit__(self, *_: object) -> None:
        self._topics.remove(self, self._keys)

    def touch(self) -> None:
        self._touched.set()

    async def wait(self, seconds: float, gone: asyncio.Future[None] | None = None) -> bool:
        """True as soon as a topic was touched since the last call; false after `seconds` or when `gone`."""
        if not self._touched.is_set() and seconds > 0 and not self._topics.closed:
            if gone is not None:
                gone.add_done_callback(self._give_up)
            try:
                async with asyncio.timeout(seconds):
                    await self._touched.wait()
            except TimeoutError:
                return False
            finally:
                if gone is not None:
                    gone.remove_done_callback(self._give_up)
        touched = self._touched.is_set()
        self._touched.clear()
        return touched and not (gone is not None and gone.done()) and not self._topics.closed

    def _give_up(self, _: object) -> None:
        self._touched.set()


class Topics:
    """Who waits for news of an attempt, an experiment, a campaign, an inquiry, an instrument, or of anything at all."""

    def __init__(self) -> None:
        self._watches: dict[Topic, set[Watch]] = {}
        self.closed = False

    def watch(self, *keys: Topic) -> Watch:
        return Watch(self, keys)

    def add(self, watch: Watch, keys: Iterable[Topic]) -> None:
        for key in keys:
            self._watches.setdefault(key, set()).add(watch)

    def remove(self, watch: Watch, keys: Iterable[Topic]) -> None:
        for key in keys:
            watches = self._watches.get(key)
            if watches is not None:
                watches.discard(watch)
                if not watches:
                    del self._watches[key]

    def touch(self, key: Topic) -> None:
        for watch in self._watches.get(key, ()):
            watch.touch()

    def watched(self, key: Topic) -> bool:
        return key in self._watches

    def close(self) -> None:
        """Everybody stops waiting, now and later."""
        self.closed = True
        for watches in self._watches.values():
            for watch in watches:
                watch.touch()
