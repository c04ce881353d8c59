"""Celery workers as real processes: a tiny campaign is learnt, whatever happens to commands and workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from lab import (
    IDS,
    JANITOR,
    SUGGESTER,
    TRAINER,
    Part,
    alive,
    answer,
    campaign,
    finished,
    run_all,
    running,
    settings_for,
    take,
    until,
)
from servers import Servers

from labqueue.states import State
from models.domain import records as r
from services.broker.commands import CeleryCommands
from services.broker.connection import connect
from services.flow.inquire import ask
from services.settings import Settings
from services.store.postgres import PostgresStore

# Three processes, two of which import torch, on a machine that others use as well.
pytestmark = pytest.mark.timeout(600)
LONG = 300.0


@pytest.fixture
def settings(postgres_url: str, redis_url: str, home: Path) -> Settings:
    return settings_for(postgres_url, redis_url, home)


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    made = PostgresStore(postgres_url, pool_size=4)
    yield made
    made.close()


def child(part: Part) -> int:
    """The pid of a worker's pool process."""
    parent = psutil.Process(part.process.pid)
    return until(lambda: [each.pid for each in parent.children()], "the pool process is there")[0]


def job(store: PostgresStore, campaign_id: int, kind: str) -> r.Job:
    with store.begin() as tx:
        return tx.jobs.get(campaign_id, kind)


def models(store: PostgresStore, campaign_id: int) -> list[r.Model]:
    with store.begin() as tx:
        return tx.models.all(campaign_id)


def staged(store: PostgresStore, campaign_id: int) -> int:
    with store.begin() as tx:
        return tx.experiments.counts(campaign_id).get(State.STAGED, 0)


def measure(store: PostgresStore, count: int) -> None:
    """Be the robot for `count` experiments."""
    left = [count]

    def step() -> bool:
        for lease, experiment in take(store, count=left[0]):
            answer(store, lease, experiment)
            left[0] -= 1
        return left[0] == 0

    until(step, f"{count} experiments are measured", LONG)


def caught_training(store: PostgresStore, campaign_id: int, worker: Part) -> int:
    """Measure until a training begins and stop its process in the middle, for ever. How many models there are."""
    pid = child(worker)
    for _ in range(10):
        known = len(models(store, campaign_id))
        measure(store, 1)
        until(
            lambda known=known: (
                job(store, campaign_id, "train").holder or len(models(store, campaign_id)) > known
            ),
            "a training begins",
            LONG,
        )
        os.kill(pid, signal.SIGSTOP)
        if job(store, campaign_id, "train").holder:
            return len(models(store, campaign_id))
        os.kill(pid, signal.SIGCONT)  # it was faster
    raise AssertionError("ten trainings were over before they could be stopped")


def test_a_campaign_is_learnt_to_its_end_and_each_suggestion_can_be_computed_again(
    store: PostgresStore, settings: Settings
) -> None:
    mine = campaign(store, initial=4, depth=2, stop={"budget": 9})
    with alive(store), running(settings, JANITOR, TRAINER, SUGGESTER):
        done = run_all(store, "tiny", seconds=LONG)
        assert "budget" in done.reason
        with store.begin() as tx:
            experiments = tx.experiments.of_campaign(mine.id, tuple(State))
            workers = tx.liveness.workers()
        assert models(store, mine.id), "a model was trained"
        assert any(each.origin == "suggester" for each in experiments), "and was asked"
        serving = {queue for kind, _, _, info in workers if kind == "worker" for queue in info["queues"]}
        assert serving == {"train", "suggest", "inquire", "notify"}
        predicted = ask(store, IDS, "tiny", "predict", {"points": [{"x": 3.0}, {"x": 9.0}]}, "person:anna")

        def answered() -> r.Inquiry | None:
            with store.begin() as tx:
                found = tx.inquiries.get(predicted.id)
            return found if found is not None and found.state not in ("open", "running") else None

        reply = until(answered, "the inquiry is answered")
        assert reply.state == "answered", reply.message
        best, far = reply.answer["predictions"]
        assert best["y"]["mean"] > far["y"]["mean"]
    ids = sorted({each.suggestion_id for each in experiments if each.suggestion_id})
    for id in (ids[0], ids[-1]):
        again = replayed(settings, id)
        assert again.returncode == 0, again.stdout + again.stderr
        assert "equal" in again.stdout
    missing = replayed(settings, 10**6)
    assert missing.returncode == 1
    assert "There is no suggestion 1000000." in missing.stderr
    assert "Traceback" not in missing.stderr


