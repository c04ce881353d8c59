"""Wakes whoever waits for events, in other processes: a stream that says up to which number there are events.

A wake-up may be lost or doubled: those who wait also look by themselves, each second or so.
"""

from __future__ import annotations

import time

from services.broker import streams
from services.broker.connection import BLOCK_SECONDS, answering, connect


class Wake:
    """One end of the wake-up stream. Not for several threads at once; `poke` from anywhere."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = connect(url)
        self._position = "$"

    def poke(self, number: int) -> None:
        """Events are numbered up to `number`. Raises UnavailableError."""
        with answering(self._url):
            self._client.xadd(
                streams.EVENTS, {"number": number}, maxlen=streams.EVENT_ENTRIES, approximate=True
            )

    def wait(self, seconds: float) -> int | None:
        """The newest number that was poked since the last call, waiting up to `seconds` for one; else None.

        The first call only hears what comes after it. Raises UnavailableError at once if Redis does not answer.
        """
        deadline = time.monotonic() + seconds
        with answering(self._url):
            if self._position == "$":
                self._position = self._last()
            while (left := deadline - time.monotonic()) > 0:
                block = max(1, int(min(left, BLOCK_SECONDS) * 1000))
                found = self._read(block)
                if found is not None:
                    return found
            self._notice_a_new_start()
        return None

    def close(self) -> None:
        self._client.close()

    def _read(self, block: int | None) -> int | None:
        answer = self._client.xread({streams.EVENTS: self._position}, block=block)
        entries = answer[0][1] if answer else []
        numbers = [int(fields["number"]) for _, fields in entries if fields.get("number", "").isdecimal()]
        if entries:
            self._position = entries[-1][0]
        return max(numbers, default=None)

    def _last(self) -> str:
        newest = self._client.xrevrange(streams.EVENTS, count=1)
        return newest[0][0] if newest else streams.FIRST

    def _notice_a_new_start(self) -> None:
        """A server that lost its data and runs on an earlier clock would stay behind our position for ever."""
        if streams.position(self._last()) < streams.position(self._position):
            self._position = streams.FIRST
