"""What Labqueue remembers, as frozen values. Change returns a new value (`dataclasses.replace`).

One class per table that the flow works with; `models.tables` says what each column guarantees. Times are the
database's. `id` is 0 until the store has given one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from labqueue.states import LostLease, Outcome, State, Verdict

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
class Result:
    """What came back, as it came. Append-only: amending or withdrawing adds another."""

    seq: int
    id: UUID
    experiment_id: int | None
    campaign_id: int | None
    attempt: UUID | None
    kind: str  # report, amend, withdraw
    verdict: Verdict
    outcome: Outcome
    outputs: Json  # {name: number}, those of the problem
    extra: Json  # outputs beyond the problem's
    noise: Json
    actual: Json
    outstanding: tuple[str, ...]
    artifacts: Json
    comment: str
    reason: str  # why it was amended, withdrawn, held or refused
    body: Json  # as sent
    body_hash: str
    instrument: str
    actor: str
    amends: UUID | None = None
    measured_at: str | None = None  # the sender's clock: shown, decides nothing
    received_at: datetime | None = None


@dataclass(frozen=True)
class Reading:
    """One output's number from one result. At most one per experiment and output is current."""

    experiment_id: int
    output: str
    value: float
    noise: float | None
    result_seq: int
    current: bool  # false: a replicate, or retired by a later amendment
    retired_seq: int | None = None  # the amending or withdrawing result


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


@dataclass(frozen=True)
class TrainingRow:
    """One experiment as training sees it at a data revision.

    planned     the point that was asked for: what is not to be run again
    parameters  actual ones where reported, planned ones else
    """

    experiment_id: int
    planned: Json
    parameters: Json
    outputs: Mapping[str, float]
    noise: Mapping[str, float]
    outcome: Outcome
    revision: int
    replicates: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # further values, by output


@dataclass(frozen=True)
class Finding:
    """An experiment that has run and what its results say that stand, merged in the order in which they came."""

    experiment_id: int
    seq: int  # of its first accepted result, in whose order findings come
    at: datetime  # when that was recorded
    planned: Json
    reason: str  # why it was staged
    staged: bool  # false: it was run elsewhere and never waited here
    outputs: Mapping[str, float]  # current values
    noise: Mapping[str, float]  # standard deviations of these
    actual: Json
    extra: Json
    comment: str  # the first that somebody made


@dataclass(frozen=True)
class Event:
    """Something that became true. `number` is given right after commit, gapless, in order of visibility."""

    type: str
    actor: str
    campaign_id: int | None = None
    experiment_id: int | None = None
    attempt: UUID | None = None
    queue: str | None = None
    instrument: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    teaches: bool = False  # changes what training may use
    accepts: int = 0  # accepted results that it stands for
    result_seq: int | None = None  # the result whose revision its number becomes
    number: int | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Published:
    """An outbox row: one entry for a queue's stream, written with what it announces."""

    queue: str
    kind: str  # batch, withdrawn
    body: Json
    id: int = 0


@dataclass(frozen=True)
class StagedBatch:
    """A staging request's key: the same again is one effect."""

    id: UUID
    campaign_id: int
    key: str
    request_hash: str
    experiments: tuple[int, ...]


@dataclass(frozen=True)
class Model:
    """A trained surrogate: hyperparameters and the data revision that it saw."""

    campaign_id: int
    version: int
    data_revision: int
    accepted: int
    problem_version: int
    rows: int
    state: bytes
    sha256: str
    metrics: Json
    device: str
    versions: Json
    seconds: float
    learner: str = ""  # the user's own learner that trained it; "": ours
    created_at: datetime | None = None


