"""The store: everything that is kept, a table or two at a time, in transactions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from labqueue.problem import Value
from labqueue.states import State
from models.domain import records as r

from .files import Artifacts, Documents, Files, Pools


class Queues(Protocol):
    def get(self, name: str) -> r.Queue | None: ...
    def lock(self, name: str) -> r.Queue | None:
        """The queue, held against other writers; claims and stagings read on."""

    def put(self, queue: r.Queue) -> None:
        """Creates it or replaces its policies and state."""

    def all(self) -> list[r.Queue]: ...


class Campaigns(Protocol):
    def get(self, name: str) -> r.Campaign | None: ...
    def by_id(self, id: int) -> r.Campaign | None: ...
    def lock(self, name: str) -> r.Campaign | None:
        """The campaign, held against other writers (and against other stagings of it)."""

    def add(self, campaign: r.Campaign) -> r.Campaign:
        """Raises ConflictError if the name is taken."""

    def save(self, campaign: r.Campaign) -> None:
        """Writes all but what `Events.number` and `Models.add` keep: data_revision, accepted, model_*."""

    def add_version(
        self, campaign_id: int, kind: str, number: int, body: r.Json, actor: str, reason: str
    ) -> None:
        """`kind` problem or strategy: numbered, kept for ever."""

    def version(self, campaign_id: int, kind: str, number: int) -> r.Json: ...
    def versions(self, campaign_id: int) -> list[r.Version]:
        """Every version of its problem and of its strategy, in the order in which they were set."""

    def all(self, *, state: str | None = None) -> list[r.Campaign]: ...
    def flows(self, queue: str, owner: str, rest: float) -> list[tuple[r.Campaign, float, bool]]:
        """Unfinished campaigns that feed `queue`, each with its owner's weight. And of those of `owner`, whether it is
        active and something of it is staged or leased, or was staged in the last `rest` seconds, or it is as new."""

    def share(self, campaign_id: int) -> float:
        """Of its queue's claims, beside the other active campaigns that suggesters keep filled; above 0, up to 1."""

    def owner(self, name: str) -> float:
        """The owner's weight; the owner is created with weight 1 where unknown."""


class Experiments(Protocol):
    def get(self, ids: Sequence[int]) -> list[r.Experiment]: ...
    def by_code(self, codes: Sequence[str]) -> list[r.Experiment]: ...
    def lock(self, ids: Sequence[int]) -> list[r.Experiment]:
        """In the order of their ids."""

    def lock_of_attempts(self, attempts: Sequence[UUID]) -> list[r.Experiment]:
        """The experiments that these attempts belong to, locked in the order of their ids."""

    def pick(self, queue: str, limit: int) -> list[r.Experiment]:
        """Up to `limit` claimable ones by (priority desc, tag, id), locked; those that others lock are skipped."""

    def pick_these(self, queue: str, ids: Sequence[int]) -> list[r.Experiment]:
        """Those of `ids` that are claimable in `queue`, locked; those that others lock are skipped."""

    def claimable(self, queue: str, limit: int) -> tuple[int, float]:
        """How many can be claimed (counted up to `limit`), and for how many seconds the oldest of them has waited."""

    def head_tag(self, queue: str) -> float | None:
        """The tag of the experiment that is served next; None where the queue is empty."""

    def add(self, experiments: Sequence[r.Experiment]) -> list[r.Experiment]: ...
    def save(self, experiments: Sequence[r.Experiment]) -> None: ...
    def of_campaign(
        self, campaign_id: int, states: Iterable[State], limit: int = 100_000
    ) -> list[r.Experiment]:
        """Ordered by id."""

    def lock_of_campaign(self, campaign_id: int, states: Iterable[State]) -> list[r.Experiment]:
        """Locked in the order of their ids; waits for those that others lock."""

    def lock_replaceable(self, campaign_id: int) -> list[r.Experiment]:
        """Proposed or staged, chosen by the suggester, neither approved nor pinned; those that others lock are skipped."""

    def counts(self, campaign_id: int) -> dict[State, int]: ...
    def ran(self, campaign_id: int) -> int:
        """How many are completed or partial; costs no more with their number, only with that of the others."""

    def at_least(self, campaign_id: int, states: Iterable[State], limit: int) -> int:
        """How many are in these states, counted no further than `limit`."""

    def given_up(self, campaign_id: int) -> int:
        """How many failed, and nobody has dismissed them."""

    def drawn(self, campaign_id: int) -> int:
        """How many of the initial design were drawn so far, whatever became of them."""

    def set_ready(self, campaign_id: int, ready: bool) -> None: ...
    def introduce(self, campaign_id: int, parameter: str, value: Value) -> None:
        """A parameter that nobody had named: in every experiment so far it had this value."""

    def lock_expired(self, limit: int) -> list[r.Experiment]:
        """Unclaimed (staged or proposed) and past their use-by date."""

    def unfinished(self, campaign_id: int) -> list[r.Experiment]:
        """Everything in flight (proposed, staged, leased, held, partial): the pending points. By id."""


