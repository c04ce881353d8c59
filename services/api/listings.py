"""What people look at: campaigns with their best, experiments with their history, what needs attention."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

from labqueue.errors import NotFoundError
from labqueue.problem import Problem, did_you_mean
from labqueue.states import State
from models.domain import records as r
from models.domain.as_run import as_run
from services.api import shapes
from services.api.answers import time_text
from services.api.attention import attention
from services.api.shapes import Json
from services.api.standing import Standing, standings
from services.api.taught import learner_json
from services.api.version import VERSION
from services.flow.allowing import allowed
from services.flow.shared import problem_of
from services.ports import Store, Transaction
from services.store.postgres import PostgresStore

Sees = Callable[[str | None, str | None], bool]

EVENTS_SHOWN = 1000


# -- campaigns


@dataclass(frozen=True)
class _Found:
    """What a campaign found so far: the `best` experiment where there is a score, else the `front`, if one is wanted."""

    best: Json | None = None
    front: Sequence[Json] = ()


class _Best:
    """The best of each campaign, found again only when its data have changed."""

    LIMIT = 1000

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[object, ...], _Found] = OrderedDict()
        self._lock = Lock()

    def of(self, tx: Transaction, campaign: r.Campaign) -> _Found:
        # The time tells campaigns of different databases apart.
        key = (campaign.id, campaign.created_at, campaign.data_revision, campaign.problem_version)
        with self._lock:
            if key in self._found:
                return self._found[key]
        best = _best(tx, campaign, problem_of(campaign))
        with self._lock:
            self._found[key] = best
            while len(self._found) > self.LIMIT:
                self._found.popitem(last=False)
        return best


_BEST = _Best()


def campaign_json(store: Store, campaign: r.Campaign) -> Json:
    with store.begin() as tx:
        return _campaign(tx, campaign)


def campaigns_json(store: Store, state: str | None, sees: Sees) -> list[Json]:
    """Those that the caller may see, the active ones first."""
    with store.begin() as tx:
        found = [each for each in tx.campaigns.all(state=state) if sees(each.name, each.queue)]
        order = {"active": 0, "paused": 1, "finished": 2}
        return [
            _campaign(tx, each) for each in sorted(found, key=lambda one: (order.get(one.state, 3), one.id))
        ]


def _campaign(tx: Transaction, campaign: r.Campaign) -> Json:
    counts = tx.experiments.counts(campaign.id)
    found = _BEST.of(tx, campaign)
    return {
        "name": campaign.name,
        "state": campaign.state,
        "reason": campaign.reason,
        "owner": campaign.owner,
        "queue": campaign.queue,
        "problem": campaign.problem,
        "problem_version": campaign.problem_version,
        "strategy": campaign.strategy,
        "strategy_version": campaign.strategy_version,
        "weight": campaign.weight,
        "seed": campaign.seed,
        "data_revision": campaign.data_revision,
        "model_version": campaign.model_version,
        "counts": {str(state): counts[state] for state in State if counts.get(state)},
        "best": found.best,
        "front": list(found.front),
        "learner": learner_json(tx, campaign),
        "created_at": _time(campaign.created_at),
        "finished_at": _time(campaign.finished_at),
    }


def _best(tx: Transaction, campaign: r.Campaign, problem: Problem) -> _Found:
    """Among those that satisfy the outcome constraints and that the problem still allows. Nothing where nothing is better than anything else."""
    if not problem.objectives or problem.learning:
        return _Found()
    rows = allowed(campaign, problem, tx.results.training(campaign.id, campaign.data_revision))
    if problem.pareto:
        front = [rows[place] for place in problem.front([row.outputs for row in rows])]
        codes = {each.id: each.code for each in tx.experiments.get([row.experiment_id for row in front])}
        return _Found(front=[_member(row, codes, problem, None) for row in front])
    scored = [
        (score, row)
        for row in rows
        if (score := problem.score(row.outputs)) is not None and problem.admissible(row.outputs)
    ]
    if not scored:
        return _Found()
    score, row = max(scored, key=lambda pair: (pair[0], -pair[1].experiment_id))
    codes = {each.id: each.code for each in tx.experiments.get([row.experiment_id])}
    return _Found(best=_member(row, codes, problem, score))


def _member(row: r.TrainingRow, codes: Mapping[int, str], problem: Problem, score: float | None) -> Json:
    return {
        "experiment": row.experiment_id,
        "code": codes[row.experiment_id],
        "score": score,
        "parameters": as_run(problem, row.parameters),
        "outputs": shapes.labelled(problem, row.outputs),
    }


# -- experiments


def experiment_row(each: r.Experiment, outputs: Mapping[str, float], problem: Problem) -> Json:
    """`outputs`: as they are stored; shown with their labels."""
    return {
        "id": each.id,
        "code": each.code,
        "campaign": each.campaign,
        "queue": each.queue,
        "state": str(each.state),
        "state_reason": each.held_reason,
        "cancel_wished": each.cancel_wished,
        "priority": each.priority,
        "pinned": each.pinned,
        "origin": each.origin,
        "reason": each.reason,
        "parameters": None if each.planned is None else problem.ordered(each.planned),
        "payload": each.payload,
        "outputs": shapes.labelled(problem, outputs),
        "outstanding": list(each.outstanding),
        "outcome": None if each.outcome is None else str(each.outcome),
        "expected": each.expected,
        "model_version": each.model_version,
        "staleness": each.staleness,
        "approved_by": each.approved_by,
        "attempts_made": each.attempts,
        "attempts_counted": each.counted,
        "expires_at": _time(each.expires_at),
        "staged_at": _time(each.staged_at),
        "finished_at": _time(each.finished_at),
        "dismissed_at": _time(each.dismissed_at),
        "created_at": _time(each.created_at),
    }


def experiment_json(store: Store, id: int) -> Json:
    """With what was reported of its parameters, its attempts, its results as they came, and its events."""
    with store.begin() as tx:
        each = tx.experiments.get([id])[0]
        campaign = tx.campaigns.by_id(each.campaign_id)
        assert campaign is not None, "an experiment's campaign is never deleted"
        readings = tx.results.readings([id])
        attempts = tx.attempts.of_experiment(id)
        results = tx.results.of_experiment(id)
        standing = standings(tx, results)
        actual = tx.results.actual([id]).get(id, {})
        events = tx.events.after(0, EVENTS_SHOWN, experiment_id=id)
    outputs = {reading.output: reading.value for reading in readings}
    problem = problem_of(campaign)
    shown = experiment_row(each, outputs, problem)
    shown["actual"] = problem.ordered(actual)
    notes: dict[Any, list[str]] = {}
    for event in events:
        if event.type == "experiment.noted":
            notes.setdefault(event.attempt, []).append(str(event.data.get("text", "")))
    shown["attempts"] = [_attempt(one, notes.get(one.id, [])) for one in attempts]
    shown["results"] = [result_row(one, each, problem, standing[one.seq]) for one in results]
    shown["events"] = [shapes.event(one, each.campaign) for one in events]
    return shown


def _attempt(each: r.Attempt, notes: Sequence[str]) -> Json:
    """Never with its lease: that is its holder's right to act."""
    return {
        "id": str(each.id),
        "number": each.number,
        "instrument": each.instrument,
        "state": each.state,
        "ended": each.end,
        "reason": each.reason,
        "counts": each.counts,
        "silent": each.silent,
        "run_ref": each.run_ref,
        "notes": list(notes),
        "deadline": _time(each.deadline),
        "claimed_at": _time(each.claimed_at),
        "started_at": _time(each.started_at),
        "ended_at": _time(each.ended_at),
    }


