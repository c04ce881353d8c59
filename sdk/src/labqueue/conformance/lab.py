"""A laboratory in memory: what the fake server knows, and the hand that a test lays on it.

Everything is guarded by one condition variable, which every change notifies: long polls and tests wait on it
and never poll. The clock is the real one plus what a test adds with `advance`; no lease ends by itself.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from labqueue.errors import ConflictError, NotFoundError
from labqueue.problem import Continuous, Objective, Output, Problem, did_you_mean
from labqueue.states import LostLease, State
from labqueue.strategy import CALLER, Strategy

#: How an attempt ended; None while it is alive.
LOST, PROBING = "lost", "probing"


@dataclass
class Queue:
    """A kind of work, with the policies of the contract."""

    name: str
    lease_seconds: float = 60.0
    on_lost: str = LostLease.HOLD.value
    max_attempts: int = 3
    people: bool = False
    state: str = "active"  # active, paused, draining
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass
class Campaign:
    """A problem, a strategy and its experiments' numbers."""

    name: str
    queue: str
    problem: Problem
    strategy: Strategy
    owner: str = "local"
    weight: float = 1.0
    seed: int | None = None
    state: str = "active"
    reason: str = ""
    created_at: str = ""
    finished_at: str | None = None


@dataclass
class Attempt:
    """One lease's life."""

    lease: str
    id: str
    number: int
    experiment: int
    queue: str
    instrument: str
    adapter: str
    deadline: float
    form: str = "object"
    started_at: float | None = None
    run_ref: str | None = None
    notes: list[str] = field(default_factory=list)
    ended: str | None = None  # "lost", "probing", "failed", "released", "cancelled", "completed", "held"
    reason: str = ""
    told: set[str] = field(default_factory=set)  # incarnations that were asked whether it still runs

    @property
    def live(self) -> bool:
        return self.ended is None

    @property
    def counts(self) -> bool:
        """Started and lost, or failed: bounded by the queue's max_attempts."""
        return self.ended == "failed" or (self.ended == LOST and self.started_at is not None)


@dataclass
class Experiment:
    """A point to be run, or an opaque item."""

    id: int
    code: str
    campaign: str
    queue: str
    parameters: dict[str, Any]
    payload: Any = None
    priority: int = 0
    reason: str = ""
    origin: str = "person"
    pinned: bool = False
    state: State = State.STAGED
    state_reason: str = ""
    staged_at: float = 0.0
    expires_at: str | None = None
    wish: str | None = None  # why its cancellation is wished
    attempts: list[Attempt] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)  # one current value per output: a number or a label

    @property
    def holder(self) -> Attempt | None:
        return next((each for each in self.attempts if each.live), None)


@dataclass
class Instrument:
    """The device by name, and the incarnation of the adapter that was seen last."""

    name: str
    adapter: str = ""
    seen: float = 0.0
    queue: str = ""
    paused: bool = False
    held: int | None = None  # claims nothing before somebody has looked at this experiment
    reason: str = ""
    failure_limit: int = 3
    failures: int = 0


@dataclass(frozen=True)
class Stored:
    """A result as it came, and what became of it."""

    id: str
    experiment: int
    verdict: str
    body: Mapping[str, Any]
    message: str = ""
    recorded_at: str = ""


