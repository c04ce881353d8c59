"""report: results come in, from anyone, in any order, however late. Nothing that was measured is thrown away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from labqueue.errors import ConflictError, FieldError, InvalidError, LeaseLostError
from labqueue.problem import ROW, Problem
from labqueue.states import Outcome, State, Verdict
from models.domain import breaker, leasing
from models.domain import records as r
from models.domain.lifecycle import move
from models.domain.recording import Judgement, judge
from models.domain.replacing import replace
from services.ports import Ids, Store, Transaction

from .placing import withdraw as withdraw_from_subscribers
from .pools import Points
from .renew import unblock
from .shared import campaign_of, changed, experiment_of, fingerprint, needed, problem_at, problem_of, storable

REPORT_LIMIT = 500


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


def report(store: Store, ids: Ids, reports: Sequence[Report], actor: str) -> list[Recorded]:
    """Records a batch item by item: the good ones are kept whatever the others are. One transaction."""
    _check_size(reports)
    reports = [_storable(each) for each in reports]
    with store.begin() as tx:
        desk = Desk(tx, ids, actor)
        targets = _targets(tx, reports)
        # By id from here on: the same result is the same, whether it named the experiment by id, code or lease.
        reports = [
            each if id is None else replace(each, experiment=id)
            for each, id in zip(reports, targets, strict=True)
        ]
        _load(desk, [id for id in targets if id is not None], reports)
        recorded = [_file(desk, each, target) for each, target in zip(reports, targets, strict=True)]
        desk.write()
    return recorded


def report_elsewhere(
    store: Store, ids: Ids, campaign_name: str, reports: Sequence[Report], actor: str
) -> list[Recorded]:
    """Experiments that were run elsewhere: each report names its parameters and makes its own experiment."""
    _check_size(reports)
    reports = [_storable(each) for each in reports]
    with store.begin() as tx:
        campaign = campaign_of(tx, campaign_name, lock=True)
        problem = problem_of(campaign)
        desk = Desk(tx, ids, actor, campaigns={campaign.id: campaign})
        desk.results = {each.id: each for each in tx.results.get([each.id for each in reports])}
        points = Points(tx, problem, [each.parameters for each in reports])
        recorded: list[Recorded] = []
        for each in reports:
            prior = desk.results.get(each.id)
            errors = [] if problem.opaque else points.check(each.parameters)
            if prior is not None:
                recorded.append(_file(desk, each, prior.experiment_id))
            elif errors:
                text = "Kept as it came, but it cannot be an experiment of this campaign."
                filed = _result(
                    desk, each, None, Verdict.HELD, Outcome.MEASURED, reason=text, campaign=campaign
                )
                desk.filed.append(filed)
                desk.results[each.id] = filed
                desk.readings.append([])
                recorded.append(Recorded(each.id, Verdict.HELD, None, None, "invalid", text, tuple(errors)))
            else:
                planned = None if problem.opaque else points.normal(each.parameters)
                campaign, made = _make(tx, campaign, problem, each, planned)
                desk.campaigns[campaign.id] = campaign
                desk.experiments[made.id], desk.known[made.id] = made, set()
                recorded.append(_file(desk, each, made.id))
        tx.campaigns.save(campaign)
        desk.write()
    return recorded


def complete_held(
    store: Store, ids: Ids, experiment_id: int, given: Report, reason: str, actor: str
) -> Recorded:
    """A person decides that this is the result of a held experiment."""
    with store.begin() as tx:
        experiment = experiment_of(tx, experiment_id)
        known = tx.results.get([given.id])  # sent twice: the second time nothing is held any more
        if experiment.state is not State.HELD and not known:
            raise ConflictError(
                f"Experiment {experiment.code} is {experiment.state}, not held: there is nothing to decide."
            )
    text = f"{given.comment} ({reason})" if reason and given.comment else given.comment or reason
    return report(store, ids, [replace(given, experiment=experiment_id, comment=text)], actor)[0]


def _check_size(reports: Sequence[Report]) -> None:
    if not 1 <= len(reports) <= REPORT_LIMIT:
        rule = f"1 to {REPORT_LIMIT} results"
        raise InvalidError(errors=[FieldError("items", f"must be {rule}.", len(reports), rule)])


def _storable(given: Report) -> Report:
    """Whatever came, in a form that can be kept: what is no number stays as text and is judged as such."""
    changes = {
        name: storable(getattr(given, name))
        for name in ("outputs", "noise", "actual", "comment", "measured_at", "parameters")
    }
    artifacts = tuple(storable(each) for each in given.artifacts)
    outstanding = tuple(storable(each) for each in given.outstanding)
    return replace(given, artifacts=artifacts, outstanding=outstanding, **changes)


def _targets(tx: Transaction, reports: Sequence[Report]) -> list[int | None]:
    """The experiment that each report is about, by its id, its code or its lease."""
    codes = [each.experiment for each in reports if isinstance(each.experiment, str)]
    by_code = {each.code: each.id for each in tx.experiments.by_code(codes)} if codes else {}
    leased = [each for each in (_attempt(given) for given in reports if given.experiment is None) if each]
    by_attempt = {each.id: each.experiment_id for each in tx.attempts.get(leased)} if leased else {}

    def target(given: Report) -> int | None:
        if isinstance(given.experiment, str):
            return by_code.get(given.experiment)
        if given.experiment is not None:
            return given.experiment
        attempt = _attempt(given)
        return by_attempt.get(attempt) if attempt else None

    return [target(each) for each in reports]


def _load(desk: Desk, targets: Sequence[int], reports: Sequence[Report]) -> None:
    tx = desk.tx
    desk.experiments = {each.id: each for each in tx.experiments.lock(sorted(set(targets)))}
    # Read after the locks: whoever recorded these before us has committed by now.
    desk.results = {each.id: each for each in tx.results.get([each.id for each in reports])}
    current = {each.attempt for each in desk.experiments.values() if each.attempt is not None}
    desk.attempts = {each.id: each for each in tx.attempts.lock(sorted(current))} if current else {}
    # Those of late results: only to know which instrument measured.
    past = {each for each in (_attempt(given) for given in reports) if each} - current
    if past:
        desk.attempts.update((each.id, each) for each in tx.attempts.get(sorted(past)))
    for reading in tx.results.readings(list(desk.experiments)):
        desk.known.setdefault(reading.experiment_id, set()).add(reading.output)
    for id in {each.campaign_id for each in desk.experiments.values()}:
        campaign = tx.campaigns.by_id(id)
        assert campaign is not None, "an experiment's campaign is never deleted"
        desk.campaigns[id] = campaign


def _file(desk: Desk, given: Report, target: int | None) -> Recorded:
    experiment = desk.experiments.get(target) if target is not None else None
    prior = desk.results.get(given.id)
    if prior is not None:
        return _again(desk, given, prior, experiment)
    if experiment is None:
        text = f"There is no experiment {given.experiment!r}; the result is kept without one."
        desk.filed.append(_result(desk, given, None, Verdict.REFUSED, Outcome.MEASURED, reason=text))
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
    result = _result(desk, given, experiment, found.verdict, outcome, judgement=found)
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
    desk.filed.append(_result(desk, given, experiment, Verdict.REFUSED, Outcome.MEASURED, reason=text))
    desk.readings.append([])
    return Recorded(given.id, Verdict.REFUSED, prior.experiment_id, state, "key_reused", text)


def _result(
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
    attempt = _attempt(given)
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
        desk.instruments.append(_succeeded(holder.instrument))
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


def _succeeded(name: str) -> Callable[[Transaction], None]:
    def act(tx: Transaction) -> None:
        seen = tx.instruments.get(name)
        if seen is not None and seen.failures:
            tx.instruments.save(breaker.succeeded(tx.instruments.lock(name)))

    return act


def _outcome(given: Report) -> tuple[Outcome, list[FieldError]]:
    try:
        return Outcome(given.outcome), []
    except ValueError:
        allowed = ", ".join(Outcome)
        wrong = FieldError("outcome", f"is not one of {allowed}.", given.outcome, allowed)
        return Outcome.MEASURED, [wrong]


def _attempt(given: Report) -> UUID | None:
    if given.lease is None:
        return None
    try:
        return leasing.read_lease(given.lease)[0]
    except LeaseLostError:
        return None


def _make(
    tx: Transaction, campaign: r.Campaign, problem: Problem, given: Report, planned: r.Json
) -> tuple[r.Campaign, r.Experiment]:
    number = campaign.next_number
    made = tx.experiments.add(
        [
            r.Experiment(
                id=0,
                campaign_id=campaign.id,
                campaign=campaign.name,
                queue=campaign.queue,
                number=number,
                code=f"{campaign.name}-{number}",
                state=State.PROPOSED,
                priority=0,
                tag=0.0,
                origin="person",
                reason="run elsewhere",
                problem_version=campaign.problem_version,
                planned=planned,
                payload=given.parameters if problem.opaque else None,
                row=planned[ROW] if problem.pool is not None else None,
                ready=False,
            )
        ]
    )[0]
    return replace(campaign, next_number=number + 1), made
