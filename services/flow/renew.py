"""renew: what a holder says while its experiment runs: started, still here, a note, an answer to a probe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from labqueue.errors import FieldError, InvalidError, LabqueueError, LeaseLostError
from labqueue.states import State
from models.domain import leasing
from models.domain import records as r
from models.domain.lifecycle import ENDED
from models.domain.replacing import replace
from services.ports import Store, Transaction

from .claim import SEEN_EVERY, Probe, probing
from .instruments import block, unblock
from .placing import come_back
from .shared import changed

NOTE_LIMIT = 2000
PROBE_ANSWERS = ("running", "done", "never_ran", "unknown")


@dataclass(frozen=True)
class Answer:
    """What became of one item. `code` is that of the error where it is not ok."""

    lease: str
    ok: bool
    code: str | None = None
    message: str = ""


@dataclass(frozen=True)
class Beat:
    """`state`: live, cancel (somebody wishes the run to end), not_needed (a value was accepted from elsewhere) or
    lost."""

    lease: str
    state: str
    deadline: datetime | None
    message: str = ""


@dataclass(frozen=True)
class StartItem:
    lease: str
    run_ref: str | None = None


@dataclass(frozen=True)
class NoteItem:
    lease: str
    text: str
    run_ref: str | None = None


@dataclass(frozen=True)
class ProbeItem:
    lease: str
    answer: str


@dataclass
class Changes:
    """What one batch of items changes; written in one go at its end."""

    experiments: dict[int, r.Experiment]
    attempts: dict[UUID, r.Attempt]
    events: list[r.Event]
    back: list[int]
    instruments: list[Callable[[Transaction], None]]

    def set(self, experiment: r.Experiment, attempt: r.Attempt) -> None:
        self.experiments[experiment.id] = experiment
        self.attempts[attempt.id] = attempt


Judge = Callable[[Changes, r.Experiment, r.Attempt], None]


def each_held(store: Store, leases: Sequence[str], judges: Sequence[Judge]) -> list[Answer]:
    """Runs one judge per lease on what that lease holds, item by item: a stale one is told so and changes nothing,
    the others go on. One transaction."""
    read = [_read(text) for text in leases]
    with store.begin() as tx:
        named = [pair[0] for pair in read if pair is not None]
        experiments = {each.id: each for each in tx.experiments.lock_of_attempts(named)}
        attempts = {each.id: each for each in tx.attempts.lock(named)}
        changes = Changes(dict(experiments), dict(attempts), [], [], [])
        answers = [
            _one(changes, text, pair, judge) for text, pair, judge in zip(leases, read, judges, strict=True)
        ]
        touched = [each for each in changes.experiments.values() if each is not experiments[each.id]]
        tx.experiments.save(
            [replace(each, finished_at=tx.now()) if each.state in ENDED else each for each in touched]
        )
        tx.attempts.save([each for each in changes.attempts.values() if each is not attempts[each.id]])
        tx.events.add(changes.events)
        come_back(tx, [changes.experiments[id] for id in changes.back])
        for act in changes.instruments:
            act(tx)
    return answers


def start(store: Store, items: Sequence[StartItem]) -> list[Answer]:
    """The run begins now: from here on a silence is the queue's policy. Twice is once."""

    def judge(item: StartItem) -> Judge:
        def begin(changes: Changes, experiment: r.Experiment, attempt: r.Attempt) -> None:
            if attempt.state == "started":
                return
            if experiment.cancel_wished:
                ended = leasing.end(attempt, "cancelled", "before it started")
                cancelled = leasing.cancel(experiment)
                changes.set(cancelled, ended)
                changes.events.append(lease_event("cancelled", cancelled, ended))
                raise LeaseLostError("The experiment was cancelled before it started. Do not run it.")
            begun = replace(attempt, state="started", run_ref=item.run_ref or attempt.run_ref)
            changes.set(experiment, begun)
            changes.events.append(lease_event("started", experiment, begun))

        return begin

    return each_held(store, [item.lease for item in items], [judge(item) for item in items])


def note(store: Store, items: Sequence[NoteItem]) -> list[Answer]:
    """A remark on the run, and how the device names it."""

    def judge(item: NoteItem) -> Judge:
        def add(changes: Changes, experiment: r.Experiment, attempt: r.Attempt) -> None:
            if len(item.text) > NOTE_LIMIT:
                raise InvalidError(errors=[FieldError("text", f"is longer than {NOTE_LIMIT} letters.")])
            noted = replace(attempt, run_ref=item.run_ref or attempt.run_ref)
            changes.set(experiment, noted)
            changes.events.append(
                lease_event("noted", experiment, noted, text=item.text, run_ref=noted.run_ref)
            )

        return add

    return each_held(store, [item.lease for item in items], [judge(item) for item in items])


