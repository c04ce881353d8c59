"""taught: what a learner of the user's own answers is judged as ours is, and kept; what cannot be used is its failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labqueue.errors import FieldError, InvalidError, LabqueueError, LeaseLostError, TooLargeError
from models.domain import records as r
from models.domain.replacing import replace
from models.domain.suggested import key, read, read_gain, repeats
from services.ports import Chosen, Fitted, Ids, Snapshot, Store, Suggested, Transaction

from . import suggest as suggesting
from . import train as training
from .asking import missed
from .judging import judge
from .planning import Want
from .pools import check_rows
from .shared import campaign_of, problem_of, storable, strategy_of
from .snapshots import in_order
from .suggest import Plan
from .teach import blame, drop, free, leased

METRICS_LIMIT = 64 * 1024  # letters of JSON
#: No refusal names more faults than this.
FAULTS = 20
#: Where a model or a suggestion of a learner's was computed.
DEVICE = "learner"


@dataclass(frozen=True)
class Answer:
    """Who answers what. `versions`: of the libraries that were used."""

    campaign: str
    lease: str
    holder: str
    versions: Mapping[str, Any]


def keep_state(store: Store, answer: Answer, state: bytes, metrics: Any) -> int:
    """The version of the state that was learnt; the same answer twice is one version.

    Raises LeaseLostError where somebody else has the work; InvalidError or TooLargeError where the answer cannot be
    kept (the reason is).
    """
    with store.begin() as tx:
        campaign, job = leased(tx, answer.campaign, answer.lease)
        if job.holder == "":
            model = tx.models.latest(campaign.id, job.learner, state=False)
            return model.version if model is not None else 0
        began, wrong = job.taken_at or tx.now(), _unusable(state, metrics)
        if wrong is not None:
            drop(tx, campaign, job, str(wrong))
    if wrong is not None:
        raise wrong
    version = training.keep(
        store,
        _then(campaign, job),
        job,
        Fitted(state, storable(metrics), DEVICE, _versions(answer, job)),
        job.work["rows"],
        began,
    )
    if version is None:
        raise _lost()
    return version


def keep_candidates(
    store: Store, ids: Ids, answer: Answer, candidates: Any, gain: Any = None
) -> tuple[int, ...]:
    """Ids of the experiments that were staged: none where the campaign was stopped or edited meanwhile, or where this
    was answered before. `gain`: what the first candidate is expected to improve the score by, where that is known.

    Raises LeaseLostError where somebody else has the work, InvalidError that names every fault (the reason is kept).
    """
    try:
        with store.begin() as tx:
            campaign, job = leased(tx, answer.campaign, answer.lease)
            if job.holder == "":
                return ()
            if job.work["problem_version"] != campaign.problem_version:
                free(tx, job)
                return ()
            plan = _plan(tx, campaign, job)
            chosen, wrong = _judged(tx, plan, candidates, strategy_of(campaign).replicates)
            worth, bad = read_gain(gain)
            wrong = [*bad, *wrong]
            if wrong:
                drop(tx, campaign, job, f"its answer was refused: {'; '.join(map(str, wrong))}")
        if wrong:
            raise InvalidError("These candidates cannot be run.", errors=wrong)
        suggested = Suggested(chosen, {}, DEVICE, _versions(answer, job), worth)
        staged = suggesting.keep(store, ids, plan, suggested)
        with store.begin() as tx:
            leased(tx, answer.campaign, answer.lease)
            seat = tx.seats.lock(campaign.id)
            if seat.name == job.learner:
                tx.seats.save(replace(seat, suggestions=seat.suggestions + 1, failures=0, error=""))
    except LeaseLostError:
        _late(store, answer)
        raise
    return staged


def refuse(store: Store, campaign_name: str, lease: str, error: LabqueueError) -> None:
    """An answer that could not even be read: the learner's failure, where it still has the work."""
    with store.begin() as tx:
        campaign, job = leased(tx, campaign_name, lease)
        if job.holder != "":
            drop(tx, campaign, job, f"its answer could not be read: {error}")