@dataclass(frozen=True)
class Suggestion:
    """The snapshot that a suggestion is a pure function of, and what came out."""

    id: int
    campaign_id: int
    number: int
    snapshot: Json
    snapshot_hash: str
    candidates: Json
    effort: Json
    device: str
    versions: Json
    data_revision: int
    model_version: int
    seconds: float
    asked: int = 0  # candidates wanted, those among them that were staged already
    brought: int = 0  # candidates that came
    in_flight: int = 0  # points that it knew as pending
    gain: float | None = None  # what its first candidate was expected to improve the score by
    instead: str = ""  # why it was not the strategy's own choice; empty: it was
    created_at: datetime | None = None


@dataclass(frozen=True)
class Job:
    """The single-flight lease of a campaign's learning: one training, one suggesting at a time.

    `fence` rises with each holder; what a stale holder writes is refused. `done` is the data revision that
    it was last done for, successfully or not.
    """

    campaign_id: int
    kind: str  # train, suggest
    done: int = 0
    holder: str = ""
    fence: int = 0
    deadline: datetime | None = None
    issued_at: datetime | None = None
    deaths: int = 0  # holders that died at this very revision
    revision: int = 0  # that the present holder works on
    error: str = ""
    learner: str = ""  # the user's own learner that had it last; "": a worker of ours
    work: Json = None  # what that learner was asked, for its answer to be judged by
    taken_at: datetime | None = None  # by that learner


@dataclass(frozen=True)
class Seat:
    """A campaign's place for the user's own learner: the one process that is asked, and how it has been doing."""

    campaign_id: int
    name: str = ""  # of the learner
    holder: str = ""  # the process; "" after it left
    trains: bool = True  # false for a learner without a state
    suggestions: int = 0  # of this learner that were kept
    failures: int = 0  # suggestions in a row that failed, were refused or were never answered
    error: str = ""  # of the last of them
    failed_at: datetime | None = None
    seen_at: datetime | None = None  # when the process was last heard of
    versions: Json = field(default_factory=dict)  # of its libraries


@dataclass(frozen=True)
class Inquiry:
    """A question that needs a model: a row with a deadline, answered by a worker."""

    id: UUID
    campaign_id: int
    kind: str  # suggest, predict, train
    request: Json
    actor: str
    state: str = "open"  # open, running, answered, failed, expired
    answer: Json = None
    message: str = ""
    fence: int = 0
    deadline: datetime | None = None
    issued_at: datetime | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class Token:
    """A bearer token: hashed, shown once, scoped."""

    id: UUID
    name: str
    prefix: str
    sha256: str
    scopes: tuple[str, ...]
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class Document:
    """What an edge remembers beside the flow: of some kind, part of something, under a name."""

    kind: str
    parent: str
    name: str
    body: Json
    id: int = 0
    changed_at: datetime | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class File:
    """In a campaign's folder, for the program that drives it: named, replaced whole.

    revision: another one with every change, never used again. before: the one that it replaced; None where there was
    no such file. key: where the bytes lie, which no other content shares.
    """

    campaign_id: int
    name: str
    sha256: str
    size: int
    key: str
    actor: str
    before: int | None = None
    revision: int = 0
    changed_at: datetime | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class Artifact:
    """Bytes kept under their SHA-256."""

    sha256: str
    size: int
    media_type: str
    actor: str
    created_at: datetime | None = None


@dataclass(frozen=True)
class Pool:
    """Rows that may be run, as uploaded. The same name with other rows is a further version; campaigns keep theirs."""

    id: int
    name: str
    version: int
    sha256: str  # of the file that its features are kept in
    size: int  # of that file, bytes
    rows: int
    columns: Json  # [{name, kind: number, low, high, mean, sd} or {name, kind: category, categories}]
    actor: str
    created_at: datetime | None = None


@dataclass(frozen=True)
class Webhook:
    """A URL that hears of events; `cursor` is the last number delivered."""

    id: UUID
    url: str
    types: tuple[str, ...]
    campaign_id: int | None
    secret: str
    cursor: int
    failures: int = 0
    retry_at: datetime | None = None
    state: str = "active"
    created_at: datetime | None = None
