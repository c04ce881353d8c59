"""What surrounds a verb in a worker: retries, jobs let go, leases kept, steps that fail."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from fake_blobs import FakeBlobs
from fake_broker import FakeCommands
from fake_learner import FakeLearner
from fake_store import FakeClock, FakeIds, FakeStore

from labqueue.errors import ConflictError, UnavailableError
from models.domain import records as r
from services.broker.wake import Wake
from services.ports import Store
from workers import suggester
from workers.bootstrap import Context as WorkerContext
from workers.courier import HttpCourier
from workers.keeping import keep_alive, let_go
from workers.pulse import Pulse
from workers.replay import differences, report
from workers.rounds import Round, Step
from workers.tasks import Command

PATIENCE = 20.0
ME = "here:1:1"


@dataclass
class Context:
    """What a command is given."""

    store: Store
    holder: str = ME
    settled: int = 0

    def settle(self) -> None:
        self.settled += 1


@dataclass
class Contexts:
    own: Context


@dataclass
class Verb:
    """Raises these errors, one at each call, then works."""

    errors: list[Exception] = field(default_factory=list)
    calls: int = 0

    def __call__(self, context: Any, argument: Any) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore(FakeClock())


def held(store: Store, kind: str, holder: str = ME) -> r.Job:
    with store.begin() as tx:
        job = tx.jobs.lock(1, kind)
        return tx.jobs.save(replace(job, holder=holder, fence=job.fence + 1), lease_seconds=60, issued=True)


def job(store: Store, kind: str) -> r.Job:
    with store.begin() as tx:
        return tx.jobs.get(1, kind)


def run(store: Store, command: str, verb: Verb) -> tuple[str, Context]:
    context = Context(store)
    task = Command(command, verb, Contexts(context))  # type: ignore[arg-type]
    task.patience = 0.0  # type: ignore[misc]
    outcome = task._outcome(1)
    return outcome, context


def test_a_command_that_was_overtaken_is_tried_again_a_few_times(store: FakeStore) -> None:
    lucky = Verb([ConflictError(), ConflictError()])
    assert run(store, "suggest", lucky)[0] == "done"
    assert lucky.calls == 3
    unlucky = Verb([ConflictError() for _ in range(9)])
    assert run(store, "suggest", unlucky)[0] == "overtaken"
    assert unlucky.calls == Command.tries


@pytest.mark.parametrize(
    ("error", "outcome"), [(UnavailableError(), "unavailable"), (ZeroDivisionError(), "failed")]
)
def test_a_command_that_fails_lets_its_job_go_and_is_not_tried_again_at_once(
    store: FakeStore, error: Exception, outcome: str
) -> None:
    before = held(store, "train")
    verb = Verb([error])
    assert run(store, "train", verb)[0] == outcome
    assert verb.calls == 1
    after = job(store, "train")
    assert (after.holder, after.deadline) == ("", None)
    assert after.fence > before.fence
    assert after.issued_at is not None, "due again after a while, not in a tight loop"


def test_events_are_numbered_after_every_command(store: FakeStore) -> None:
    context = Context(store)
    for verb in (Verb(), Verb([ZeroDivisionError()])):
        Command("notify", verb, Contexts(context)).run("id")  # type: ignore[arg-type]
    assert context.settled == 2


def test_a_job_is_let_go_only_by_its_holder_and_is_due_at_once(store: FakeStore) -> None:
    held(store, "suggest")
    assert not let_go(store, "suggest", 1, "there:2:2")
    assert job(store, "suggest").holder == ME
    assert let_go(store, "suggest", 1, ME)
    assert job(store, "suggest").issued_at is None


def test_a_lease_is_renewed_while_the_work_lasts() -> None:
    renewed = threading.Semaphore(0)

    def renew() -> bool:
        renewed.release()
        return True

    with keep_alive(renew, every=0.001):
        for _ in range(3):
            assert renewed.acquire(timeout=PATIENCE)
    while renewed.acquire(blocking=False):
        pass
    assert not renewed.acquire(timeout=0.05), "nothing is renewed afterwards"


def test_a_lost_lease_is_not_renewed_and_an_unanswered_renewal_is_tried_again() -> None:
    answers: list[Any] = [UnavailableError(), True, False, AssertionError("asked although it was lost")]
    lost = threading.Event()

    def renew() -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if not answer:
            lost.set()
        return bool(answer)

    with keep_alive(renew, every=0.001):
        assert lost.wait(PATIENCE)
    assert len(answers) == 1


def test_a_pulse_beats_survives_an_absent_database_and_says_goodbye(store: FakeStore) -> None:
    beats = threading.Semaphore(0)
    absent = [True]

    class Sometimes:
        def begin(self) -> Any:
            if absent.pop() if absent else False:
                raise UnavailableError
            beats.release()
            return store.begin()

    pulse = Pulse(Sometimes(), "worker", ME, lambda: {"queues": ["train"]}, every=0.001)
    pulse.start()
    for _ in range(2):  # when the second begins, the first is committed
        assert beats.acquire(timeout=PATIENCE)
    with store.begin() as tx:
        [(kind, name, _, info)] = tx.liveness.workers()
    assert (kind, name, info["queues"]) == ("worker", ME, ["train"])
    pulse.stop()
    with store.begin() as tx:
        assert tx.liveness.workers() == []


def test_a_step_that_fails_stops_none_of_the_others_and_works_again() -> None:
    taken: list[str] = []
    broken = [True]

    def fail() -> None:
        if broken[0]:
            raise UnavailableError("away")
        taken.append("mended")

    steps = Round(
        Step("bad", fail),
        Step("good", lambda: taken.append("good")),
        Step("rare", lambda: taken.append("rare"), every=5.0, urgent=2.0),
    )
    for now in range(4):
        steps.run(float(now))
    assert taken == ["good", "rare", "good", "good", "good"]
    assert steps.failing == {"bad"}
    broken[0] = False
    steps.run(5.0)
    assert taken[5:] == ["mended", "good", "rare"]
    assert steps.failing == set()
    steps.run(6.0, news=True)
    steps.run(7.0, news=True)
    assert taken[8:] == ["mended", "good", "mended", "good", "rare"]


def test_news_that_comes_too_soon_is_not_forgotten() -> None:
    taken: list[float] = []
    now = [0.0]
    steps = Round(Step("commands", lambda: taken.append(now[0]), every=1.0, urgent=0.125))

    def run(at: float, news: bool = False) -> None:
        now[0] = at
        steps.run(at, news)

    run(0.0)
    assert steps.rest(0.0) is None, "nothing presses"
    run(0.0625, news=True)
    assert taken == [0.0] and steps.rest(0.0625) == 0.0625
    run(0.125)
    assert taken == [0.0, 0.125], "as soon as it may, without further news"
    assert steps.rest(0.125) is None
    run(0.25)
    assert len(taken) == 2
    run(1.125)
    assert len(taken) == 3


def test_what_differs_between_then_and_now_is_said_candidate_by_candidate() -> None:
    then = [{"parameters": {"x": 1.0}, "origin": "design"}, {"parameters": {"x": 2.0}}]
    assert differences(then, then) == []
    assert report(7, 2, []) == "Suggestion 7: equal, 2 candidates.\n"
    now = [{"parameters": {"x": 1.5}, "origin": "design"}]
    lines = differences(then, now)
    assert lines == [
        'candidate 1, parameters: then {"x": 1.0}, now {"x": 1.5}',
        'candidate 2: only then: {"parameters": {"x": 2.0}}',
    ]
    assert "Suggestion 7 differs:" in report(7, 2, lines) and "Other library versions" in report(7, 2, lines)
    assert "Its deadline cut it" in report(7, 2, lines, cut=True)


@pytest.mark.parametrize(("waiting", "turns"), [(0, suggester.IN_A_ROW), (2, 1), (None, suggester.IN_A_ROW)])
def test_a_campaign_takes_one_turn_where_others_wait(
    monkeypatch: pytest.MonkeyPatch, store: FakeStore, waiting: int | None, turns: int
) -> None:
    commands = FakeCommands()
    commands.away, commands.untaken = waiting is None, {"suggest": waiting or 0}
    wake = Wake("redis://localhost/0")  # connects when it is first used
    context = WorkerContext(store, FakeIds(), wake, HttpCourier(), FakeBlobs(), commands)
    vars(context)["learner"] = FakeLearner()  # no need to load torch
    asked: list[int] = []
    monkeypatch.setattr(suggester, "flow", lambda *given: asked.append(given[3]) or (1,))
    suggester.suggest(context, 7)
    assert asked == [7] * turns
