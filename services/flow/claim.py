"""claim: an adapter takes the next experiments of a queue, or some by id. It waits for no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labqueue.errors import FieldError, InstrumentTakenError, InvalidError, KeyReusedError
from labqueue.problem import Output, Problem
from labqueue.states import LostLease
from models.domain import breaker, leasing
from models.domain import records as r
from models.domain.replacing import replace
from services.ports import Ids, Store, Transaction

from .shared import changed, check_name, fingerprint, needed, problem_of, queue_of

CLAIM_LIMIT = 1000
SEEN_EVERY = 5.0  # seconds: an idle instrument's last_seen is not written at each poll


@dataclass(frozen=True)
class ClaimRequest:
    """`adapter`: who asks, as `home.incarnation`; a new incarnation of the same home takes over by itself, since a
    home is locked by one process. `key`: names this claim; asked again, it returns the same leases. `min` and
    `within`: nothing unless `min` can be claimed or the oldest has waited `within` seconds (0: no matter how long).
    """

    queue: str
    instrument: str
    adapter: str
    key: str
    max: int = 1
    min: int = 1
    within: float = 0.0
    experiments: tuple[int, ...] | None = None
    take_over: bool = False


@dataclass(frozen=True)
class Assignment:
    """A lease with everything that its holder needs to run it. `outputs`: those that this experiment is to have."""

    lease: str
    attempt: r.Attempt
    experiment: r.Experiment
    outputs: tuple[Output, ...]
    problem: Problem
    heartbeat: bool


@dataclass(frozen=True)
class Probe:
    """A question to the adapter of a silent run: is it still going on?"""

    lease: str
    attempt: r.Attempt
    experiment: r.Experiment


@dataclass(frozen=True)
class Claimed:
    """`reason`: why there is nothing to do, where there is nothing. `final`: waiting would not change it.
    `patience`: seconds after which a waiting adapter should ask again, to be seen alive within its lease."""

    assignments: tuple[Assignment, ...]
    reason: str | None
    probes: tuple[Probe, ...] = ()
    final: bool = False
    patience: float = 60.0


def claim(store: Store, ids: Ids, request: ClaimRequest) -> Claimed:
    """Raises NotFoundError (unknown queue), InstrumentTakenError, KeyReusedError, InvalidError."""
    _check(request)
    body = [request.queue, request.instrument, request.max, request.min, request.within, request.experiments]
    request_hash = fingerprint(body)
    with store.begin() as tx:
        queue = queue_of(tx, request.queue)
        instrument = tx.instruments.lock(request.instrument)
        # Read behind the lock: the same claim may have been on its way twice.
        prior = tx.claims.get(request.key)
        if prior is not None:
            if prior.request_hash != request_hash:
                raise KeyReusedError(f"The claim key {request.key!r} was used before for another claim.")
            return _again(tx, queue, prior)
        _check_free(tx, instrument, request, queue)
        running = tx.attempts.live_of(instrument.name)
        probes = tuple(_probes(tx, running))
        reason = breaker.refusal(instrument) or _unsettled(tx, instrument, request.adapter, running)
        if reason is None and queue.state == "paused":
            reason = f"queue {queue.name} is paused: {queue.reason}"
        if reason is not None:
            _see(tx, instrument, request)
            return Claimed((), reason, probes, final=True, patience=queue.lease_seconds / 2)
        picked = _pick(tx, request)
        if not picked:
            _see(tx, instrument, request)
            by_id = request.experiments is not None
            why = _why_empty(queue, request)
            return Claimed((), why, probes, final=by_id, patience=queue.lease_seconds / 2)
        assignments = _lease(tx, ids, queue, request, picked)
        tx.claims.add(
            r.Claim(
                request.key, instrument.name, request_hash, tuple(each.attempt.id for each in assignments)
            )
        )
        _seen(tx, instrument, request)
    return Claimed(tuple(assignments), None, probes)


def probing(tx: Transaction, instrument: str) -> list[Probe]:
    """The silent runs that this instrument's adapter is asked about."""
    return _probes(tx, tx.attempts.live_of(instrument))


def _probes(tx: Transaction, running: Sequence[r.Attempt]) -> list[Probe]:
    asked = [each for each in running if each.probing]
    if not asked:
        return []
    experiments = {each.id: each for each in tx.experiments.get([each.experiment_id for each in asked])}
    return [Probe(leasing.lease_text(each), each, experiments[each.experiment_id]) for each in asked]


def _check(request: ClaimRequest) -> None:
    check_name("instrument", request.instrument)
    wrong = [
        FieldError(name, "must be printable text of 1 to 200 letters.", text[:200])
        for name, text in (("adapter", request.adapter), ("key", request.key))
        if not 0 < len(text) <= 200 or not text.isprintable()
    ]
    if not 1 <= request.max <= CLAIM_LIMIT:
        wrong.append(FieldError("max", f"must be 1 to {CLAIM_LIMIT}.", request.max, f"1 to {CLAIM_LIMIT}"))
    if not 1 <= request.min <= request.max:
        wrong.append(FieldError("min", "must be 1 to max.", request.min, f"1 to {request.max}"))
    if wrong:
        raise InvalidError("This claim cannot be understood.", errors=wrong)


