"""Reads every queue's stream, without a group, for whatever waits in an API process. For ever: it reconnects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import redis

from services.broker import streams
from services.broker.connection import BLOCK_SECONDS, connect_async
from services.broker.streams import Entry

FIRST_DELAY, LONGEST_DELAY = 0.05, 1.0


@dataclass(frozen=True)
class Numbered:
    """Events are numbered up to here. Redis is not trusted: the reader looks in Postgres."""

    number: int


class Subscriber:
    """One reader for all queues. `connected` says whether it hears anything at present."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._positions: dict[str, str] = {}
        self.connected = False

    async def entries(self) -> AsyncIterator[tuple[str, Entry]]:
        """(queue, entry) as they are published from now on; an entry may come twice. Ends only when closed."""
        async for queue, found in self.listen():
            if isinstance(found, Entry):
                yield queue, found

    async def listen(self) -> AsyncIterator[tuple[str, Entry | Numbered]]:
        """Like `entries`, and ("", Numbered) whenever somebody numbered events."""
        delay = FIRST_DELAY
        client = connect_async(self._url)
        try:
            while True:
                try:
                    found = await self._next(client)
                except (redis.RedisError, OSError):
                    self.connected = False
                    await asyncio.sleep(delay)
                    delay = min(2 * delay, LONGEST_DELAY)
                    continue
                self.connected, delay = True, FIRST_DELAY
                for each in found:
                    yield each
        finally:
            self.connected = False
            await client.aclose()

    async def _next(self, client: Any) -> list[tuple[str, Entry | Numbered]]:
        if not self.connected:
            await self._resume(client)
            self.connected = True
        answer = await client.xread(self._positions, count=1000, block=int(BLOCK_SECONDS * 1000))
        if not answer:
            await self._resume(client)
        found: list[tuple[str, Entry | Numbered]] = []
        for key, entries in answer:
            self._positions[key] = entries[-1][0]
            for _, fields in entries:
                if key == streams.EVENTS:
                    found += self._event(fields)
                elif (entry := streams.read(fields)) is not None:
                    found.append((streams.queue_of(key), entry))
        return found

    def _event(self, fields: Mapping[str, Any]) -> list[tuple[str, Entry | Numbered]]:
        if "queue" in fields:  # a stream that began while we were reading: from its first entry
            self._positions.setdefault(streams.stream(fields["queue"]), streams.FIRST)
        number = str(fields.get("number", ""))
        return [("", Numbered(int(number)))] if number.isdecimal() else []

    async def _resume(self, client: Any) -> None:
        """Learn which streams there are and where they stand.

        A reader that begins starts at their ends. One that goes on keeps its places, but a stream that ends
        before our place was lost and begun anew by a server with an earlier clock: read it from its start.
        """
        begins = not self._positions
        keys = [streams.EVENTS, *map(streams.stream, sorted(await client.smembers(streams.QUEUES)))]
        pipe = client.pipeline(transaction=False)
        for key in keys:
            pipe.xrevrange(key, count=1)
        for key, newest in zip(keys, await pipe.execute(), strict=True):
            end = newest[0][0] if newest else streams.FIRST
            place = self._positions.get(key, end if begins else streams.FIRST)
            lost = streams.position(end) < streams.position(place)
            self._positions[key] = streams.FIRST if lost else place
