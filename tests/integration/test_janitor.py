"""The janitor on real servers: what it does by itself, with Redis away, and when it dies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_broker import FakeCommands
from fake_learner import FakeLearner
from lab import IDS, JANITOR, alive, answer, campaign, finished, running, settings_for, take, until
from servers import Servers

from labqueue.states import State
from models.domain.records import Event
from services.broker import streams
from services.broker.connection import connect
from services.broker.publisher import RedisPublisher
from services.broker.wake import Wake
from services.embedded.valkey import Valkey
from services.flow import due
from services.flow.cancel import cancel
from services.flow.claim import ClaimRequest, claim
from services.flow.number import number
from services.flow.stage import StageItem, StageRequest, stage
from services.flow.steer import resume_campaign
from services.flow.suggest import suggest
from services.flow.train import train
from services.store.postgres import PostgresStore
from workers import janitor as module
from workers.janitor import Janitor


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    made = PostgresStore(postgres_url, pool_size=6)
    yield made
    made.close()


@pytest.fixture
def valkey(servers: Servers) -> Iterator[Valkey]:
    server = servers.new_valkey()
    yield server
    server.stop()


@contextmanager
def working(store: PostgresStore, redis_url: str, commands: Any = None, name: str = "") -> Iterator[Janitor]:
    """A janitor in a thread of this process."""
    janitor = Janitor(store, RedisPublisher(redis_url), commands or FakeCommands(), Wake(redis_url), name)
    thread = threading.Thread(target=janitor.run)
    thread.start()
    try:
        yield janitor
    finally:
        janitor.stop()
        thread.join(30)
    assert not thread.is_alive()


def staged(store: PostgresStore, name: str, *values: float, **more: Any) -> list[int]:
    """By a person; ids in the order given."""
    items = tuple(StageItem({"x": value}, **more) for value in values)
    return [
        each.id
        for each in stage(store, IDS, StageRequest(name, str(IDS.uuid()), items), "person:anna").experiments
    ]


def published(redis_url: str, queue: str = "q") -> list[int]:
    """Ids of all announced experiments, in the stream's order. Doubles are harmless and left out."""
    with connect(redis_url) as client:
        found = [streams.read(fields) for _, fields in client.xrange(streams.stream(queue))]
    batches = [entry for entry in found if entry is not None and entry.kind == "batch"]
    return list(dict.fromkeys(each["id"] for entry in batches for each in entry.body["experiments"]))


def test_what_is_staged_is_published_and_published_again_in_its_order_after_flushall(
    store: PostgresStore, redis_url: str
) -> None:
    campaign(store, method="caller")
    with working(store, redis_url):
        ids = [id for value in range(8) for id in staged(store, "tiny", float(value), priority=value % 3)]
        until(lambda: set(published(redis_url)) == set(ids), "everything is published")
        connect(redis_url).flushdb()
        until(lambda: len(published(redis_url)) == len(ids), "everything is published again")
    again = published(redis_url)
    request = ClaimRequest("q", "robot", "home.1", "all", max=100)
    order = [each.experiment.id for each in claim(store, IDS, request).assignments]
    assert again == order, "published in the order in which it will be claimed"


def test_claimed_experiments_are_not_published_again(store: PostgresStore, redis_url: str) -> None:
    campaign(store, method="caller")
    ids = staged(store, "tiny", 1.0, 2.0, 3.0)
    [(_, taken)] = take(store)
    with working(store, redis_url):
        until(lambda: len(published(redis_url)) >= 2, "the rest is published")
        connect(redis_url).flushdb()
        until(lambda: len(published(redis_url)) >= 2, "the rest is published again")
    assert sorted(published(redis_url)) == sorted(set(ids) - {taken.id})


def test_with_redis_away_leases_end_dates_pass_and_campaigns_finish(
    store: PostgresStore, valkey: Valkey
) -> None:
    campaign(store, method="caller", stop={"budget": 1})
    campaign(store, "other", method="caller")
    valkey.stop()
    commands = FakeCommands()
    with store.begin() as tx:
        soon = tx.now() + timedelta(seconds=0.2)
    [late] = staged(store, "other", 1.0, expires_at=soon, priority=-1)
    with alive(store), working(store, valkey.url, commands):
        [lost] = staged(store, "other", 2.0, priority=9)
        assert take(store)[0][1].id == lost, "and never heard of again"

        def state(id: int) -> State:
            with store.begin() as tx:
                return tx.experiments.get([id])[0].state

        until(lambda: state(late) is State.EXPIRED, "the use-by date has passed")
        until(lambda: state(lost) is State.STAGED, "the silent holder lost its lease")
        staged(store, "tiny", 3.0, priority=10)
        [(lease, experiment)] = take(store, instrument="robot-2")
        answer(store, lease, experiment)
        assert until(lambda: finished(store, "tiny"), "the budget is spent").reason
        assert commands.sent == []
        valkey.start()
        until(lambda: lost in published(valkey.url), "published as soon as Redis is back")


def test_due_commands_are_sent_and_wait_while_redis_is_away(store: PostgresStore, valkey: Valkey) -> None:
    mine = campaign(store, method="design")
    commands = FakeCommands()
    valkey.stop()
    with working(store, valkey.url, commands) as janitor:
        until(lambda: "commands" in janitor.carrying.failing, "Redis is missed")
        assert commands.sent == []
        with store.begin() as tx:
            assert tx.jobs.get(mine.id, "suggest").issued_at is None, "not marked as issued"
        valkey.start()
        until(lambda: ("suggest", mine.id) in commands.sent, "the command is sent")
        first = len(commands.sent)
        until(lambda: len(commands.sent) > first, "a lost command is sent again")