def heartbeat(store: Store, instrument: str, leases: Sequence[str], adapter: str = "") -> list[Beat]:
    """Renews every live lease by one call. A silent holder that returns before anyone decided goes on, and so does a
    run that a new `adapter` of its instrument has found."""
    read = [_read(text) for text in leases]
    with store.begin() as tx:
        renewals = tx.attempts.renew([pair for pair in read if pair is not None], instrument, adapter)
        if any(each.live for each in renewals):
            _see(tx, instrument)
    found = {renewal.attempt: renewal for renewal in renewals}
    back = [
        text
        for text, pair in zip(leases, read, strict=True)
        if pair is not None and pair[0] in found and found[pair[0]].live and found[pair[0]].silent
    ]
    if back:
        each_held(store, back, [_resume] * len(back))
    return [
        _beat(text, None if pair is None else found.get(pair[0]))
        for text, pair in zip(leases, read, strict=True)
    ]


def _see(tx: Transaction, name: str) -> None:
    """Its adapter lives, also while a long run keeps it from claiming."""
    known = tx.instruments.get(name)
    if known is None or known.last_seen is None:
        return
    if (tx.now() - known.last_seen).total_seconds() >= SEEN_EVERY:
        tx.instruments.save(tx.instruments.lock(name), seen=True)


def probes_for(store: Store, instrument: str) -> list[Probe]:
    """The runs that the adapter of this instrument is asked about."""
    with store.begin() as tx:
        return probing(tx, instrument)


def answer_probe(store: Store, items: Sequence[ProbeItem]) -> list[Answer]:
    """running, done: the lease goes on (its result follows); never_ran: back to its place, uncounted; unknown: a
    person decides."""

    def judge(item: ProbeItem) -> Judge:
        def answer(changes: Changes, experiment: r.Experiment, attempt: r.Attempt) -> None:
            if item.answer not in PROBE_ANSWERS:
                rule = ", ".join(PROBE_ANSWERS)
                raise InvalidError(
                    errors=[FieldError("answer", f"must be one of {rule}.", item.answer, rule)]
                )
            if not attempt.silent:
                return
            if item.answer in ("running", "done"):
                _resume(changes, experiment, attempt)
            elif item.answer == "never_ran":
                after, ended = leasing.release(experiment, attempt, "the adapter says that it never ran")
                changes.set(after, ended)
                cancelled = after.state is State.CANCELLED
                changes.events.append(lease_event("cancelled" if cancelled else "requeued", after, ended))
                if not cancelled:
                    changes.back.append(experiment.id)
                changes.instruments.append(unblock(attempt.instrument, experiment.id))
            else:
                why = f"{attempt.instrument} fell silent and does not know what became of it"
                changes.set(replace(experiment, held_reason=why), replace(attempt, probing=False))
                changes.events.append(
                    lease_event("held", changes.experiments[experiment.id], attempt, reason=why)
                )
                changes.instruments.append(block(attempt.instrument, experiment.id))

        return answer

    return each_held(store, [item.lease for item in items], [judge(item) for item in items])


def _resume(changes: Changes, experiment: r.Experiment, attempt: r.Attempt) -> None:
    if experiment.state is not State.HELD or not attempt.silent:
        return
    leased, live = leasing.resume(experiment, attempt)
    changes.set(leased, live)
    changes.events.append(lease_event("resumed", leased, live))
    changes.instruments.append(unblock(attempt.instrument, experiment.id))
    # Its deadline passed: a lease from now on, or the janitor would find it silent at once.
    changes.instruments.append(_renewed(attempt))


def _renewed(attempt: r.Attempt) -> Callable[[Transaction], None]:
    def act(tx: Transaction) -> None:
        tx.attempts.renew([(attempt.id, attempt.fence)], attempt.instrument)

    return act


def _one(changes: Changes, text: str, pair: tuple[UUID, int] | None, judge: Judge) -> Answer:
    try:
        attempt = changes.attempts.get(pair[0]) if pair else None
        if pair is None or attempt is None:
            raise LeaseLostError(f"{text[:80]!r} is no lease of ours.")
        experiment = changes.experiments[attempt.experiment_id]
        leasing.check_holds(experiment, attempt, pair[1])
        judge(changes, experiment, attempt)
    except LabqueueError as error:
        return Answer(text, False, error.code, str(error))
    return Answer(text, True)


def _beat(text: str, renewal: r.Renewal | None) -> Beat:
    if renewal is None or not renewal.found or (not renewal.live and renewal.end is None):
        return Beat(text, "lost", None, "No such lease, or one that has been given to another attempt.")
    if not renewal.live:
        if renewal.end == "not_needed":
            return Beat(text, "not_needed", None, "No longer needed: a value was accepted from elsewhere.")
        return Beat(text, "lost", None, f"The lease ended: {renewal.end}.")
    if renewal.cancel_wished:
        return Beat(text, "cancel", renewal.deadline, "Somebody cancelled this experiment. Stop and confirm.")
    return Beat(text, "live", renewal.deadline)


def _read(text: str) -> tuple[UUID, int] | None:
    try:
        return leasing.read_lease(text)
    except LeaseLostError:
        return None


def lease_event(kind: str, experiment: r.Experiment, attempt: r.Attempt, **data: object) -> r.Event:
    event = changed(kind, experiment, f"adapter:{attempt.instrument}", **data)
    return replace(event, attempt=attempt.id, instrument=attempt.instrument)
