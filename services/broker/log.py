"""Reads a queue's stream from any place, for subscribers that come over HTTP."""

from __future__ import annotations

from typing import Any

import redis

from services.broker import streams
from services.broker.connection import connect_async, unavailable
from services.broker.streams import Entry

PAGE = 100


class BatchLog:
    """For asyncio; connects when first used."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Any = None

    async def after(self, queue: str, id: str) -> list[tuple[str, Entry]]:
        """Entries after `id` in order, some at a time; from the first one where the stream was lost meanwhile.

        Raises UnavailableError while Redis does not answer.
        """
        key = streams.stream(queue)
        try:
            if self._client is None:
                self._client = connect_async(self._url)
            found = await self._client.xrange(key, min=f"({id}", count=PAGE)
            if not found and id != streams.FIRST and await self._is_lost(key, id):
                found = await self._client.xrange(key, count=PAGE)
        except (redis.RedisError, OSError) as error:
            raise unavailable(self._url, error) from error
        read = [(each, streams.read(fields)) for each, fields in found]
        return [(each, entry) for each, entry in read if entry is not None]

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _is_lost(self, key: str, id: str) -> bool:
        newest = await self._client.xrevrange(key, count=1)
        return bool(newest) and streams.position(newest[0][0]) < streams.position(id)
