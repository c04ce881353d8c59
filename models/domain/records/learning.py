"""What came back, and what is learnt from it: results, models, suggestions and who works on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from labqueue.states import Outcome, Verdict

from .work import Json


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
