"""Leases are renewed beside the run, by thread and by process, and silence is noticed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from adapters_here import Adapter, adapter

from labqueue.answers import LeaseState
from labqueue.client import Client
from labqueue.conformance.server import FakeServer
from labqueue.experiment import Experiment
from labqueue.keeper import Keeper, ProcessKeeper

KEEPERS = [Keeper, ProcessKeeper]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(lease_seconds=0.6) as one:
        yield one


class News:
    """What a keeper says, and a way to wait for it."""

    def __init__(self) -> None:
        self.heard: list[LeaseState] = []
        self.probes: list[str] = []
        self._changed = threading.Condition()

    def hear(self, item: LeaseState) -> None:
        with self._changed:
            self.heard.append(item)
            self._changed.notify_all()

    def ask(self, probes: Any) -> None:
        with self._changed:
            self.probes += [each.lease for each in probes]
            self._changed.notify_all()

    def wait_for(self, true: Callable[[], Any]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: bool(true()), 30.0)


@pytest.fixture(params=KEEPERS)
def kept(request: pytest.FixtureRequest, server: FakeServer) -> Iterator[tuple[Keeper, News, list[str]]]:
    """A keeper that holds three leases of a second each."""
    server.stage(x=1.0, count=3)
    news = News()
    client = Client(server.url, retry_for=0.0)
    claimed = client.claim("bench", instrument="i", adapter="a", key="k", most=3)
    client.start([each.lease for each in claimed.experiments])
    client.close()
    keeper = request.param(client, "i", "a", news.hear, news.ask)
    for each in claimed.experiments:
        keeper.hold(each.lease, each.lease_seconds)
    keeper.start()
    yield keeper, news, [each.lease for each in claimed.experiments]
    keeper.close()


def beats(server: FakeServer) -> list[list[str]]:
    return [each.body["leases"] for each in server.calls("/attempts/heartbeat")]


def test_all_leases_are_renewed_in_one_call(server: FakeServer, kept: Any) -> None:
    _, _, leases = kept
    assert server.wait_until(lambda: len(beats(server)) >= 3)
    assert all(sorted(each) == sorted(leases) for each in beats(server))


def test_news_is_told_once_and_the_others_go_on(server: FakeServer, kept: Any) -> None:
    _, news, (first, second, third) = kept
    assert server.wait_until(lambda: beats(server))
    server.cancel(server.attempts[first].experiment, "wrong bottle")
    news.wait_for(lambda: len(news.heard) == 1)
    server.lose(second, "requeue")
    news.wait_for(lambda: len(news.heard) == 2)
    assert [(each.lease, each.state) for each in news.heard] == [(first, "cancel"), (second, "lost")]
    assert news.heard[0].message == "wrong bottle"
    before = len(beats(server))
    assert server.wait_until(lambda: any([third] == each for each in beats(server)[before:]))
    # A wish takes nothing away: that lease is renewed too, until its end is reported.
    assert server.wait_until(lambda: any([first] == each for each in beats(server)[before:]))
    assert len(news.heard) == 2


def test_a_lease_that_comes_during_a_poll_is_taken_in(server: FakeServer, kept: Any) -> None:
    keeper, news, _ = kept
    assert server.wait_until(lambda: beats(server))
    [number] = server.stage(x=2.0)
    with Client(server.url) as client:
        [late] = client.claim("bench", instrument="i", adapter="a", key="k-2").experiments
    keeper.hold(late.lease, 60.0)
    assert server.wait_until(lambda: any(late.lease in each for each in beats(server)))
    server.cancel(number)
    news.wait_for(lambda: [each.lease for each in news.heard] == [late.lease])


def test_nothing_is_polled_when_nothing_is_held(server: FakeServer, kept: Any) -> None:
    keeper, _, leases = kept
    assert server.wait_until(lambda: beats(server))
    for lease in leases:
        keeper.drop(lease)

    def silent() -> bool:
        """For longer than a lease."""
        before = len(beats(server))
        return not server.wait_until(lambda: len(beats(server)) > before, 0.8)

    assert any(silent() for _ in range(40))


def test_silence_of_a_whole_lease_is_known(server: FakeServer, kept: Any) -> None:
    keeper, _, _ = kept

    def becomes(contact: bool) -> None:
        deadline = time.monotonic() + 30
        while keeper.in_contact() is not contact:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    assert server.wait_until(lambda: beats(server))
    becomes(True)
    server.go_away()
    becomes(False)
    server.come_back()
    becomes(True)


def test_the_server_asks_through_the_heartbeat(server: FakeServer, kept: Any) -> None:
    _, news, (first, *_) = kept
    assert server.wait_until(lambda: beats(server))
    server.lose(first, "probe")
    news.wait_for(lambda: first in news.probes)


def test_nothing_new_begins_without_contact(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heartbeats do not get through although claims and starts would."""
    server.stage(x=1.0)
    through = threading.Event()
    in_contact = Keeper.in_contact
    asked = threading.Event()

    def silent(self: Keeper) -> bool:
        asked.set()
        return in_contact(self) if through.is_set() else False

    monkeypatch.setattr(Keeper, "in_contact", silent)
    with adapter(server, lambda _: {"y": 1.0}, tmp_path):
        assert asked.wait(30)
        assert not server.calls("/attempts/start")
        through.set()
        assert server.wait_until(lambda: server.results)


def test_a_long_run_keeps_its_lease_alive(server: FakeServer, tmp_path: Path) -> None:
    [number] = server.stage(x=1.0)

    def measure(experiment: Experiment) -> dict[str, float]:
        first = server.attempts[experiment.lease].deadline
        assert server.wait_until(lambda: server.attempts[experiment.lease].deadline > first + 0.3)
        return {"y": 1.0}

    Adapter(server, measure, tmp_path, limit=1).join()
    assert server.experiments[number].state == "completed"


def test_short_runs_cost_no_heartbeat(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labqueue.pulse.SOON", 5.0)  # short is what ends before that, also on a busy machine
    server.stage(x=1.0, count=10)
    Adapter(server, lambda _: {"y": 1.0}, tmp_path, limit=10).join()
    assert len(beats(server)) <= 2