def result_row(
    each: r.Result,
    experiment: r.Experiment | None,
    problem: Problem | None = None,
    standing: Standing | None = None,
) -> Json:
    """A result as it came, and what became of it. One that could not be used shows what was sent.

    `as_run` is the point as this result tells it: actual values over planned ones, without what does not exist there.
    """
    usable = str(each.verdict) in ("accepted", "replicate")
    sent = each.body if isinstance(each.body, Mapping) else {}
    parameters = sent.get("parameters") if experiment is None else experiment.planned
    actual = each.actual if usable else sent.get("actual", {})
    point = {**parameters, **(actual or {})} if isinstance(parameters, Mapping) else actual or {}
    if problem is not None and isinstance(parameters, Mapping):
        parameters = problem.ordered(parameters)
    return {
        "id": str(each.id),
        "kind": each.kind,
        "experiment": each.experiment_id,
        "code": None if experiment is None else experiment.code,
        "parameters": parameters,
        "as_run": None if problem is None else as_run(problem, point),
        "verdict": str(each.verdict),
        "standing": None if standing is None else standing.word,
        "replaced": [] if standing is None else list(standing.replaced),
        "outcome": str(each.outcome),
        "outputs": each.outputs if usable else sent.get("outputs", {}),
        "extra": each.extra,
        "noise": each.noise if usable else sent.get("noise", {}),
        "actual": actual,
        "outstanding": list(each.outstanding),
        "artifacts": each.artifacts,
        "comment": each.comment,
        "message": each.reason,
        "amends": None if each.amends is None else str(each.amends),
        "attempt": None if each.attempt is None else str(each.attempt),
        "instrument": each.instrument,
        "actor": each.actor,
        "measured_at": each.measured_at,
        "recorded_at": _time(each.received_at),
    }


