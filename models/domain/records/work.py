"""What is to be run, and who runs it: queues, campaigns, experiments, instruments and their leases."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from labqueue.states import LostLease, Outcome, State

#: What is stored as JSON, whatever its shape.
Json = Any


@dataclass(frozen=True)
class Queue:
    """A kind of work that adapters subscribe to, and its policies."""

    name: str
    lease_seconds: float = 60.0
    on_lost: LostLease = LostLease.HOLD
    max_attempts: int = 3
    people: bool = False  # leases of days, without heartbeat
    state: str = "active"  # active, paused, draining
    reason: str = ""


@dataclass(frozen=True)
class Campaign:
    """A problem, a strategy and the history between them."""

    id: int
    name: str
    queue: str
    owner: str
    state: str  # active, paused, finished
    reason: str
    problem: Json
    problem_version: int
    strategy: Json
    strategy_version: int
    weight: float
    seed: int
    next_number: int = 1  # of the next experiment: its short code is name-number
    next_suggestion: int = 1  # of the next suggestion: with the seed, the only randomness
    finish_tag: float = 0.0  # virtual time at which its last staged experiment would end
    resumed_completed: int = (
        -1
    )  # experiments completed when it was resumed after its end: its rules wait for more
    data_revision: int = 0  # number of the last event that changed what training may use
    accepted: int = 0  # accepted results among the numbered events
    model_version: int = 0  # of the newest model; 0: none yet
    model_revision: int = 0  # the data revision that this model saw
    model_accepted: int = 0  # `accepted` when that model was trained
    request_hash: str = ""
    created_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True)
class Version:
    """A problem or a strategy that a campaign has or had."""

    kind: str  # problem, strategy
    number: int
    body: Json
    actor: str
    reason: str
    created_at: datetime | None = None


@dataclass(frozen=True)
class StagedBatch:
    """A staging request's key: the same again is one effect."""

    id: UUID
    campaign_id: int
    key: str
    request_hash: str
    experiments: tuple[int, ...]


@dataclass(frozen=True)
class Experiment:
    """A point to be run."""

    id: int
    campaign_id: int
    campaign: str
    queue: str
    number: int
    code: str
    state: State
    priority: int
    tag: float
    origin: str  # suggester, person, design
    reason: str
    problem_version: int
    planned: Json  # parameters in lab units; null for an opaque item
    payload: Json = None
    row: str | None = None  # of a finite pool
    batch: UUID | None = None
    suggestion_id: int | None = None
    model_version: int = 0  # that last judged it; 0: none
    known: int | None = None  # accepted results that it knew; None: a person chose
    expected: Json = field(default_factory=dict)  # {name: {mean, sd}}, lab units
    pinned: bool = False
    approved_by: str | None = None
    ready: bool = True  # false while its campaign is paused: the claim's index leaves it out
    expires_at: datetime | None = None
    attempt: UUID | None = None  # the one whose lease is live, or that a person decides about
    attempts: int = 0  # all
    counted: int = 0  # started and lost, or failed
    fence: int = 0
    cancel_wished: bool = False
    held_reason: str = ""
    outcome: Outcome | None = None
    outstanding: tuple[str, ...] = ()
    staleness: int | None = None  # accepted results since it was last judged, when it was claimed
    staged_at: datetime | None = None
    finished_at: datetime | None = None
    dismissed_at: datetime | None = None  # a person has seen that it failed; nothing has happened to it since
    created_at: datetime | None = None


@dataclass(frozen=True)
class Attempt:
    """One lease's life, kept for ever."""

    id: UUID
    experiment_id: int
    number: int
    queue: str
    instrument: str
    adapter: str
    fence: int
    lease_seconds: float
    state: str = "claimed"  # claimed, started, ended
    end: str | None = None  # completed partial released failed lost cancelled not_needed decided
    reason: str = ""
    counts: bool = False
    probing: bool = False  # the adapter of that name is asked what became of it
    silent: bool = False  # its deadline passed and nobody has decided yet
    run_ref: str | None = None
    deadline: datetime | None = None
    claimed_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def live(self) -> bool:
        return self.state != "ended"


@dataclass(frozen=True)
class Instrument:
    """The device, cluster or person that does the work; outlives its adapters."""

    name: str
    queue: str = ""
    adapter: str = ""
    state: str = "active"  # active, paused
    reason: str = ""
    blocked_by: int | None = None  # the held experiment that a person must clear first
    failures: int = 0  # failed runs in a row
    failure_limit: int = 3
    last_seen: datetime | None = None
    asks: int = 1  # experiments that its adapter last asked for at once


@dataclass(frozen=True)
class Serving:
    """An instrument that serves a queue now: how many runs it holds, how many it last asked for at once."""

    instrument: str
    holds: int
    asks: int


@dataclass(frozen=True)
class Claim:
    """A claim's key and what it was given: asked again, the answer is the same."""

    key: str
    instrument: str
    request_hash: str
    attempts: tuple[UUID, ...]


@dataclass(frozen=True)
class Renewal:
    """What a heartbeat found: the lease is live, or why it is not."""

    attempt: UUID
    found: bool
    live: bool = False
    end: str | None = None
    cancel_wished: bool = False
    silent: bool = False
    deadline: datetime | None = None
