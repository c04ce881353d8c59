"""Who is woken by what: no I/O, no sleeping, an event loop and a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from services.api.waiting import Topics, Waiter, Waiters

LONG = 1000.0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Room:
    """Waiters that were started, in order."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.waiters = Waiters(self.clock)
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.tasks: list[asyncio.Task[bool]] = []

    async def enter(self, count: int = 1, **more: Any) -> None:
        for _ in range(count):
            waiter = Waiter("q", more.pop("instrument", "i"), **more)
            ticket = self.waiters.ticket("q")
            self.tasks.append(asyncio.create_task(self.waiters.wait(waiter, ticket, LONG, self.gone)))
            await asyncio.sleep(0)

    async def woken(self) -> list[int]:
        """Which of them stopped waiting."""
        for _ in range(3):
            await asyncio.sleep(0)
        return [place for place, task in enumerate(self.tasks) if task.done()]


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_as_many_wake_as_were_announced_first_come_first_served() -> None:
    async def go() -> None:
        room = Room()
        await room.enter(5)
        room.waiters.announced("q", 2)
        assert await room.woken() == [0, 1]
        room.waiters.announced("other", 9)
        assert await room.woken() == [0, 1] and len(room.waiters) == 3
        room.waiters.announced("q", 9)
        assert await room.woken() == [0, 1, 2, 3, 4] and len(room.waiters) == 0
        assert room.waiters.queues() == []

    run(go())


def test_who_takes_several_counts_for_several() -> None:
    async def go() -> None:
        room = Room()
        await room.enter(most=10)
        await room.enter(2)
        room.waiters.announced("q", 10)
        assert await room.woken() == [0]

    run(go())


def test_what_is_announced_between_looking_and_waiting_is_not_missed() -> None:
    async def go() -> None:
        room = Room()
        ticket = room.waiters.ticket("q")
        room.waiters.announced("q", 1)
        assert await room.waiters.wait(Waiter("q", "i"), ticket, LONG, room.gone) is True

    run(go())


def test_a_crowd_looks_at_each_announcement_and_takes_nothing_from_others() -> None:
    async def go() -> None:
        room = Room()
        await room.enter(need=5, most=5)
        await room.enter()
        room.waiters.announced("q", 1)
        assert await room.woken() == [0, 1]

    run(go())


def test_a_cancelled_waiter_passes_its_waking_on() -> None:
    async def go() -> None:
        room = Room()
        await room.enter(2)
        room.waiters.announced("q", 1)
        room.tasks[0].cancel()
        assert await room.woken() == [0, 1]
        assert room.tasks[0].cancelled() and room.tasks[1].result() is True

    run(go())


def test_who_has_gone_passes_its_waking_on() -> None:
    async def go() -> None:
        room = Room()
        await room.enter()
        leaver, room.gone = room.gone, asyncio.get_running_loop().create_future()
        await room.enter()
        room.waiters.announced("q", 1)
        leaver.set_result(None)
        assert await room.woken() == [0, 1]
        assert [task.result() for task in room.tasks] == [False, True]

    run(go())


def test_who_leaves_stops_waiting() -> None:
    async def go() -> None:
        room = Room()
        await room.enter(2)
        room.gone.set_result(None)
        assert await room.woken() == [0, 1]
        assert [task.result() for task in room.tasks] == [False, False] and len(room.waiters) == 0

    run(go())


def test_the_time_is_over() -> None:
    async def go() -> None:
        room = Room()
        assert await room.waiters.wait(Waiter("q", "i"), 0, 0.0, room.gone) is False
        assert await room.waiters.wait(Waiter("q", "i"), 0, 0.001, room.gone) is False

    run(go())


def test_the_safety_net_wakes_as_many_as_it_found() -> None:
    async def go() -> None:
        room = Room()
        await room.enter(3)
        room.waiters.found("q", 2, 0.0)
        assert await room.woken() == [0, 1]

    run(go())