def replayed(settings: Settings, suggestion: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "workers.replay", str(suggestion)],
        env={**os.environ, **settings.environ(), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )


def test_lost_and_doubled_commands_do_no_harm(store: PostgresStore, settings: Settings) -> None:
    mine = campaign(store, initial=3, depth=2, stop={"budget": 7})
    commands, redis = CeleryCommands(settings), connect(settings.redis)
    with alive(store), running(settings, JANITOR, TRAINER, SUGGESTER, SUGGESTER):
        measured = 0

        def step() -> bool:
            nonlocal measured
            for lease, experiment in take(store):
                answer(store, lease, experiment)
                measured += 1
                if measured % 2:
                    redis.flushdb()
                else:
                    for _ in range(5):
                        commands.send("train", mine.id)
                        commands.send("suggest", mine.id)
            return finished(store, "tiny") is not None

        until(step, "the campaign is finished", LONG)
        with store.begin() as tx:
            counts = tx.experiments.counts(mine.id)
        assert counts[State.COMPLETED] == 7
        revisions = [each.data_revision for each in models(store, mine.id)]
        assert len(revisions) == len(set(revisions)), "no revision was trained twice"
        with store.begin() as tx:
            experiments = tx.experiments.of_campaign(mine.id, tuple(State))
        unclaimed = (State.STAGED, State.SUPERSEDED, State.CANCELLED)
        suggestions = {each.suggestion_id for each in experiments}
        points = [each.planned["x"] for each in experiments if each.state not in unclaimed]
        assert None not in suggestions
        assert len(points) == len(set(points)), "no point was staged by both suggesters"


def test_a_worker_that_is_stopped_in_mid_training_lets_go_and_one_that_is_killed_is_followed(
    store: PostgresStore, settings: Settings, postgres_url: str
) -> None:
    mine = campaign(store, method="bayesian", initial=8, depth=8)
    with alive(store), running(settings, JANITOR, SUGGESTER):
        with running(settings, TRAINER) as [worker]:
            worker.says('"ready"')
            measure(store, 2)
            known = caught_training(store, mine.id, worker)
            before = job(store, mine.id, "train")
            assert worker.terminate() == 0
            after = job(store, mine.id, "train")
            assert (after.holder, after.deadline) == ("", None)
            assert after.fence > before.fence, "what the stopped one might still write is refused"
        with running(settings, TRAINER) as [worker]:
            until(lambda: len(models(store, mine.id)) > known, "the next worker trains at once", LONG)
            assert job(store, mine.id, "train").deaths == 0
            known = caught_training(store, mine.id, worker)
            worker.end()
        with running(settings, TRAINER) as [worker]:
            with psycopg.connect(postgres_url, autocommit=True) as database:
                database.execute("UPDATE jobs SET deadline = clock_timestamp() WHERE kind = 'train'")
            until(lambda: len(models(store, mine.id)) > known, "the worker after it trains", LONG)
            os.kill(child(worker), signal.SIGKILL)
            known = len(models(store, mine.id))
            measure(store, 1)
            until(lambda: len(models(store, mine.id)) > known, "a new pool process trains", LONG)


def test_a_worker_goes_on_after_redis_was_killed_and_lost_its_data(
    store: PostgresStore, postgres_url: str, servers: Servers, home: Path
) -> None:
    valkey = servers.new_valkey()
    settings = settings_for(postgres_url, valkey.url, home)
    mine = campaign(store, method="design", depth=2)
    with alive(store), running(settings, JANITOR, SUGGESTER):
        measure(store, 2)
        until(lambda: staged(store, mine.id) == 2, "the queue is filled again", LONG)
        valkey.kill()
        for file in (valkey.data / "appendonlydir").glob("*"):
            file.unlink()
        left = take(store, count=10)
        assert left, "claims go on without Redis"
        valkey.start()
        for lease, experiment in left:
            answer(store, lease, experiment)
        measure(store, 4)
    with store.begin() as tx:
        assert tx.experiments.counts(mine.id)[State.COMPLETED] == 6 + len(left)
    valkey.stop()


@pytest.mark.parametrize("queue", ["tarin", "", "train,x"])
def test_an_unknown_command_is_refused_with_the_known_ones(queue: str) -> None:
    found = subprocess.run(
        [sys.executable, "-P", "-m", "workers", "--queue", queue],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 2
    assert "known are train, suggest, inquire, notify" in found.stderr
