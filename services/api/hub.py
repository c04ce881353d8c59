"""What an API process does beside answering: it wakes those who wait, and keeps events and streams moving.

One task each for: what was committed (numbering, relaying, following events), what Redis says, the safety net
(one query a second for all waiting claims), and the stamp that says that we live. Redis only makes it faster:
without it everything is heard within about a second.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any

import structlog

from labqueue.errors import UnavailableError
from models.domain import records as r
from services.api.threads import Threads
from services.api.waiting import Topics, Waiters
from services.bootstrap import Context
from services.broker.streams import Entry
from services.flow.dispatch import relay
from services.flow.number import number
from services.flow.recover import stamp_alive

_log = structlog.get_logger(__name__)

EACH = 1.0  # seconds: stamp, safety net, and looking for events that nobody announced
PAUSE = 0.1  # seconds between two rounds of after-commit work: what comes meanwhile is done together
RELAY_PAUSE = 0.1  # seconds between two rounds of publishing to Redis; waiters here are woken without it
RING = 5000  # newest events kept for streams; who is further behind reads them from Postgres
PAGE = 1000
REMEMBERED = 1000

#: Events after which there may be something to claim, beside what the queue streams announce.
OPENING = {
    f"experiment.{kind}"
    for kind in (
        "staged",
        "approved",
        "replayed",
        "requeued",
        "released",
        "attempt_failed",
        "lost",
        "adjusted",
    )
} | {"queue.resumed", "campaign.resumed"}


class Hub:
    """One per process. `changed` after each commit of ours; `waiters` and `topics` for those who wait."""

    def __init__(self, context: Context, clock: Callable[[], float] = time.monotonic) -> None:
        self.context = context
        self.waiters = Waiters(clock)
        self.topics = Topics()
        self.position = 0  # the newest event that was delivered here
        self.closing = False
        self._ring: deque[r.Event] = deque(maxlen=RING)
        self._names: dict[int, str] = {}
        self._announced: OrderedDict[str, None] = OrderedDict()  # batches of ours, already announced here
        self._asked: OrderedDict[tuple[str, object], None] = OrderedDict()
        self._news = asyncio.Event()
        self._look = asyncio.Event()
        self._outbox = False
        self._begun = False
        self._relay_at = 0.0
        self._clock = clock
        self._threads = Threads(1, "after-commit")
        self._pulse = Threads(1, "pulse")
        self._tasks: list[asyncio.Task[None]] = []
        self._down: set[str] = set()

    # -- life

    async def start(self) -> None:
        """Begins at the newest event; where the database is away, at the newest when it is back."""
        loops = [self._follow(), self._pulse_each_second(), self._safety_net()]
        if self.context.subscriber is not None:
            loops.append(self._listen())
        self._tasks = [asyncio.create_task(each) for each in loops]

    def close(self) -> None:
        """Ends every long poll and stream, kindly. New ones answer at once."""
        self.closing = True
        self.waiters.close()
        self.topics.close()

    async def stop(self) -> None:
        self.close()
        pending = set(self._tasks)
        while pending:
            # More than once: redis-py's asynchronous client can turn a cancellation into an error of its own.
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=0.5)
        self._tasks = []
        self._threads.close()
        self._pulse.close()

    # -- what requests say

    def changed(self, *, outbox: bool = False) -> None:
        """We committed something; `outbox`: something that queue streams shall hear of."""
        self._outbox = self._outbox or outbox
        self._news.set()

    def staged(self, queue: str, batch: str, count: int) -> None:
        """We committed a batch: those who wait here need not wait for Redis."""
        self._announced[batch] = None
        while len(self._announced) > REMEMBERED:
            self._announced.popitem(last=False)
        self.waiters.announced(queue, count)
        self.changed(outbox=True)

    def asks(self, questions: Iterable[tuple[str, object]]) -> bool:
        """Is there one among these (adapter, attempt) that this adapter was not asked yet? From now on it was."""
        fresh = [each for each in questions if each not in self._asked]
        self._asked.update(dict.fromkeys(fresh))
        while len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        return bool(fresh)

    # -- what streams ask

    def recent(self, after: int) -> list[r.Event] | None:
        """Events after that number, from memory; None where memory does not reach back so far."""
        if after >= self.position:
            return []
        first = self._ring[0].number or 0 if self._ring else self.position + 1
        if after + 1 < first:
            return None
        return list(islice(self._ring, after + 1 - first, None))  # numbers have no gaps

    async def campaign_name(self, id: int | None) -> str | None:
        if id is None:
            return None
        if id not in self._names:
            campaign = await self._threads.run(self._campaign, id)
            if campaign is None:
                return None
            self._names[id] = campaign.name
        return self._names[id]

    # -- tasks

    async def _follow(self) -> None:
        """After-commit work, and delivery of every numbered event in order."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(EACH):
                    await self._news.wait()
            self._news.clear()
            await self._guarded("events", self._round)
            if self._outbox and self.context.publisher is not None:
                if self._clock() >= self._relay_at:
                    self._outbox = False
                    self._relay_at = self._clock() + RELAY_PAUSE
                    run = self._threads.run
                    await self._guarded("redis", run, relay, self.context.store, self.context.publisher)
                else:
                    self._news.set()
            await asyncio.sleep(PAUSE)

    async def _round(self) -> None:
        while True:
            events = await self._threads.run(self._number_and_read)
            for event in events:
                self._deliver(event)
            if len(events) < PAGE:
                break

    def _number_and_read(self) -> list[r.Event]:
        if not self._begun:
            self.position, self._begun = self._last(), True
        numbered = number(self.context.store)
        if numbered and self.context.wake is not None:
            with suppress(UnavailableError):
                self.context.wake.poke(numbered[-1].number or 0)
        if numbered and numbered[0].number == self.position + 1:
            return numbered
        with self.context.store.begin() as tx:
            return tx.events.after(self.position, PAGE)

    def _deliver(self, event: r.Event) -> None:
        if event.number is None or event.number <= self.position:
            return
        self.position = event.number
        self._ring.append(event)
        self.topics.touch(("events", None))
        if event.attempt is not None:
            self.topics.touch(("attempt", event.attempt))
        if event.campaign_id is not None:
            self.topics.touch(("campaign", event.campaign_id))
        if event.experiment_id is not None:
            self.topics.touch(("experiment", event.experiment_id))
        if event.instrument is not None and event.type in ("experiment.lost", "instrument.cleared"):
            self.topics.touch(("instrument", event.instrument))
            self.waiters.of_instrument(event.instrument)
        if event.type.startswith("inquiry."):
            self.topics.touch(("inquiry", str(event.data.get("inquiry", ""))))
        if event.type in OPENING:
            if event.queue is not None and event.type == "queue.resumed":
                self.waiters.undeafen(event.queue)
            if event.queue is not None:
                self.topics.touch(("batches", event.queue))
            self._look.set()

    async def _listen(self) -> None:
        """The queue streams of Redis, and which numbers others have given."""
        assert self.context.subscriber is not None
        async for queue, found in self.context.subscriber.listen():
            if not isinstance(found, Entry):
                if found.number > self.position:
                    self._news.set()
                continue
            self.topics.touch(("batches", queue))
            if found.kind == "batch" and str(found.body.get("batch")) not in self._announced:
                self.waiters.announced(queue, found.count)

    async def _safety_net(self) -> None:
        """One query a second for all that wait; sooner where an event says that something opened."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(EACH):
                    await self._look.wait()
            self._look.clear()
            queues = self.waiters.queues()
            if queues:
                await self._guarded("safety net", self._find, queues)
            await asyncio.sleep(PAUSE)

    async def _find(self, queues: list[str]) -> None:
        for queue, count, oldest in await self._threads.run(self._claimable, queues):
            self.waiters.found(queue, count, oldest)

    async def _pulse_each_second(self) -> None:
        while True:
            await self._guarded("stamp", self._stamp)
            await asyncio.sleep(EACH)

    async def _stamp(self) -> None:
        outage = await self._pulse.run(stamp_alive, self.context.store)
        if outage:
            _log.warning("nobody answered for a while; every live lease moved on", seconds=round(outage, 1))

    async def _guarded(self, what: str, call: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """A fault of the moment is logged once, when it begins, and never ends the task."""
        try:
            await call(*args)
        except Exception as error:  # noqa: BLE001 a defect in one round must not end all later ones
            if what not in self._down or not isinstance(error, UnavailableError):
                known = isinstance(error, UnavailableError)
                _log.warning(f"{what} failed", reason=str(error), exc_info=None if known else error)
            self._down.add(what)
            await asyncio.sleep(0.2)
        else:
            if what in self._down:
                self._down.discard(what)
                _log.info(f"{what} works again")

    # -- in threads

    def _last(self) -> int:
        with self.context.store.begin() as tx:
            return tx.events.last()

    def _campaign(self, id: int) -> r.Campaign | None:
        with self.context.store.begin() as tx:
            return tx.campaigns.by_id(id)

    def _claimable(self, queues: list[str]) -> list[tuple[str, int, float]]:
        with self.context.store.begin() as tx:
            paused = {each.name for each in tx.queues.all() if each.state == "paused"}
            return [
                (each, *tx.experiments.claimable(each, len(self.waiters) + 1))
                for each in queues
                if each not in paused
            ]