def _late(store: Store, answer: Answer) -> None:
    """A suggestion that is slower than its lease again and again would leave the queue empty."""
    with store.begin() as tx:
        campaign = campaign_of(tx, answer.campaign)
        seat = tx.seats.lock(campaign.id)
        if seat.holder != answer.holder:
            return
        if missed(seat):  # which was counted when its deadline passed
            tx.seats.save(seat, seen=True)
        else:
            blame(tx, campaign, seat.name, "its suggestion came after the work had gone to somebody else")


def _lost() -> LeaseLostError:
    return LeaseLostError("This work went to somebody else meanwhile; its answer is not needed.")


def _then(campaign: r.Campaign, job: r.Job) -> r.Campaign:
    """The campaign as it was when the learner was asked, as far as that matters for what it answers."""
    return replace(
        campaign,
        problem_version=job.work["problem_version"],
        strategy_version=job.work["strategy_version"],
        data_revision=job.revision,
        accepted=job.work["accepted"],
        model_version=job.work["model_version"],
    )


def _unusable(state: bytes, metrics: Any) -> LabqueueError | None:
    limit = training.STATE_LIMIT
    if len(state) > limit:
        return TooLargeError(f"The learner's state has {len(state):,} bytes; {limit:,} are allowed.")
    wrong = []
    if not isinstance(metrics, Mapping):
        wrong.append(FieldError("metrics", "must be an object of name: number.", str(metrics)[:100]))
    elif len(str(metrics)) > METRICS_LIMIT:
        wrong.append(
            FieldError("metrics", f"must have at most {METRICS_LIMIT:,} letters.", len(str(metrics)))
        )
    return InvalidError("These metrics cannot be kept.", errors=wrong) if wrong else None


def _versions(answer: Answer, job: r.Job) -> dict[str, Any]:
    return {**storable(dict(answer.versions)), "learner": job.learner}


def _plan(tx: Transaction, campaign: r.Campaign, job: r.Job) -> Plan:
    """As it was when the learner was asked, from what was written down then."""
    work, problem = job.work, problem_of(campaign)
    giving_way = tuple(tx.experiments.get(work["staged"]))
    snapshot = Snapshot(
        problem=problem,
        strategy=strategy_of(campaign),
        seed=campaign.seed,
        number=work["number"],
        rows=in_order(problem, tx.results.training(campaign.id, job.revision)),
        pending=tuple(work["pending"]),
        drawn=work["drawn"],
        model=None,
        count=work["fill"],
        device=DEVICE,
        staged=tuple(each.planned for each in giving_way),
    )
    model = tx.models.latest(campaign.id, job.learner, state=False) if work["model_version"] else None
    want = Want(work["fill"], len(giving_way))
    return Plan(_then(campaign, job), job, want, snapshot, model, giving_way, job.taken_at or tx.now())


def _judged(
    tx: Transaction, plan: Plan, answer: Any, replicates: bool
) -> tuple[tuple[Chosen, ...], list[FieldError]]:
    """The candidates, or the first faults of them. A point that is staged already keeps its experiment."""
    problem, job = plan.snapshot.problem, plan.job
    found, wrong = read(problem, answer, job.work["count"])
    usual = f"the learner {job.learner} chose it"
    chosen = tuple(
        Chosen(each.parameters, each.reason or usual, "suggester", each.expected) for each in found
    )
    if not wrong:
        wrong = judge(plan.snapshot, Suggested(chosen, {}, DEVICE, {}))
        wrong = wrong or check_rows(tx, problem, chosen)
    if not wrong:
        chosen = tuple(replace(each, parameters=problem.normal(each.parameters)) for each in chosen)
        points = [each.parameters for each in chosen]
        taken = [*plan.snapshot.pending, *(row.planned for row in plan.snapshot.rows)]
        wrong = [] if replicates else repeats(problem, points, taken)
    if wrong:
        return (), wrong[:FAULTS]
    places = {key(problem, each.planned): place for place, each in enumerate(plan.giving_way)}
    # A replicate of a staged point is one more experiment: each place is kept once.
    return tuple(replace(each, staged=places.pop(key(problem, each.parameters), None)) for each in chosen), []