class Attempts(Protocol):
    def get(self, ids: Sequence[UUID]) -> list[r.Attempt]: ...
    def lock(self, ids: Sequence[UUID]) -> list[r.Attempt]:
        """As they are now, held against renewal. In the order of their ids; after their experiments are locked."""

    def add(self, attempts: Sequence[r.Attempt]) -> list[r.Attempt]:
        """Deadline: the database's time plus the lease. claimed_at: the database's time."""

    def save(self, attempts: Sequence[r.Attempt]) -> None:
        """All but the deadline, which only `add`, `renew` and `extend_live` write. `started_at` and `ended_at` become
        the database's time when the state first says so."""

    def renew(
        self, leases: Sequence[tuple[UUID, int]], instrument: str, adapter: str = ""
    ) -> list[r.Renewal]:
        """One statement for all leases (attempt, fence): live ones of a right fence get a full lease from now, and
        the instrument was seen. `adapter`: who holds them from now on; "": who held them before."""

    def overdue(self, limit: int) -> list[r.Attempt]:
        """Live, not yet marked silent, past their deadline."""

    def live_of(self, instrument: str) -> list[r.Attempt]: ...
    def of_experiment(self, experiment_id: int) -> list[r.Attempt]: ...
    def newest(self, experiments: Sequence[int]) -> list[r.Attempt]:
        """The last attempt of each of these that had one, by experiment."""

    def durations(self, campaign_id: int, limit: int) -> list[float]:
        """Seconds from the claim to the result of its last completed experiments, newest first."""

    def extend_live(self, seconds: float) -> int:
        """Moves every live deadline on by `seconds` plus one lease of its own. How many moved."""


class Instruments(Protocol):
    def get(self, name: str) -> r.Instrument | None: ...
    def lock(self, name: str) -> r.Instrument:
        """Created where unknown."""

    def save(self, instrument: r.Instrument, *, seen: bool = False) -> None:
        """`seen`: stamps last_seen with the database's time."""

    def all(self) -> list[r.Instrument]: ...
    def serving(self, queue: str, within: float) -> list[r.Serving]:
        """Those that may claim from `queue` now, seen within so many seconds, by name: neither paused nor blocked."""

    def forget(self, before: datetime, limit: int) -> int:
        """Removes some that were last heard of before then and hold nothing: no run, no decision, no word of a person
        (paused, or with a failure limit of its own). How many; a claim makes one anew."""


class Claims(Protocol):
    def get(self, key: str) -> r.Claim | None: ...
    def add(self, claim: r.Claim) -> None:
        """Raises ConflictError if the key exists."""

    def forget(self, before: datetime, limit: int) -> int:
        """Removes some that were made before then, all of whose attempts have ended. How many."""


class Batches(Protocol):
    def get(self, campaign_id: int, key: str) -> r.StagedBatch | None: ...
    def add(self, batch: r.StagedBatch) -> None: ...