def _check_free(tx: Transaction, instrument: r.Instrument, request: ClaimRequest, queue: r.Queue) -> None:
    """One live adapter per instrument; a successor from the same home is no stranger."""
    if instrument.adapter in ("", request.adapter) or request.take_over or instrument.last_seen is None:
        return
    if instrument.adapter.rpartition(".")[0] == request.adapter.rpartition(".")[0] != "":
        return
    silent = (tx.now() - instrument.last_seen).total_seconds()
    if silent < queue.lease_seconds and not queue.people:
        raise InstrumentTakenError(
            f"Instrument {instrument.name!r} is served by another adapter, seen {silent:.0f} s ago. Stop that one, "
            "wait, or take over."
        )


def _unsettled(
    tx: Transaction, instrument: r.Instrument, adapter: str, running: Sequence[r.Attempt]
) -> str | None:
    """Why nothing new may begin: what became of an earlier run is not known yet, and the device may be at it."""
    asked = [each for each in running if each.probing]
    if asked:
        return (
            f"instrument {instrument.name} fell silent while running experiment {asked[0].experiment_id} and is asked "
            "what became of it; it gets work when it has answered"
        )
    left = [
        each for each in running if each.state == "started" and each.adapter != adapter and not each.silent
    ]
    for each in left:
        queue = tx.queues.get(each.queue)
        if queue is not None and queue.on_lost is not LostLease.REQUEUE and not queue.people:
            return (
                f"an earlier adapter of instrument {instrument.name} was running experiment {each.experiment_id}; "
                "unless that run is found, its lease ends first and the queue's policy decides"
            )
    return None


def _pick(tx: Transaction, request: ClaimRequest) -> list[r.Experiment]:
    if request.experiments is not None:
        return tx.experiments.pick_these(request.queue, request.experiments[: request.max])
    if request.min > 1:
        count, waited = tx.experiments.claimable(request.queue, request.min)
        if count < request.min and not (request.within and count and waited >= request.within):
            return []
    return tx.experiments.pick(request.queue, request.max)


def _why_empty(queue: r.Queue, request: ClaimRequest) -> str:
    if request.experiments is not None:
        return "none of these experiments can be claimed any more"
    if request.min > 1:
        return f"fewer than {request.min} experiments are staged in queue {queue.name}"
    return f"nothing is staged in queue {queue.name}"


def _lease(
    tx: Transaction, ids: Ids, queue: r.Queue, request: ClaimRequest, picked: Sequence[r.Experiment]
) -> list[Assignment]:
    campaigns = _campaigns(tx, picked)
    pairs = []
    for experiment in picked:
        campaign = campaigns[experiment.campaign_id]
        stale = None if experiment.known is None else max(0, campaign.accepted - experiment.known)
        pairs.append(
            leasing.lease_to(
                replace(experiment, staleness=stale),
                ids.uuid(),
                request.instrument,
                request.adapter,
                queue.lease_seconds,
            )
        )
    tx.experiments.save([experiment for experiment, _ in pairs])
    attempts = {each.id: each for each in tx.attempts.add([attempt for _, attempt in pairs])}
    actor = f"adapter:{request.instrument}"
    tx.events.add(
        [
            replace(changed("claimed", each, actor, staleness=each.staleness), instrument=request.instrument)
            for each, _ in pairs
        ]
    )
    return [
        _assignment(tx, attempts[attempt.id], experiment, campaigns[experiment.campaign_id], queue)
        for experiment, attempt in pairs
    ]


def _assignment(
    tx: Transaction,
    attempt: r.Attempt,
    experiment: r.Experiment,
    campaign: r.Campaign,
    queue: r.Queue,
) -> Assignment:
    problem = problem_of(campaign)
    outputs = tuple(problem.output(name) for name in needed(tx, campaign, experiment))
    return Assignment(leasing.lease_text(attempt), attempt, experiment, outputs, problem, not queue.people)


def _again(tx: Transaction, queue: r.Queue, prior: r.Claim) -> Claimed:
    """The reply was lost: the same leases again, those that still live."""
    attempts = [each for each in tx.attempts.get(prior.attempts) if each.live]
    experiments = {each.id: each for each in tx.experiments.get([each.experiment_id for each in attempts])}
    campaigns = _campaigns(tx, list(experiments.values()))
    order = {attempt: place for place, attempt in enumerate(prior.attempts)}
    assignments = [
        _assignment(
            tx,
            each,
            experiments[each.experiment_id],
            campaigns[experiments[each.experiment_id].campaign_id],
            queue,
        )
        for each in sorted(attempts, key=lambda each: order[each.id])
        if experiments[each.experiment_id].attempt == each.id
    ]
    reason = None if assignments else "the leases of this claim have ended"
    return Claimed(tuple(assignments), reason, tuple(probing(tx, prior.instrument)), final=True)


def _campaigns(tx: Transaction, experiments: Sequence[r.Experiment]) -> dict[int, r.Campaign]:
    found = {}
    for id in {each.campaign_id for each in experiments}:
        campaign = tx.campaigns.by_id(id)
        assert campaign is not None, "an experiment's campaign is never deleted"
        found[id] = campaign
    return found


def _see(tx: Transaction, instrument: r.Instrument, request: ClaimRequest) -> None:
    known = (instrument.adapter, instrument.asks) == (request.adapter, _asks(request))
    last = instrument.last_seen
    if known and last is not None and (tx.now() - last).total_seconds() < SEEN_EVERY:
        return
    _seen(tx, instrument, request)


def _seen(tx: Transaction, instrument: r.Instrument, request: ClaimRequest) -> None:
    now = replace(instrument, queue=request.queue, adapter=request.adapter, asks=_asks(request))
    tx.instruments.save(now, seen=True)


def _asks(request: ClaimRequest) -> int:
    """How many it takes at once: staging goes by it. Those that are claimed by id were there already."""
    return request.max if request.experiments is None else 1
