"""What only the real thing can show: two transactions at once, broken connections, unsafe settings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from servers import Servers
from store_world import Filler, PostgresWorld

from labqueue.errors import ConflictError, InvalidError, UnavailableError
from labqueue.states import State
from models.domain import records as r
from services.store.experiments import _PICK, EXPERIMENT
from services.store.migrate import upgrade
from services.store.postgres import PostgresStore


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@contextmanager
def waiting(world: PostgresWorld, future: Future[object]) -> Iterator[None]:
    """Returns once the other thread's statement waits for a lock of ours."""
    with psycopg.connect(world.url, autocommit=True) as watch:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        for _ in range(5_000):
            row = watch.execute(sql).fetchone()
            if row and row[0]:
                break
            if future.done():
                raise AssertionError(f"It did not wait: {future.result()!r}")
        else:
            raise AssertionError("It never came to wait.")
    yield


def test_two_claims_never_pick_the_same_row(postgres_world: PostgresWorld, fill: Filler) -> None:
    store = postgres_world.store
    with store.begin() as tx:
        staged = fill.staged(tx, fill.campaign(tx), 60)
    barrier = threading.Barrier(4)

    def claim() -> list[int]:
        mine: list[int] = []
        barrier.wait()
        while True:
            with store.begin() as tx:
                picked = tx.experiments.pick("flow", 2)
                tx.experiments.save([replace(each, state=State.LEASED) for each in picked])
            if not picked:
                return mine
            mine += [each.id for each in picked]

    with ThreadPoolExecutor(4) as pool:
        taken = [each for future in [pool.submit(claim) for _ in range(4)] for each in future.result()]
    assert sorted(taken) == [each.id for each in staged]


def test_a_claim_skips_what_another_one_holds(postgres_world: PostgresWorld, fill: Filler) -> None:
    store = postgres_world.store
    with store.begin() as tx:
        staged = fill.staged(tx, fill.campaign(tx), 4, origin="suggester")
    with store.begin() as one, store.begin() as two:
        assert one.experiments.pick("flow", 2) == staged[:2]
        assert two.experiments.pick("flow", 2) == staged[2:]
        assert two.experiments.pick_these("flow", [staged[0].id]) == []
        assert two.experiments.lock_replaceable(staged[0].campaign_id) == staged[2:]


def test_a_lock_waits_and_then_sees_what_was_committed(
    postgres_world: PostgresWorld, fill: Filler, threads: ThreadPoolExecutor
) -> None:
    store = postgres_world.store
    with store.begin() as tx:
        experiment = fill.staged(tx, fill.campaign(tx))[0]

    def second() -> list[r.Experiment]:
        with store.begin() as tx:
            return tx.experiments.lock([experiment.id])

    with store.begin() as tx:
        tx.experiments.lock([experiment.id])
        future = threads.submit(second)
        with waiting(postgres_world, future):
            tx.experiments.save([replace(experiment, state=State.LEASED)])
    assert future.result(30)[0].state is State.LEASED


def test_two_stagings_of_one_campaign_wait_for_one_another_and_numbering_for_neither(
    postgres_world: PostgresWorld, fill: Filler, threads: ThreadPoolExecutor
) -> None:
    store = postgres_world.store
    with store.begin() as tx:
        campaign = fill.campaign(tx)
        tx.events.add([r.Event("taught", "anna", campaign_id=campaign.id, teaches=True, accepts=1)])

    def second() -> int:
        with store.begin() as tx:
            locked = tx.campaigns.lock("snar")
            assert locked is not None
            return locked.next_number

    with store.begin() as tx:
        tx.campaigns.lock("snar")
        with store.begin() as numberer:
            assert len(numberer.events.number()) == 1
        with store.begin() as other:
            # The foreign key of a new experiment does not wait for the staging either.
            other.experiments.add([fill.experiment(campaign)])
        future = threads.submit(second)
        with waiting(postgres_world, future):
            tx.campaigns.save(replace(campaign, next_number=5))
    assert future.result(30) == 5
    with store.begin() as tx:
        told = tx.campaigns.get("snar")
        assert told is not None and (told.data_revision, told.accepted) == (1, 1)


def test_numbers_are_gapless_and_a_late_commit_is_numbered_late(
    postgres_world: PostgresWorld, threads: ThreadPoolExecutor
) -> None:
    store = postgres_world.store
    with store.begin() as late:
        late.events.add([r.Event("late", "anna")])
        with store.begin() as tx:
            tx.events.add([r.Event("early", "anna")])
        with store.begin() as tx:
            assert [each.type for each in tx.events.number()] == ["early"]
    with store.begin() as tx:
        assert [(each.number, each.type) for each in tx.events.number()] == [(2, "late")]

    def write(place: int) -> None:
        for _ in range(20):
            with store.begin() as tx:
                tx.events.add([r.Event(f"w{place}", "anna"), r.Event(f"w{place}", "anna")])
            with store.begin() as tx:
                tx.events.number(7)

    for future in [threads.submit(write, place) for place in range(4)]:
        future.result(60)
    while True:
        with store.begin() as tx:
            if not tx.events.number(7):
                break
    with store.begin() as tx:
        assert [each.number for each in tx.events.after(0, 1_000)] == list(range(1, 163))


