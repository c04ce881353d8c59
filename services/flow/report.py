"""report: results come in, from anyone, in any order, however late. Nothing that was measured is thrown away."""

from __future__ import annotations

from collections.abc import Sequence

from labqueue.errors import ConflictError, FieldError, InvalidError
from labqueue.problem import ROW, Problem
from labqueue.states import Outcome, State, Verdict
from models.domain import records as r
from models.domain.pairing import outside
from models.domain.replacing import replace
from services.ports import Ids, Store, Transaction

from .filing import Desk, Recorded, Report, attempt_of, file, result_of
from .pools import Points
from .shared import campaign_of, experiment_of, problem_of, storable

REPORT_LIMIT = 500


def report(store: Store, ids: Ids, reports: Sequence[Report], actor: str) -> list[Recorded]:
    """Records a batch item by item: the good ones are kept whatever the others are. One transaction."""
    _check_size(reports)
    with store.begin() as tx:
        return report_in(tx, ids, reports, actor)


def report_in(tx: Transaction, ids: Ids, reports: Sequence[Report], actor: str) -> list[Recorded]:
    """The same, within a transaction."""
    reports = [_storable(each) for each in reports]
    desk = Desk(tx, ids, actor)
    targets = _targets(tx, reports)
    # By id from here on: the same result is the same, whether it named the experiment by id, code or lease.
    reports = [
        each if id is None else replace(each, experiment=id)
        for each, id in zip(reports, targets, strict=True)
    ]
    _load(desk, [id for id in targets if id is not None], reports)
    recorded = [file(desk, each, target) for each, target in zip(reports, targets, strict=True)]
    desk.write()
    return recorded


def report_elsewhere(
    store: Store, ids: Ids, campaign_name: str, reports: Sequence[Report], actor: str
) -> list[Recorded]:
    """Experiments that were run elsewhere: each report names its parameters and makes its own experiment."""
    _check_size(reports)
    with store.begin() as tx:
        return elsewhere_in(tx, ids, campaign_of(tx, campaign_name, lock=True), reports, actor)


def elsewhere_in(
    tx: Transaction, ids: Ids, campaign: r.Campaign, reports: Sequence[Report], actor: str
) -> list[Recorded]:
    """The same, within a transaction that has locked the campaign."""
    reports = [_storable(each) for each in reports]
    problem = problem_of(campaign)
    desk = Desk(tx, ids, actor, campaigns={campaign.id: campaign})
    desk.results = {each.id: each for each in tx.results.get([each.id for each in reports])}
    points = Points(tx, problem, [each.parameters for each in reports])
    errors = [[] if problem.opaque else points.check_run(each.parameters) for each in reports]
    firsts = {each.id: place for place, each in reversed(list(enumerate(reports)))}
    fresh = [place for id, place in firsts.items() if id not in desk.results and not errors[place]]
    fresh.sort()
    planned = [None if problem.opaque else points.normal(reports[place].parameters) for place in fresh]
    campaign, made = _make(tx, campaign, problem, [reports[place] for place in fresh], planned)
    desk.campaigns[campaign.id] = campaign
    desk.experiments = {each.id: each for each in made}
    desk.known = {each.id: set() for each in made}
    own = dict(zip(fresh, made, strict=True))
    recorded: list[Recorded] = []
    for place, each in enumerate(reports):
        prior = desk.results.get(each.id)
        if prior is not None:
            recorded.append(file(desk, each, prior.experiment_id))
        elif place in own:
            recorded.append(_outside(problem, each, file(desk, each, own[place].id)))
        else:
            text = "Kept as it came, but it cannot be an experiment of this campaign."
            filed = result_of(
                desk, each, None, Verdict.HELD, Outcome.MEASURED, reason=text, campaign=campaign
            )
            desk.filed.append(filed)
            desk.results[each.id] = filed
            desk.readings.append([])
            wrong = tuple(errors[place])
            recorded.append(Recorded(each.id, Verdict.HELD, None, None, "invalid", text, wrong))
    tx.campaigns.save(campaign)
    desk.write()
    return recorded


def _outside(problem: Problem, given: Report, recorded: Recorded) -> Recorded:
    """What was run outside of what may be planned is evidence like all else, and its sender hears of it: it may be a
    slip of the pen."""
    if problem.opaque or problem.pool is not None or recorded.verdict is not Verdict.ACCEPTED:
        return recorded
    text = outside(problem.check_point(given.parameters))
    return replace(recorded, message=f"{text} {recorded.message}".strip()) if text else recorded


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
    leased = [each for each in (attempt_of(given) for given in reports if given.experiment is None) if each]
    by_attempt = {each.id: each.experiment_id for each in tx.attempts.get(leased)} if leased else {}

    def target(given: Report) -> int | None:
        if isinstance(given.experiment, str):
            return by_code.get(given.experiment)
        if given.experiment is not None:
            return given.experiment
        attempt = attempt_of(given)
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
    past = {each for each in (attempt_of(given) for given in reports) if each} - current
    if past:
        desk.attempts.update((each.id, each) for each in tx.attempts.get(sorted(past)))
    for reading in tx.results.readings(list(desk.experiments)):
        desk.known.setdefault(reading.experiment_id, set()).add(reading.output)
    for id in {each.campaign_id for each in desk.experiments.values()}:
        campaign = tx.campaigns.by_id(id)
        assert campaign is not None, "an experiment's campaign is never deleted"
        desk.campaigns[id] = campaign


def _make(
    tx: Transaction,
    campaign: r.Campaign,
    problem: Problem,
    reports: Sequence[Report],
    planned: Sequence[r.Json],
) -> tuple[r.Campaign, list[r.Experiment]]:
    first = campaign.next_number
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
                planned=point,
                payload=given.parameters if problem.opaque else None,
                row=point[ROW] if problem.pool is not None else None,
                ready=False,
            )
            for number, (given, point) in enumerate(zip(reports, planned, strict=True), first)
        ]
    )
    return replace(campaign, next_number=first + len(made)), made