class Lab:
    """What the server would keep in its database, and the controls for tests.

    Controls: stage, cancel, lose, requeue, adapter_died, advance. `wait_until` waits for a condition on
    all this and returns whether it came true in time.
    """

    def __init__(self, lease_seconds: float = 60.0) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.queues: dict[str, Queue] = {}
        self.campaigns: dict[str, Campaign] = {}
        self.experiments: dict[int, Experiment] = {}
        self.instruments: dict[str, Instrument] = {}
        self.attempts: dict[str, Attempt] = {}
        self.results: list[Stored] = []
        self.artifacts: dict[str, bytes] = {}
        self.events: list[dict[str, Any]] = []
        self.batches: list[dict[str, Any]] = []
        self.claims: dict[str, tuple[Any, list[Attempt]]] = {}
        self.staged: dict[tuple[str, str], tuple[Any, dict[str, Any]]] = {}
        self.lease_seconds = lease_seconds
        self._ahead = 0.0
        self._last_experiment = 0

    @property
    def away(self) -> bool:
        """The server does not answer at present: what waits in it ends."""
        return False

    # -- time and signals

    def now(self) -> float:
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Moves the laboratory's clock on; no lease ends by it (a passed deadline takes nothing away)."""
        with self.changed:
            self._ahead += seconds
            self.changed.notify_all()

    def wait_until(self, true: Callable[[], Any], timeout: float = 20.0) -> bool:
        """Waits until `true()` holds; it is asked after each change. False: not within `timeout` seconds."""
        with self.changed:
            return bool(self.changed.wait_for(lambda: bool(true()), timeout))

    def event(self, kind: str, experiment: Experiment | None = None, **data: Any) -> None:
        """Appends an event and wakes everybody who waits."""
        with self.changed:
            holder = experiment.attempts[-1] if experiment and experiment.attempts else None
            self.events.append(
                {
                    "number": len(self.events) + 1,
                    "at": stamp(self.now()),
                    "type": kind,
                    "actor": data.pop("actor", "local"),
                    "campaign": experiment.campaign if experiment else data.pop("campaign", None),
                    "experiment": experiment.id if experiment else None,
                    "attempt": holder.id if holder else None,
                    "queue": experiment.queue if experiment else data.pop("queue", None),
                    "instrument": holder.instrument if holder else None,
                    "data": data,
                }
            )
            self.changed.notify_all()

    # -- finding things

    def queue(self, name: str) -> Queue:
        if name not in self.queues:
            raise NotFoundError(
                f"There is no queue {name!r}. {did_you_mean(name, self.queues)}".strip()
                + f" PUT /api/v1/queues/{name} makes it."
            )
        return self.queues[name]

    def campaign(self, name: str) -> Campaign:
        if name not in self.campaigns:
            hint = did_you_mean(name, self.campaigns)
            raise NotFoundError(f"There is no campaign {name!r}. {hint}".strip())
        return self.campaigns[name]

    def experiment(self, name: Any) -> Experiment:
        """By id or by code."""
        for each in self.experiments.values():
            if name == each.id or str(name) in (str(each.id), each.code):
                return each
        raise NotFoundError(f"There is no experiment {name}.")

    def instrument(self, name: str) -> Instrument:
        return self.instruments.setdefault(name, Instrument(name))

    # -- controls for tests

    def stage(
        self, parameters: Mapping[str, Any] | None = None, /, *, count: int = 1, priority: int = 0,
        queue: str = "bench", campaign: str = "bench", outputs: Iterable[str] = ("y",), payload: Any = None,
        **more: Any,
    ) -> list[int]:  # fmt: skip
        """Stages `count` experiments with these parameters; makes the queue and the campaign when missing.

        Parameters come as a mapping, as keywords, or both. Returns the experiments' ids.
        """
        values = {**(parameters or {}), **more}
        with self.changed:
            self.queues.setdefault(queue, Queue(queue, self.lease_seconds))
            if campaign not in self.campaigns:
                problem = _problem(values, tuple(outputs))
                strategy = Strategy(method=CALLER)
                created = stamp(self.now())
                self.campaigns[campaign] = Campaign(campaign, queue, problem, strategy, created_at=created)
            made = [
                self.add_experiment(campaign, dict(values), payload, priority, "staged by the test")
                for _ in range(count)
            ]
            self.publish(campaign, made)
            return [each.id for each in made]

    def cancel(self, experiment: int, reason: str = "cancelled by a person") -> None:
        """Cancels it, or wishes it where an adapter holds it."""
        with self.changed:
            found = self.experiment(experiment)
            if found.state in (State.COMPLETED, State.CANCELLED, State.SUPERSEDED, State.EXPIRED):
                raise ConflictError(f"{found.code} is {found.state} and cannot be cancelled.")
            if found.holder is not None:
                found.wish = reason
            else:
                found.state, found.state_reason = State.CANCELLED, reason
            self.event("cancel", found, reason=reason)

    def lose(self, lease: str, then: str | None = None) -> None:
        """Ends the attempt as the janitor would, and follows `then`, or the queue's policy."""
        with self.changed:
            attempt = self.attempts[lease]
            if not attempt.live:
                raise ValueError(f"the attempt of this lease has ended already: {attempt.ended}")
            found = self.experiments[attempt.experiment]
            policy = then or self.queue(attempt.queue).on_lost
            attempt.ended, attempt.reason = LOST, "fell silent"
            if attempt.started_at is None:
                found.state = State.STAGED
            elif policy == LostLease.REQUEUE.value:
                self.again(found, "gave up: too many attempts were lost or failed")
            elif policy == LostLease.PROBE.value:
                attempt.ended = PROBING
            else:
                self.hold(found, f"{attempt.instrument} fell silent during the run", attempt.instrument)
            self.event("lost", found)

    def requeue(self, experiment: int) -> None:
        """A person says: run it again. Whoever holds it loses the lease."""
        with self.changed:
            found = self.experiment(experiment)
            if found.holder is not None:
                found.holder.ended = LOST
            found.state, found.state_reason = State.STAGED, ""
            self.event("requeued", found)

    def adapter_died(self, instrument: str) -> None:
        """Its last incarnation counts as gone: another may claim at once."""
        with self.changed:
            self.instrument(instrument).adapter = ""
            self.changed.notify_all()

    def lease_of(self, experiment: int) -> str:
        """The lease of the attempt that is alive; NotFoundError where nobody holds it."""
        holder = self.experiment(experiment).holder
        if holder is None:
            raise NotFoundError(f"Nobody holds experiment {experiment}.")
        return holder.lease

    # -- moves that several verbs share

    def add_experiment(
        self, campaign: str, parameters: dict[str, Any], payload: Any, priority: int, reason: str, **more: Any
    ) -> Experiment:
        self._last_experiment += 1
        number = self._last_experiment
        made = Experiment(
            number,
            f"{campaign}-{number}",
            campaign,
            self.campaigns[campaign].queue,
            parameters,
            payload,
            priority,
            reason,
            staged_at=self.now(),
            **more,
        )
        self.experiments[number] = made
        self.event("staged", made)
        return made

    def publish(self, campaign: str, made: list[Experiment]) -> str:
        """Appends what subscribers of the queue are sent; returns the batch's name."""
        batch = str(uuid.uuid4())
        rows = [
            {"id": each.id, "code": each.code, "priority": each.priority, "parameters": each.parameters}
            for each in made
            if each.state is State.STAGED
        ]
        self.batches.append(
            {
                "queue": self.campaigns[campaign].queue,
                "batch": batch,
                "epoch": "memory",
                "campaign": campaign,
                "model_version": None,
                "data_revision": len(self.results),
                "experiments": rows,
            }
        )
        self.changed.notify_all()
        return batch

    def hold(self, experiment: Experiment, reason: str, instrument: str | None = None) -> None:
        experiment.state, experiment.state_reason = State.HELD, reason
        if instrument:
            self.instrument(instrument).held = experiment.id

    def again(self, experiment: Experiment, given_up: str) -> None:
        """Back to its place, or failed where its attempts are used up."""
        counted = sum(each.counts for each in experiment.attempts)
        if counted >= self.queue(experiment.queue).max_attempts:
            experiment.state, experiment.state_reason = State.FAILED, given_up
        else:
            experiment.state = State.STAGED


def stamp(seconds: float) -> str:
    """ISO-8601, UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat().replace("+00:00", "Z")


def _problem(parameters: Mapping[str, Any], outputs: tuple[str, ...]) -> Problem:
    """A problem that these parameters fit; opaque where some are no numbers."""
    named = tuple(Output(name) for name in outputs)
    numeric = all(isinstance(value, (int, float)) for value in parameters.values())
    if not parameters or not numeric:
        return Problem((), named, (), (), opaque=True)
    axes = tuple(Continuous(name, -1e9, 1e9) for name in parameters)
    return Problem(axes, named, (Objective(outputs[0]),))
