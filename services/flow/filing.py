"""filing: what one result is (usable, a duplicate, refused) and what becomes of its experiment and its attempt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from labqueue.errors import FieldError, LeaseLostError
from labqueue.problem import Problem
from labqueue.states import Outcome, State, Verdict
from models.domain import leasing
from models.domain import records as r
from models.domain.lifecycle import move
from models.domain.recording import Judgement, judge
from models.domain.replacing import replace
from services.ports import Ids, Transaction

from .instruments import count_failure, count_success, unblock
from .placing import withdraw as withdraw_from_subscribers
from .shared import changed, fingerprint, needed, problem_at, problem_of

COMMENT_SHOWN = 500  # letters of a comment where it is told why an experiment is held


@dataclass(frozen=True)
class Report:
    """What an instrument says came out. `id` is made when the measurement ends and never again."""

    id: UUID
    experiment: int | str | None = None  # id or code
    lease: str | None = None  # names the attempt, for lineage
    outcome: str = "measured"
    outputs: Mapping[str, Any] = field(default_factory=dict)
    outstanding: tuple[str, ...] = ()
    noise: Mapping[str, Any] = field(default_factory=dict)
    actual: Mapping[str, Any] = field(default_factory=dict)
    artifacts: tuple[Any, ...] = ()
    comment: str = ""
    measured_at: str | None = None
    parameters: Any = None  # of a run elsewhere

    def body(self) -> dict[str, Any]:
        """As sent, less the id: the same again is a duplicate. The lease is lineage, not content."""
        return {
            "experiment": self.experiment,
            "outcome": self.outcome,
            "outputs": dict(self.outputs),
            "outstanding": list(self.outstanding),
            "noise": dict(self.noise),
            "actual": dict(self.actual),
            "artifacts": list(self.artifacts),
            "comment": self.comment,
            "measured_at": self.measured_at,
            "parameters": self.parameters,
        }


@dataclass(frozen=True)
class Recorded:
    """What became of one report."""

    id: UUID
    verdict: Verdict
    experiment: int | None
    state: State | None
    code: str | None = None
    message: str = ""
    errors: tuple[FieldError, ...] = ()


@dataclass
class Desk:
    """One batch of reports on its way: what is there, what it changes, written in one go at the end."""

    tx: Transaction
    ids: Ids
    actor: str
    results: dict[UUID, r.Result] = field(default_factory=dict)
    experiments: dict[int, r.Experiment] = field(default_factory=dict)
    attempts: dict[UUID, r.Attempt] = field(default_factory=dict)
    campaigns: dict[int, r.Campaign] = field(default_factory=dict)
    known: dict[int, set[str]] = field(default_factory=dict)
    filed: list[r.Result] = field(default_factory=list)
    readings: list[list[tuple[int, str, float, float | None, bool]]] = field(default_factory=list)
    events: list[r.Event] = field(default_factory=list)
    withdrawn: list[r.Experiment] = field(default_factory=list)
    touched: set[int] = field(default_factory=set)
    ended: set[UUID] = field(default_factory=set)
    instruments: list[Callable[[Transaction], None]] = field(default_factory=list)

    def problem(self, experiment: r.Experiment) -> Problem:
        return problem_of(self.campaigns[experiment.campaign_id])

    def staged_as(self, experiment: r.Experiment) -> Problem:
        """The problem as it was when the experiment was staged."""
        return problem_at(self.tx, self.campaigns[experiment.campaign_id], experiment.problem_version)

    def needed(self, experiment: r.Experiment) -> tuple[str, ...]:
        return needed(self.tx, self.campaigns[experiment.campaign_id], experiment)

    def write(self) -> None:
        tx = self.tx
        filed = tx.results.add(self.filed) if self.filed else []
        tx.experiments.save([self.experiments[id] for id in sorted(self.touched)])
        tx.attempts.save([self.attempts[id] for id in self.ended])
        tx.results.add_readings(
            [
                r.Reading(experiment_id, output, value, noise, result.seq, current)
                for result, rows in zip(filed, self.readings, strict=True)
                for experiment_id, output, value, noise, current in rows
            ]
        )
        seqs = {result.id: result.seq for result in filed if result.verdict is not Verdict.REFUSED}
        tx.events.add(
            [
                replace(event, result_seq=seqs.get(UUID(event.data["result"])))
                if "result" in event.data
                else event
                for event in self.events
            ]
        )
        if self.withdrawn:
            withdraw_from_subscribers(tx, self.withdrawn)
        for act in self.instruments:
            act(tx)


def file(desk: Desk, given: Report, target: int | None) -> Recorded:
    experiment = desk.experiments.get(target) if target is not None else None
    prior = desk.results.get(given.id)
    if prior is not None:
        return _again(desk, given, prior, experiment)
    if experiment is None:
        text = f"There is no experiment {given.experiment!r}; the result is kept without one."
        desk.filed.append(result_of(desk, given, None, Verdict.REFUSED, Outcome.MEASURED, reason=text))
        desk.readings.append([])
        return Recorded(given.id, Verdict.REFUSED, None, None, "not_found", text)
    outcome, faults = _outcome(given)
    known = desk.known.setdefault(experiment.id, set())
    problem = desk.problem(experiment)
    gone = set(desk.staged_as(experiment).output_names) - set(problem.output_names)
    found = judge(
        problem,
        experiment.state,
        known,
        outcome,
        given.outputs,
        [name for name in given.outstanding if name not in gone],
        given.noise,
        given.actual,
        faults,
        desk.needed(experiment),
    )
    if found.errors and given.comment and not given.outputs:
        # Where no output came at all, its comment tells why: an adapter says there what its function returned instead.
        found = replace(found, message=f"{found.message} Its comment: {str(given.comment)[:COMMENT_SHOWN]}")
    result = result_of(desk, given, experiment, found.verdict, outcome, judgement=found)
    desk.filed.append(result)
    desk.results[given.id] = result
    desk.readings.append(_readings(problem, experiment, given, found))
    known.update(found.current)
    moved = _move(desk, experiment, result, found)
    return Recorded(given.id, found.verdict, moved.id, moved.state, None, found.message, found.errors)


def _again(desk: Desk, given: Report, prior: r.Result, experiment: r.Experiment | None) -> Recorded:
    """The same id: the same result once more, or another body under a used key, which is kept as refused."""
    if experiment is None or experiment.id != prior.experiment_id:
        found = desk.tx.experiments.get([prior.experiment_id]) if prior.experiment_id else []
        experiment = found[0] if found else None
    state = experiment.state if experiment else None
    if prior.body_hash == fingerprint(given.body()):
        verdict = prior.verdict if prior.verdict is Verdict.HELD else Verdict.DUPLICATE
        return Recorded(given.id, verdict, prior.experiment_id, state, None, "Recorded before.")
    text = "This result id was used before with another body. The body is kept as refused; give a new result a new id."
    desk.filed.append(result_of(desk, given, experiment, Verdict.REFUSED, Outcome.MEASURED, reason=text))
    desk.readings.append([])
    return Recorded(given.id, Verdict.REFUSED, prior.experiment_id, state, "key_reused", text)


def result_of(
    desk: Desk,
    given: Report,
    experiment: r.Experiment | None,
    verdict: Verdict,
    outcome: Outcome,
    *,
    reason: str = "",
    judgement: Judgement | None = None,
    campaign: r.Campaign | None = None,
) -> r.Result:
    extra = judgement.extra if judgement else ()
    usable = judgement is not None and not judgement.errors
    attempt = attempt_of(given)
    holder = desk.attempts.get(attempt) if attempt else None
    campaign_id = experiment.campaign_id if experiment else campaign.id if campaign else None
    return r.Result(
        seq=0,
        id=given.id,
        experiment_id=experiment.id if experiment else None,
        campaign_id=campaign_id,
        attempt=attempt,
        kind="report",
        verdict=verdict,
        outcome=outcome,
        outputs={name: plain(given.outputs[name]) for name in given.outputs if name not in extra}
        if usable
        else {},
        extra={name: given.outputs[name] for name in extra} if usable else {},
        noise=dict(given.noise) if usable else {},
        actual=dict(given.actual) if usable else {},
        outstanding=judgement.outstanding if judgement else (),
        artifacts=list(given.artifacts),
        comment=given.comment,
        reason=reason or (judgement.message if judgement else ""),
        body=given.body(),
        body_hash=fingerprint(given.body()),
        instrument=holder.instrument if holder else desk.actor.removeprefix("adapter:"),
        actor=_actor(desk.actor, holder),
        measured_at=given.measured_at,
    )


def _actor(actor: str, holder: r.Attempt | None) -> str:
    """A lease tells who measured, unless a token has proved it."""
    return f"adapter:{holder.instrument}" if holder and not actor.startswith("token:") else actor


def _readings(
    problem: Problem, experiment: r.Experiment, given: Report, found: Judgement
) -> list[tuple[int, str, float, float | None, bool]]:
    rows = [(name, True) for name in found.current] + [(name, False) for name in found.beside]
    return [
        (
            experiment.id,
            name,
            problem.output(name).encode(given.outputs[name]),
            given.noise.get(name),
            current,
        )
        for name, current in rows
    ]


def _move(desk: Desk, experiment: r.Experiment, result: r.Result, found: Judgement) -> r.Experiment:
    """The experiment after this result, and what becomes of the attempt that holds it."""
    holder = desk.attempts.get(experiment.attempt) if experiment.attempt else None
    holder = holder if holder is not None and holder.live else None
    own = holder is not None and holder.id == result.attempt
    before, to = experiment, found.state
    if experiment.dismissed_at is not None:  # something new has come
        experiment = replace(experiment, dismissed_at=None)
    missing = tuple(name for name in desk.needed(experiment) if name not in desk.known[experiment.id])
    if holder is not None and not own and experiment.state is State.LEASED and to is not State.COMPLETED:
        to = experiment.state  # its holder is still measuring
    elif own and found.verdict is Verdict.REPLICATE:
        # Nothing new, but the run is over: what nobody has measured is outstanding.
        to = State.PARTIAL if missing else State.COMPLETED
    if to is not before.state:
        finished = desk.tx.now() if to is State.COMPLETED else None
        experiment = replace(
            experiment, state=move(experiment.state, to), held_reason="", finished_at=finished
        )
    if found.verdict is Verdict.ACCEPTED:
        experiment = replace(experiment, outcome=found.outcome)
    experiment = replace(experiment, outstanding=missing if to is State.PARTIAL else ())
    if to is State.HELD and found.errors:
        experiment = replace(experiment, held_reason=found.message)
    if holder is not None and (own or to is not before.state):
        desk.attempts[holder.id] = _ended(holder, own, to, found)
        desk.ended.add(holder.id)
        experiment = replace(experiment, attempt=None)
        if holder.silent:  # only then may its instrument wait for a decision about it
            desk.instruments.append(unblock(holder.instrument, experiment.id))
    if own and holder is not None and found.verdict is Verdict.ACCEPTED:
        desk.instruments.append(count_success(holder.instrument))
    elif own and holder is not None and found.errors:
        desk.instruments.append(count_failure(holder.instrument, found.message))
    if before.state is State.STAGED and experiment.state is not State.STAGED:
        desk.withdrawn.append(experiment)
    if experiment != before:
        desk.experiments[experiment.id] = experiment
        desk.touched.add(experiment.id)
    desk.events.append(_event(desk, experiment, result, found))
    return experiment


def _ended(holder: r.Attempt, own: bool, to: State, found: Judgement) -> r.Attempt:
    if not own:
        return leasing.end(holder, "not_needed")
    if found.errors:
        return leasing.end(holder, "completed", "its result cannot be used as it stands")
    reason = "its values were there already" if found.verdict is Verdict.REPLICATE else ""
    return leasing.end(holder, "partial" if to is State.PARTIAL else "completed", reason)


def _event(desk: Desk, experiment: r.Experiment, result: r.Result, found: Judgement) -> r.Event:
    learnt = bool(found.current) or found.outcome is Outcome.INFEASIBLE
    accepted = found.verdict is Verdict.ACCEPTED and learnt
    repeated = bool(found.beside) and found.outcome is Outcome.MEASURED and not found.errors
    event = changed(
        "result",
        experiment,
        result.actor,
        result=str(result.id),
        verdict=str(found.verdict),
        outcome=str(found.outcome),
        outputs=result.outputs,
        message=found.message,
    )
    return replace(
        event,
        attempt=result.attempt,
        instrument=result.instrument,
        teaches=accepted or repeated,
        accepts=1 if accepted else 0,
    )


def plain(value: Any) -> float | str:
    """A checked value of an output as it is shown: a number, or a label."""
    return value if isinstance(value, str) else float(value)


def _outcome(given: Report) -> tuple[Outcome, list[FieldError]]:
    try:
        return Outcome(given.outcome), []
    except ValueError:
        allowed = ", ".join(Outcome)
        wrong = FieldError("outcome", f"is not one of {allowed}.", given.outcome, allowed)
        return Outcome.MEASURED, [wrong]


def attempt_of(given: Report) -> UUID | None:
    if given.lease is None:
        return None
    try:
        return leasing.read_lease(given.lease)[0]
    except LeaseLostError:
        return None
