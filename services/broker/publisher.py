"""Writes the queue streams. Doubled entries are harmless, lost ones are published again under a new epoch."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from models.domain.records import Published
from services.broker import streams
from services.broker.connection import answering, connect

#: Entries sent in one round trip.
CHUNK = 100


def _new_key() -> str:
    return uuid.uuid4().hex


class RedisPublisher:
    """The `Publisher` port. Every method raises UnavailableError while Redis does not answer."""

    def __init__(self, url: str, new_key: Callable[[], str] = _new_key) -> None:
        self._url = url
        self._new_key = new_key
        self._client = connect(url)
        self._trimmed: dict[str, int] = {}

    def epoch(self) -> str | None:
        """Our key and the server's run id: it changes when the data are gone and when another server answers."""
        with answering(self._url):
            asked = self._client.pipeline(transaction=False)
            key, server = asked.get(streams.EPOCH).info("server").execute()
        return f"{key}:{server['run_id']}" if key else None

    def open_epoch(self) -> str:
        with answering(self._url):
            asked = self._client.pipeline(transaction=False)
            key = self._new_key()
            server = asked.set(streams.EPOCH, key).info("server").execute()[1]
        return f"{key}:{server['run_id']}"

    def publish(self, entries: Sequence[Published], epoch: str) -> None:
        """In the order given, within each queue."""
        for at in range(0, len(entries), CHUNK):
            with answering(self._url):
                self._publish(entries[at : at + CHUNK], epoch)

    def close(self) -> None:
        self._client.close()

    def _publish(self, entries: Sequence[Published], epoch: str) -> None:
        queues = sorted({entry.queue for entry in entries})
        pipe = self._client.pipeline(transaction=False)
        for entry in entries:
            fields = streams.write(entry.kind, entry.body, epoch)
            pipe.xadd(streams.stream(entry.queue), fields, maxlen=streams.STREAM_ENTRIES, approximate=True)
        for queue in queues:
            pipe.sadd(streams.QUEUES, queue)
        answers = pipe.execute()
        ids, added = answers[: len(entries)], answers[len(entries) :]
        self._after(
            dict(zip((entry.queue for entry in entries), ids, strict=True)),
            [queue for queue, new in zip(queues, added, strict=True) if new],
        )

    def _after(self, last: dict[str, str], new: list[str]) -> None:
        """Tell readers of streams that they do not know, and drop what is too old, by the server's own clock."""
        pipe = self._client.pipeline(transaction=False)
        for queue in new:
            pipe.xadd(streams.EVENTS, {"queue": queue}, maxlen=streams.EVENT_ENTRIES, approximate=True)
        for queue, id in last.items():
            oldest = streams.position(id)[0] - streams.STREAM_SECONDS * 1000
            if oldest - self._trimmed.get(queue, 0) > streams.STREAM_SECONDS * 100:
                pipe.xtrim(streams.stream(queue), minid=str(oldest), approximate=True)
                self._trimmed[queue] = oldest
        if len(pipe):
            pipe.execute()