class Workers:
    """Commands that are carried out on the spot."""

    def __init__(self, store: PostgresStore, redis_url: str) -> None:
        self.store, self.wake, self.learner = store, Wake(redis_url), FakeLearner()

    def waiting(self, name: str) -> int:
        return 0

    def send(self, name: str, campaign_id: int) -> None:
        if name == "train":
            train(self.store, self.learner, campaign_id, "worker")
        else:
            suggest(self.store, IDS, self.learner, campaign_id, "worker")
        self.settle()

    def settle(self) -> None:
        """What every process does after a commit."""
        if numbered := number(self.store):
            self.wake.poke(numbered[-1].number or 0)


def test_no_result_waits_for_a_command_to_be_sent_a_second_time(
    store: PostgresStore, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "AGAIN", timedelta(hours=1))
    mine = campaign(store, method="bayesian", initial=2, depth=2)
    workers = Workers(store, redis_url)

    def refreshed(results: int) -> bool:
        """Is every result learnt, and is what is staged judged by the model that learnt it?"""
        with store.begin() as tx:
            now, last = tx.campaigns.by_id(mine.id), tx.suggestions.recent(mine.id, 1)
        assert now is not None
        learnt = now.accepted == results and now.model_revision == now.data_revision
        return learnt and last[0].model_version == now.model_version

    with working(store, redis_url, workers):
        for results in range(1, 9):
            [(lease, experiment)] = until(lambda: take(store), "the queue is filled")
            answer(store, lease, experiment)
            workers.settle()
            if results >= 5:
                until(lambda results=results: refreshed(results), f"result {results} is learnt")


def test_a_campaign_ends_when_its_time_is_over_though_nothing_happens(
    store: PostgresStore, redis_url: str
) -> None:
    campaign(store, method="caller", stop={"hours": 0.0005})
    with working(store, redis_url):
        assert "hours are over" in until(lambda: finished(store, "tiny"), "the time is over").reason


def test_a_stop_rule_changed_from_outside_is_noticed(store: PostgresStore, redis_url: str) -> None:
    campaign(store, method="caller")
    [one] = staged(store, "tiny", 1.0)
    with working(store, redis_url):
        cancel(store, one, "not needed", "person:anna")
        from services.flow.define import change_strategy

        [two] = staged(store, "tiny", 2.0)
        [(lease, experiment)] = take(store)
        assert experiment.id == two
        answer(store, lease, experiment)
        assert finished(store, "tiny") is None
        change_strategy(store, "tiny", {"method": "caller", "stop": {"budget": 1}}, "enough", "person:anna")
        reason = until(lambda: finished(store, "tiny"), "the new budget is spent already").reason
    assert "budget of 1" in reason


def test_what_may_end_a_campaign() -> None:
    resumed = Event("campaign.resumed", "anna", campaign_id=1)
    assert module._may_end(resumed)
    assert module._may_end(replace(resumed, type="campaign.strategy_changed"))
    assert module._may_end(replace(resumed, type="model.trained"))
    assert not module._may_end(replace(resumed, type="experiment.claimed", data={"state": "leased"}))


def lead(store: PostgresStore) -> tuple[str, bool]:
    """Who leads, and whether anybody else may by now."""
    with store.session() as session:
        [(holder, free)] = session.rows(
            "SELECT holder, deadline <= clock_timestamp() FROM leases WHERE name = 'janitor'"
        )
    return str(holder), bool(free)


def test_one_janitor_leads_and_another_follows_when_it_stops_or_dies(
    store: PostgresStore, redis_url: str, postgres_url: str, home: Path
) -> None:
    settings = settings_for(postgres_url, redis_url, home)
    campaign(store, method="caller")
    with running(settings, JANITOR, JANITOR) as parts:
        first = until(lambda: next((each for each in parts if '"leads"' in each.text), None), "one leads")
        second = next(each for each in parts if each is not first)
        one = staged(store, "tiny", 1.0)
        until(lambda: published(redis_url) == one, "the leader works")
        assert '"leads"' not in second.text
        before, _ = lead(store)
        assert first.terminate() == 0
        after, free = lead(store)
        assert free or after != before, "a leader that stops says so"
        second.says('"leads"')
        two = staged(store, "tiny", 2.0)
        until(lambda: published(redis_url) == one + two, "the next leader works")
        second.kill()
        with running(settings, JANITOR) as [third]:
            three = staged(store, "tiny", 3.0)
            until(lambda: published(redis_url) == one + two + three, "whoever leads after a death works")
            third.says('"leads"')
            with store.begin() as tx:
                beats = tx.liveness.workers()
            assert {kind for kind, *_ in beats} == {"janitor"}


def test_a_janitor_says_what_is_wrong_with_its_settings(
    postgres_url: str, redis_url: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(postgres_url, redis_url, home)
    broken = settings.model_copy(update={"log_level": "loud"})
    with running(broken, JANITOR) as [part]:
        assert part.process.wait(60) == 1
        assert "LABQUEUE_LOG_LEVEL" in part.text
        assert "Traceback" not in part.text


def test_a_paused_campaign_is_taken_up_again(store: PostgresStore, redis_url: str) -> None:
    from services.flow.steer import pause_campaign

    mine = campaign(store, method="design")
    pause_campaign(store, "tiny", "lunch", "person:anna")
    commands = FakeCommands()
    with working(store, redis_url, commands) as janitor:
        until(lambda: janitor.leading, "the janitor leads")
        resume_campaign(store, "tiny", "back", "person:anna")
        until(lambda: ("suggest", mine.id) in commands.sent, "the queue is filled again")