class Results(Protocol):
    def get(self, ids: Sequence[UUID]) -> list[r.Result]:
        """Results by their own ids, the refused ones left out."""

    def add(self, results: Sequence[r.Result]) -> list[r.Result]:
        """With `seq`, in order."""

    def of_experiment(self, experiment_id: int) -> list[r.Result]:
        """By seq."""

    def later(self, experiments: Sequence[int]) -> list[r.Result]:
        """The amendments and withdrawals of what these experiments brought, by seq."""

    def retire(self, id: UUID, by_seq: int) -> None:
        """The result is withdrawn or replaced: training leaves it out from that revision on."""

    def readings(self, experiments: Sequence[int]) -> list[r.Reading]:
        """The current ones."""

    def retired(self, results: Sequence[int]) -> list[r.Reading]:
        """Of what came with these results (by `seq`): the readings that were current and are so no longer."""

    def add_readings(self, readings: Sequence[r.Reading]) -> None:
        """Raises ConflictError if an output of an experiment would get a second current value."""

    def retire_readings(self, experiment_id: int, outputs: Sequence[str], by_seq: int) -> None:
        """The current readings of these outputs are so no longer."""

    def training(self, campaign_id: int, revision: int) -> list[r.TrainingRow]:
        """What training may use as of a data revision, by experiment id: current outputs then, and the further
        values of each as replicates; actual parameters over planned ones; infeasible ones without outputs; suspect
        and withdrawn ones left out."""

    def changed(self, campaign_id: int, since: int, revision: int) -> tuple[list[r.TrainingRow], list[int]]:
        """What makes `training` as of `since` into `training` as of a later `revision`: the rows of experiments of
        which something came in between, and those of these experiments that have no row. The same planned
        parameters are assumed at both."""

    def reported(self, campaign_id: int) -> list[r.Json]:
        """The actual parameters of every result that named some."""

    def actual(self, experiments: Sequence[int]) -> dict[int, dict[str, Value]]:
        """What parameters of these experiments really were, as far as results that stand have said so."""

    def findings(self, campaign_id: int, experiments: Sequence[int] | None = None) -> list[r.Finding]:
        """What its completed and partial experiments brought, in the order of their first results, numbered or not
        yet. `experiments`: of these alone."""

    def measured(self, campaign_id: int) -> list[str]:
        """Outputs of which any experiment has, or had, a value."""

    def unusable(self, id: UUID) -> list[r.Result]:
        """The refused and the held ones that came with this id, by seq."""

    def waiting(self, campaigns: Sequence[int], limit: int) -> list[r.Result]:
        """Held ones that wait for a person on their own account, the newest first: no experiment was put on hold for
        them, and nobody has dismissed, amended or withdrawn them. Those that were announced by a numbered event, and
        those that belong to no experiment."""

    def dismiss(self, *, id: UUID | None = None, experiment_id: int | None = None) -> int:
        """Of this id, or of this experiment, the refused ones and those that are `waiting` need nobody any more. How
        many still did."""

    def dismissed(self, experiment_id: int) -> bool:
        """Has anybody dismissed a result of this experiment?"""


class Events(Protocol):
    def add(self, events: Sequence[r.Event]) -> None:
        """Unnumbered, in this transaction."""

    def number(self, limit: int = 1000, *, wait: bool = False) -> list[r.Event]:
        """Numbers what is visible, one numberer at a time (where another is at it an empty list, or `wait`: then what
        is left after it), carries the numbers into results (`revision`) and campaigns (`data_revision`, `accepted`)
        and returns them in order."""

    def after(
        self, number: int, limit: int, *, campaign_id: int | None = None, experiment_id: int | None = None
    ) -> list[r.Event]:
        """Numbered events in order."""

    def last(self) -> int: ...
    def forget_inquiries(self, before: datetime, limit: int) -> int:
        """Removes some of those about inquiries (`inquiry.*`) that were written before then; never the last of all,
        nor what a webhook has not heard. How many."""


class Outbox(Protocol):
    def add(self, entries: Sequence[r.Published]) -> None: ...
    def take(self, limit: int) -> list[r.Published]:
        """Unpublished entries in order, locked against other relays (which get none: one relays at a time)."""

    def done(self, ids: Sequence[int]) -> None: ...
    def restage(self, queue: str) -> int:
        """Writes entries again that announce every claimable experiment of `queue` in its stored order, batches
        of 500. How many experiments."""

    def epochs(self) -> dict[str, str]:
        """Queue name -> the epoch that its stream was last filled in."""

    def set_epoch(self, queue: str, epoch: str) -> None: ...


class Jobs(Protocol):
    def lock(self, campaign_id: int, kind: str) -> r.Job:
        """Created where unknown."""

    def get(self, campaign_id: int, kind: str) -> r.Job: ...
    def save(self, job: r.Job, *, lease_seconds: float | None = None, issued: bool = False) -> r.Job:
        """With `lease_seconds` the deadline becomes now plus that; with `issued`, issued_at becomes now."""

    def renew(self, job: r.Job, lease_seconds: float) -> bool:
        """False where the fence is stale."""