def experiments_page(
    store: PostgresStore, campaign: r.Campaign, state: State | None, after: int, limit: int
) -> tuple[list[Json], int | None]:
    """Rows, and the cursor of the next page where there may be one."""
    found = store.views.experiments(campaign.id, None if state is None else str(state), after, limit)
    rows = [experiment_row(each, outputs, problem_of(campaign)) for each, outputs in found]
    return rows, found[-1][0].id if len(found) == limit else None


def results_page(
    store: PostgresStore, campaign: r.Campaign, after: int, limit: int
) -> tuple[list[Json], int | None]:
    found = store.views.results(campaign.id, after, limit)
    ids = sorted({each.experiment_id for each in found if each.experiment_id is not None})
    with store.begin() as tx:
        experiments = {each.id: each for each in tx.experiments.get(ids)}
        standing = standings(tx, found)
    problem = problem_of(campaign)
    rows = [
        result_row(each, experiments.get(each.experiment_id or 0), problem, standing[each.seq])
        for each in found
    ]
    return rows, found[-1].seq if len(found) == limit else None


# -- instruments, and everything at a glance


def find_instrument(store: Store, name: str) -> r.Instrument:
    """Raises NotFoundError that names the nearest."""
    with store.begin() as tx:
        found = tx.instruments.get(name)
        if found is None:
            hint = did_you_mean(name, [each.name for each in tx.instruments.all()])
            raise NotFoundError(f"No instrument {name[:100]!r} has claimed anything yet. {hint}".strip())
    return found


def instrument_json(store: Store, given: r.Instrument) -> Json:
    with store.begin() as tx:
        return _instrument(given, {each.name: each for each in tx.queues.all()}, tx.now())


def instruments_json(store: Store, sees: Sees) -> list[Json]:
    with store.begin() as tx:
        queues = {each.name: each for each in tx.queues.all()}
        found = sorted(tx.instruments.all(), key=lambda each: each.name)
        return [_instrument(each, queues, tx.now()) for each in found if sees(None, each.queue)]


def _instrument(given: r.Instrument, queues: Mapping[str, r.Queue], now: datetime) -> Json:
    queue = queues.get(given.queue)
    silent = None if given.last_seen is None else (now - given.last_seen).total_seconds()
    live = bool(given.adapter) and silent is not None and silent < (queue.lease_seconds if queue else 60.0)
    return shapes.instrument(given, live=live)


def overview(store: PostgresStore, sees: Sees) -> Json:
    """Everything at a glance, what needs a person first."""
    depths: dict[str, dict[str, int]] = {}
    for name, state, count in store.views.depths():
        depths.setdefault(name, {})[state] = count
    campaigns = campaigns_json(store, None, sees)
    instruments = instruments_json(store, sees)
    with store.begin() as tx:
        queues = [each for each in sorted(tx.queues.all(), key=lambda one: one.name) if sees(None, each.name)]
        workers = tx.liveness.workers()
    return {
        "attention": attention(store, campaigns, instruments),
        "queues": [{**shapes.queue(each), "counts": depths.get(each.name, {})} for each in queues],
        "instruments": instruments,
        "campaigns": campaigns,
        "workers": [
            {"kind": kind, "holder": holder, "seconds": round(seconds, 1), "info": dict(info)}
            for kind, holder, seconds, info in workers
        ],
        "version": VERSION,
    }


def _time(value: datetime | None) -> str | None:
    return None if value is None else time_text(value)