def test_the_safety_net_knows_what_a_crowd_needs() -> None:
    async def go() -> None:
        room = Room()
        await room.enter(need=5, most=5, within=60.0)
        room.waiters.found("q", 4, 59.0)
        assert await room.woken() == []
        room.waiters.found("q", 1, 60.0)
        assert await room.woken() == [0]
        await room.enter(need=5, most=5)
        room.waiters.found("q", 4, 1e9)
        assert await room.woken() == [0]
        room.waiters.found("q", 5, 0.0)
        assert await room.woken() == [0, 1]

    run(go())


def test_who_was_woken_for_nothing_is_left_alone_for_longer_and_longer() -> None:
    async def go() -> None:
        room = Room()
        waiter = Waiter("q", "i")
        pauses = []
        for _ in range(6):
            room.waiters.missed(waiter)
            pauses.append(waiter.deaf_until - room.clock.now)
            room.tasks = [asyncio.create_task(room.waiters.wait(waiter, 0, LONG, room.gone))]
            assert await room.woken() == []
            room.waiters.found("q", 1, 0.0)
            assert await room.woken() == []
            room.clock.now = waiter.deaf_until
            room.waiters.found("q", 1, 0.0)
            assert await room.woken() == [0]
        assert pauses == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]

    run(go())


def test_the_deaf_hear_what_is_announced_and_when_the_reason_is_over() -> None:
    async def go() -> None:
        room = Room()
        waiter = Waiter("q", "i", misses=3, deaf_until=100.0)
        room.tasks = [asyncio.create_task(room.waiters.wait(waiter, 0, LONG, room.gone))]
        await room.woken()
        room.waiters.undeafen("q")
        room.waiters.found("q", 1, 0.0)
        assert await room.woken() == [0] and waiter.misses == 0
        waiter.deaf_until = 100.0
        room.tasks = [asyncio.create_task(room.waiters.wait(waiter, 0, LONG, room.gone))]
        await room.woken()
        room.waiters.announced("q", 1)
        assert await room.woken() == [0]

    run(go())


def test_news_of_an_instrument_wakes_its_own() -> None:
    async def go() -> None:
        room = Room()
        await room.enter(instrument="a")
        await room.enter(instrument="b")
        room.waiters.of_instrument("b")
        assert await room.woken() == [1]

    run(go())


def test_closing_ends_all_waiting_for_good() -> None:
    async def go() -> None:
        room = Room()
        await room.enter(2)
        await room.enter(need=3)
        room.waiters.close()
        assert await room.woken() == [0, 1, 2]
        assert not any(task.result() for task in room.tasks)
        assert await room.waiters.wait(Waiter("q", "i"), 0, LONG, room.gone) is False

    run(go())


def test_topics_wake_who_watches_them() -> None:
    async def go() -> None:
        topics = Topics()
        with (
            topics.watch(("experiment", 1), ("attempt", "a")) as watch,
            topics.watch(("experiment", 2)) as other,
        ):
            topics.touch(("experiment", 1))  # before it waits
            assert await watch.wait(LONG) is True
            assert await watch.wait(0.001) is False
            later = asyncio.create_task(watch.wait(LONG))
            await asyncio.sleep(0)
            topics.touch(("attempt", "a"))
            assert await later is True
            assert await other.wait(0.001) is False
        assert not topics.watched(("experiment", 1)) and not topics.watched(("experiment", 2))

    run(go())


def test_topics_end_when_the_client_is_gone_or_the_server_closes() -> None:
    async def go() -> None:
        topics = Topics()
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with topics.watch(("experiment", 1)) as watch:
            waiting = asyncio.create_task(watch.wait(LONG, gone))
            await asyncio.sleep(0)
            gone.set_result(None)
            assert await waiting is False
        with topics.watch(("experiment", 1)) as watch:
            waiting = asyncio.create_task(watch.wait(LONG))
            await asyncio.sleep(0)
            topics.close()
            assert await waiting is False
            assert await watch.wait(LONG) is False

    run(go())