class Models(Protocol):
    def latest(self, campaign_id: int, learner: str = "", *, state: bool = True) -> r.Model | None:
        """The newest that this learner of the user's own trained ("": that we did); without its `state` where that
        is not needed."""

    def get(self, campaign_id: int, version: int) -> r.Model | None: ...
    def add(self, model: r.Model) -> None:
        """Also writes model_version, model_revision and model_accepted of its campaign."""

    def all(self, campaign_id: int) -> list[r.Model]:
        """Without their state."""

    def recent(self, campaign_id: int, limit: int) -> list[r.Model]:
        """The newest, newest first. Without their state."""


class Seats(Protocol):
    def get(self, campaign_id: int) -> r.Seat | None: ...
    def lock(self, campaign_id: int) -> r.Seat:
        """Created where unknown."""

    def save(self, seat: r.Seat, *, seen: bool = False, failed: bool = False) -> None:
        """With `seen` its process was heard of now, with `failed` it failed now."""


class Suggestions(Protocol):
    def add(self, suggestion: r.Suggestion) -> r.Suggestion:
        """Raises ConflictError if the campaign has one of that number."""

    def get(self, id: int) -> r.Suggestion | None: ...
    def recent(self, campaign_id: int, limit: int) -> list[r.Suggestion]:
        """The newest, newest first. Without their candidates and the points in their snapshots."""


class Inquiries(Protocol):
    def add(self, inquiry: r.Inquiry, *, seconds: float) -> r.Inquiry: ...
    def get(self, id: UUID) -> r.Inquiry | None: ...
    def lock(self, id: UUID) -> r.Inquiry | None: ...
    def save(self, inquiry: r.Inquiry, *, issued: bool = False) -> None: ...
    def due(self) -> list[r.Inquiry]:
        """Open ones, and running ones past their deadline."""

    def forget(self, before: datetime, limit: int) -> int:
        """Removes some that ended and whose deadline was before then. How many."""


class Tokens(Protocol):
    def add(self, token: r.Token) -> None: ...
    def by_prefix(self, prefix: str) -> r.Token | None: ...
    def all(self) -> list[r.Token]: ...
    def revoke(self, id: UUID) -> bool: ...
    def any(self) -> bool:
        """Is there at least one token that works?"""

    def forget(self, before: datetime, limit: int) -> int:
        """Removes some that expired or were revoked before then. How many."""


class Webhooks(Protocol):
    def add(self, webhook: r.Webhook) -> None: ...
    def all(self) -> list[r.Webhook]: ...
    def lock(self, id: UUID) -> r.Webhook | None: ...
    def save(self, webhook: r.Webhook) -> None: ...
    def remove(self, id: UUID) -> bool: ...


class Liveness(Protocol):
    def stamp(self) -> float:
        """An API process is alive now; the seconds since any last said so (0 at the very first)."""

    def age(self) -> float | None:
        """Seconds since an API process last said so; None if none ever did."""

    def lead(self, name: str, holder: str, seconds: float) -> bool:
        """Takes or keeps the lease row `name`; false while another holds it."""

    def beat(self, kind: str, holder: str, info: Mapping[str, Any]) -> None:
        """A worker process says that it is there."""

    def leave(self, kind: str, holder: str) -> None:
        """That process stopped of its own accord: it is listed no longer."""

    def workers(self) -> list[tuple[str, str, float, Mapping[str, Any]]]:
        """(kind, holder, seconds since its last beat, info); forgotten after a day."""


class Transaction(Protocol):
    """One transaction on everything."""

    @property
    def queues(self) -> Queues: ...
    @property
    def campaigns(self) -> Campaigns: ...
    @property
    def experiments(self) -> Experiments: ...
    @property
    def attempts(self) -> Attempts: ...
    @property
    def instruments(self) -> Instruments: ...
    @property
    def claims(self) -> Claims: ...
    @property
    def batches(self) -> Batches: ...
    @property
    def results(self) -> Results: ...
    @property
    def events(self) -> Events: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def models(self) -> Models: ...
    @property
    def seats(self) -> Seats: ...
    @property
    def suggestions(self) -> Suggestions: ...
    @property
    def inquiries(self) -> Inquiries: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def artifacts(self) -> Artifacts: ...
    @property
    def documents(self) -> Documents: ...
    @property
    def files(self) -> Files: ...
    @property
    def pools(self) -> Pools: ...
    @property
    def webhooks(self) -> Webhooks: ...
    @property
    def liveness(self) -> Liveness: ...

    def now(self) -> datetime:
        """The database's clock, read once per transaction (UTC)."""


class Store(Protocol):
    def begin(self) -> AbstractContextManager[Transaction]: ...