def test_one_numbers_and_one_relays_at_a_time(postgres_world: PostgresWorld) -> None:
    store = postgres_world.store
    with store.begin() as tx:
        tx.events.add([r.Event("e", "anna")])
        tx.outbox.add([r.Published("flow", "batch", {})])
    with store.begin() as one, store.begin() as two:
        assert len(one.events.number()) == 1
        assert two.events.number() == []
        assert len(one.outbox.take(10)) == 1
        assert two.outbox.take(10) == []
    with store.begin() as tx:
        assert len(tx.outbox.take(10)) == 1


def test_who_waits_for_numbers_gets_those_that_are_left(
    postgres_world: PostgresWorld, threads: ThreadPoolExecutor
) -> None:
    store = postgres_world.store
    with store.begin() as tx:
        tx.events.add([r.Event("first", "anna")])

    def second() -> list[r.Event]:
        with store.begin() as tx:
            return tx.events.number(wait=True)

    with store.begin() as one:
        assert len(one.events.number()) == 1
        with store.begin() as other:
            other.events.add([r.Event("second", "anna")])
        future = threads.submit(second)
        with waiting(postgres_world, future):
            pass
    assert [(each.number, each.type) for each in future.result(30)] == [(2, "second")]


def test_of_two_first_values_of_an_output_one_is_refused(
    postgres_world: PostgresWorld, fill: Filler, threads: ThreadPoolExecutor
) -> None:
    store = postgres_world.store
    with store.begin() as tx:
        experiment = fill.staged(tx, fill.campaign(tx))[0]
        seq = tx.results.add([fill.result(experiment)])[0].seq
    reading = r.Reading(experiment.id, "yield", 0.5, None, seq, True)

    def second() -> None:
        with store.begin() as tx:
            tx.results.add_readings([replace(reading, value=0.75)])

    with store.begin() as tx:
        tx.results.add_readings([reading])
        future = threads.submit(second)
        with waiting(postgres_world, future):
            pass
    with pytest.raises(ConflictError):
        future.result(30)
    with store.begin() as tx:
        assert tx.results.readings([experiment.id]) == [reading]


def test_batches_of_attempts_are_renewed_and_saved_at_once_without_deadlock(
    postgres_world: PostgresWorld, fill: Filler, threads: ThreadPoolExecutor
) -> None:
    store = postgres_world.store
    with store.begin() as tx:
        staged = fill.staged(tx, fill.campaign(tx), 30)
        attempts = tx.attempts.add([fill.attempt(each) for each in staged])

    def renew(forward: bool) -> None:
        leases = [(each.id, 1) for each in attempts]
        for _ in range(20):
            with store.begin() as tx:
                assert all(each.live for each in tx.attempts.renew(leases[:: 1 if forward else -1], "hplc-2"))

    def save(forward: bool) -> None:
        for _ in range(20):
            with store.begin() as tx:
                tx.attempts.save(attempts[:: 1 if forward else -1])

    jobs: list[Callable[[bool], None]] = [renew, save]
    for future in [threads.submit(job, forward) for job in jobs for forward in (True, False)]:
        future.result(60)


def test_a_heartbeat_does_not_wait_for_a_claim_of_its_instrument(
    postgres_world: PostgresWorld, fill: Filler
) -> None:
    store = postgres_world.store
    with store.begin() as tx:
        staged = fill.staged(tx, fill.campaign(tx))[0]
        attempt = tx.attempts.add([fill.attempt(staged)])[0]
        tx.instruments.lock("hplc-2")
    with store.begin() as claim, store.begin() as beat:
        claim.instruments.lock("hplc-2")
        assert beat.attempts.renew([(attempt.id, 1)], "hplc-2")[0].live is True


def test_a_connection_that_the_server_closed_is_not_handed_out(postgres_world: PostgresWorld) -> None:
    store = postgres_world.store
    with store.begin() as one, store.begin() as two:
        one.now(), two.now()
    with psycopg.connect(postgres_world.url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = 'labqueue' AND datname = current_database()"
        )
    for _ in range(3):
        with store.begin() as tx:
            assert tx.queues.all() == []


def test_a_connection_that_breaks_inside_a_transaction_is_reported_and_replaced(
    postgres_world: PostgresWorld,
) -> None:
    store = postgres_world.store
    with pytest.raises(UnavailableError) as caught, store.begin() as tx:
        tx.queues.put(r.Queue("never"))
        with psycopg.connect(postgres_world.url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE application_name = 'labqueue' AND datname = current_database()"
            )
        tx.queues.all()
    assert isinstance(caught.value.__cause__, psycopg.Error)
    with store.begin() as tx:
        assert tx.queues.all() == []


def test_a_server_that_is_not_there_is_unavailable() -> None:
    store = PostgresStore("postgresql://labqueue:secret-word@/labqueue?host=/no/such/folder", 1)
    with pytest.raises(UnavailableError) as caught, store.begin() as tx:
        tx.now()
    assert "secret-word" not in f"{caught.value} {caught.value.__cause__}"


