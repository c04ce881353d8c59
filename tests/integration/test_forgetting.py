"""Forgetting on the real database: by indexes alone, by several at once, killed in the middle, by the janitor."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from at_once import at_once
from fake_broker import FakeCommands
from lab import IDS, answer, campaign, take, until

from labqueue.errors import UnavailableError
from services.broker.publisher import RedisPublisher
from services.broker.wake import Wake
from services.flow import inquire
from services.flow.forget import Keep, forget
from services.flow.stage import StageItem, StageRequest, stage
from services.store import events, learning, runs
from services.store.postgres import PostgresStore
from workers.janitor import Janitor

OLD = 6000
KEEP = Keep()
TABLES = ("experiments", "attempts", "results", "readings", "events", "claims", "inquiries")


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    made = PostgresStore(postgres_url, pool_size=6)
    yield made
    made.close()


@pytest.fixture
def database(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def fill(
    store: PostgresStore, database: psycopg.Connection[Any], old: int = OLD, young: int = 30_000
) -> None:
    """One run from end to end, and behind it so many old and young rows of what can be forgotten."""
    campaign(store, method="caller")
    stage(
        store, IDS, StageRequest("tiny", "k", (StageItem({"x": 1.0}), StageItem({"x": 2.0}))), "person:anna"
    )
    [(lease, experiment)] = take(store)
    answer(store, lease, experiment)
    inquire.ask(store, IDS, "tiny", "suggest", {}, "person:anna")
    age = f"clock_timestamp() - CASE WHEN n <= {old} THEN interval '30 days' ELSE interval '1 hour' END"
    rows = f"generate_series(1, {old + young}) n"
    database.execute(
        "INSERT INTO claims (key, instrument, request_hash, attempts, created_at) "
        f"SELECT 'old-' || n, 'robot', '', ARRAY[(SELECT id FROM attempts)], {age} FROM {rows}".encode()
    )
    database.execute(
        "INSERT INTO inquiries (id, campaign_id, kind, request, actor, state, answer, message, fence, deadline) "
        "SELECT gen_random_uuid(), campaign_id, kind, request, actor, 'answered', to_jsonb(repeat('x', 500)), '', 1, "
        f"{age} FROM inquiries, {rows}".encode()
    )
    database.execute(
        "INSERT INTO events (number, type, actor, campaign_id, data, teaches, accepts, at) "
        f"SELECT 1000 + n, 'inquiry.answered', 'anna', 1, '{{}}', false, 0, {age} FROM {rows}".encode()
    )
    database.execute("ANALYZE")


def counts(database: psycopg.Connection[Any]) -> dict[str, int]:
    found = {}
    for table in TABLES:
        row = database.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
        assert row is not None
        found[table] = row[0]
    return found


def until_done(store: PostgresStore, keep: Keep = KEEP) -> dict[str, int]:
    total: dict[str, int] = {}
    while True:
        done = forget(store, keep)
        for name, count in done.rows.items():
            total[name] = total.get(name, 0) + count
        if not done.more:
            return total


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        (runs._CLAIM_FORGET, "claims_created_index"),
        (learning._INQUIRY_FORGET, "inquiries_ended_index"),
        (events._FORGET_INQUIRIES, "events_inquiry_index"),
    ],
)
@pytest.mark.parametrize(("old", "plans"), [(0, "custom"), (OLD, "custom"), (OLD, "generic")])
def test_no_big_table_is_read_from_end_to_end(
    store: PostgresStore, database: psycopg.Connection[Any], sql: str, index: str, old: int, plans: str
) -> None:
    fill(store, database, old)
    database.execute(
        "INSERT INTO attempts (id, experiment_id, number, queue, instrument, adapter, fence, lease_seconds, state, "
        '"end", reason, counts, probing, silent, deadline, claimed_at) '
        "SELECT gen_random_uuid(), experiment_id, number + n, queue, instrument, adapter, fence, lease_seconds, "
        "'ended', 'lost', '', false, false, false, deadline, claimed_at FROM attempts, generate_series(1, 30000) n"
    )
    database.execute("ANALYZE attempts")
    with store.begin() as tx:
        before = tx.now() - timedelta(days=7)
    text = sql.replace("%s", "$1", 1).replace("%s", "$2")
    with psycopg.connect(database.info.dsn, autocommit=False) as trial:
        # As a connection that has run it often may plan it: without a look at its parameters.
        trial.execute(f"SET plan_cache_mode = force_{plans}_plan".encode())
        trial.execute(f"PREPARE forgetting (timestamptz, bigint) AS {text}".encode())
        sql = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE forgetting('{before.isoformat()}', 100)"
        row = trial.execute(sql.encode()).fetchone()
        assert row is not None
        plan = row[0][0]["Plan"]
        trial.rollback()
    shown = json.dumps(plan, indent=1)
    assert f'"Index Name": "{index}"' in shown, shown
    read = {each["Relation Name"] for each in nodes(plan) if each["Node Type"] == "Seq Scan"}
    assert read <= {"webhooks"}, shown
    pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    assert pages < (6000 if old else 60), (pages, shown)


@contextmanager
def running(janitor: Janitor) -> Iterator[None]:
    thread = threading.Thread(target=janitor.run)
    thread.start()
    try:
        yield
    finally:
        janitor.stop()
        thread.join(30)
    assert not thread.is_alive()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


def test_two_janitors_at_once_share_the_work(store: PostgresStore, database: psycopg.Connection[Any]) -> None:
    fill(store, database)
    before = counts(database)
    one, two = at_once(lambda: until_done(store), lambda: until_done(store))
    for kind in ("inquiries", "events", "claims"):
        assert one[kind] + two[kind] == OLD, "each row once"
    after = counts(database)
    gone = {table: before[table] - after[table] for table in TABLES}
    assert gone == {**dict.fromkeys(TABLES, 0), "claims": OLD, "inquiries": OLD, "events": OLD}


def test_what_another_holds_is_passed_over(store: PostgresStore, database: psycopg.Connection[Any]) -> None:
    fill(store, database, young=0)
    with store.begin() as tx:
        mine = [
            tx.claims.forget(tx.now() - KEEP.claims, 1000),
            tx.inquiries.forget(tx.now() - KEEP.inquiries, 100),
        ]
        theirs = until_done(store)
    assert mine == [1000, 100]
    assert (theirs["claims"], theirs["inquiries"]) == (OLD - 1000, OLD - 100)


def test_killed_in_the_middle_nothing_is_half_done(
    store: PostgresStore, database: psycopg.Connection[Any]
) -> None:
    fill(store, database)
    before = counts(database)
    with pytest.raises(UnavailableError), store.begin() as tx:
        assert tx.claims.forget(tx.now() - KEEP.claims, 1000) == 1000
        assert tx.inquiries.forget(tx.now() - KEEP.inquiries, 100) == 100
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND state = 'idle in transaction'"
        )
    assert counts(database) == before
    assert until_done(store)["claims"] == OLD


def test_the_janitor_forgets_by_itself_and_the_rest_stays(
    store: PostgresStore, database: psycopg.Connection[Any], redis_url: str
) -> None:
    fill(store, database, old=2500, young=100)
    before = counts(database)
    janitor = Janitor(store, RedisPublisher(redis_url), FakeCommands(), Wake(redis_url), keep=KEEP)

    def gone(table: str) -> Callable[[], bool]:
        return lambda: before[table] - counts(database)[table] >= 2400

    with running(janitor):
        for table in ("claims", "events"):
            until(gone(table), f"the old {table} are gone")
    after = counts(database)
    assert {name: after[name] for name in ("experiments", "attempts", "results", "readings")} == {
        name: before[name] for name in ("experiments", "attempts", "results", "readings")
    }
    assert after["claims"] == before["claims"] - 2500