def test_a_busy_pool_is_unavailable_not_a_hang(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.store.engine.POOL_TIMEOUT", 0.05)
    store = PostgresStore(postgres_url, 1)
    with store.begin() as tx:
        tx.now()
        with pytest.raises(UnavailableError, match="busy"), store.begin():
            pass
    store.close()


def test_an_unmigrated_database_says_what_to_do(empty_postgres_url: str) -> None:
    store = PostgresStore(empty_postgres_url, 1)
    with pytest.raises(UnavailableError, match="labqueue-server migrate"), store.begin() as tx:
        tx.queues.all()
    store.close()


def test_a_value_that_no_column_holds_is_invalid(postgres_world: PostgresWorld, fill: Filler) -> None:
    with postgres_world.store.begin() as tx:
        experiment = fill.staged(tx, fill.campaign(tx))[0]
    with pytest.raises(InvalidError), postgres_world.store.begin() as tx:
        tx.experiments.save([replace(experiment, priority=2**40)])
    with pytest.raises(InvalidError), postgres_world.store.begin() as tx:
        tx.queues.get("nul\0")


@pytest.mark.parametrize("many", [1, 2])
def test_letters_that_postgres_cannot_hold_are_replaced_not_refused(
    postgres_world: PostgresWorld, fill: Filler, many: int
) -> None:
    """A result counts although its comment holds what JSON may spell and Postgres cannot keep."""
    with postgres_world.store.begin() as tx:
        experiment = fill.staged(tx, fill.campaign(tx))[0]
        odd = {"comment": "nul\0 and \ud800 end", "body": {"k\0": ["\udfff", 1]}}
        ids = [each.id for each in tx.results.add([fill.result(experiment, **odd) for _ in range(many)])]
    with postgres_world.store.begin() as tx:
        for kept in tx.results.get(ids):
            assert kept.comment == "nul\ufffd and \ufffd end"
            assert kept.body == {"k\ufffd": ["\ufffd", 1]}


def test_no_url_of_postgres_is_invalid_and_shows_no_password() -> None:
    for url in ("mysql://u:secret-word@h/d", "postgresql+psycopg//u:secret-word@h"):
        with pytest.raises(InvalidError) as caught:
            PostgresStore(url, 1)
        assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize("prepared", [True, False])
def test_every_session_runs_under_the_same_settings(postgres_url: str, prepared: bool) -> None:
    store = PostgresStore(postgres_url, 1, prepared)
    names = ["TimeZone", "search_path", "statement_timeout", "idle_in_transaction_session_timeout"]
    for _ in range(3):
        with store.session() as session:
            settings = [session.value("SELECT current_setting(%s)", [name]) for name in names]
            assert settings == ["UTC", "public", "1min", "1min"]
            prepared_count = session.value("SELECT count(*) FROM pg_prepared_statements")
    assert bool(prepared_count) is prepared
    store.close()


def test_a_safe_server_passes_and_an_unsafe_one_is_refused(postgres_world: PostgresWorld) -> None:
    postgres_world.store.check_safety()
    with psycopg.connect(postgres_world.url, autocommit=True) as other:
        name = other.execute("SELECT current_database()").fetchone()
        assert name is not None
        other.execute(f"ALTER DATABASE {name[0]} SET synchronous_commit = off")
    unsafe = PostgresStore(postgres_world.url, 1)
    with pytest.raises(UnavailableError, match="synchronous_commit off"):
        unsafe.check_safety()
    unsafe.close()


def test_a_claim_touches_no_more_pages_with_much_history(postgres_world: PostgresWorld, fill: Filler) -> None:
    """Buffers, not seconds: what is finished lies outside the claim's index."""
    store = postgres_world.store
    with store.begin() as tx:
        campaign = fill.campaign(tx)
        fill.staged(tx, campaign, 20)

    def touched() -> int:
        with psycopg.connect(postgres_world.url, autocommit=True) as other:
            other.execute("VACUUM ANALYZE experiments")
        with store.session() as session:
            sql = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {_PICK}".replace("%s", "'flow'", 1).replace(
                "%s", "1"
            )
            plan = session.value(sql)[0]["Plan"]
            return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])

    before = touched()
    names = [name for name in EXPERIMENT.fields if name not in ("id", "code", "number", "state", "outcome")]
    listed = ", ".join(f'"{name}"' for name in names)
    with store.session() as session:
        session.run(
            f"INSERT INTO experiments (code, number, state, outcome, {listed}) "
            f"SELECT 'old-' || n, n + 1000, 'completed', 'measured', {listed} "
            "FROM experiments e, generate_series(1, 200000) n"
            " WHERE e.id = (SELECT min(id) FROM experiments)"
        )
    assert touched() <= max(before * 1.1, before + 1)


def test_the_same_store_goes_on_after_its_server_was_killed(servers: Servers) -> None:
    server = servers.new_postgres()
    upgrade(server.url)
    store = PostgresStore(server.url, 2)
    with store.begin() as tx:
        tx.queues.put(r.Queue("flow"))
    server.kill()
    server.start()
    with store.begin() as tx:
        assert tx.queues.get("flow") == r.Queue("flow")
    store.close()
