"""define: queues with their policies, campaigns with their problem and strategy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from labqueue.errors import ConflictError, FieldError, InvalidError, KeyReusedError
from labqueue.problem import Problem
from labqueue.states import LostLease
from labqueue.strategy import BAYESIAN, CALLER, Strategy
from models.domain import records as r
from models.domain.feasibility import feasible
from services.ports import Ids, Store, Transaction

from .shared import campaign_of, check_name, fingerprint, queue_of

LEASE_SECONDS = (1.0, 90 * 86400.0)
SEED_LIMIT = 2**31


@dataclass(frozen=True)
class QueuePolicy:
    lease_seconds: float = 60.0
    on_lost: str = "hold"
    max_attempts: int = 3
    people: bool = False


@dataclass(frozen=True)
class NewCampaign:
    name: str
    queue: str
    owner: str
    problem: Any
    strategy: Any
    weight: float = 1.0
    seed: int | None = None


def put_queue(store: Store, name: str, policy: QueuePolicy, actor: str) -> r.Queue:
    """Creates a queue or changes its policies; leases that run keep the length that they were given."""
    check_name("queue", name)
    wrong = _policy_errors(policy)
    if wrong:
        raise InvalidError("The queue's policy cannot be used as it stands.", errors=wrong)
    with store.begin() as tx:
        old = tx.queues.lock(name) or r.Queue(name)
        queue = replace(
            old,
            lease_seconds=policy.lease_seconds,
            on_lost=LostLease(policy.on_lost),
            max_attempts=policy.max_attempts,
            people=policy.people,
        )
        tx.queues.put(queue)
        data = {"lease_seconds": queue.lease_seconds, "on_lost": str(queue.on_lost)}
        tx.events.add([r.Event("queue.defined", actor, queue=name, data=data)])
    return queue


def create_campaign(store: Store, ids: Ids, new: NewCampaign, actor: str) -> tuple[r.Campaign, bool]:
    """The campaign, and whether it is new. The same name with the same definition is one effect."""
    check_name("campaign", new.name)
    check_name("owner", new.owner)
    problem = Problem.from_json(new.problem)
    strategy = Strategy.from_json(new.strategy)
    _check_fit(problem, strategy)
    if not 0 < new.weight <= 1e6:
        raise InvalidError(errors=[FieldError("weight", "must be positive.", new.weight, "0 to 1,000,000")])
    if new.seed is not None and not 0 <= new.seed < SEED_LIMIT:
        rule = f"0 to {SEED_LIMIT - 1:,}"
        raise InvalidError(errors=[FieldError("seed", f"must be {rule}.", new.seed, rule)])
    if not feasible(problem):
        message = "No point satisfies all constraints of this problem within the bounds of its parameters."
        raise InvalidError(
            message, errors=[FieldError("problem.constraints", "contradict each other or the bounds.")]
        )
    request_hash = fingerprint([new.queue, problem.to_json(), strategy.to_json(), new.weight, new.seed])
    campaign = r.Campaign(
        id=0,
        name=new.name,
        queue=new.queue,
        owner=new.owner,
        state="active",
        reason="",
        problem=problem.to_json(),
        problem_version=1,
        strategy=strategy.to_json(),
        strategy_version=1,
        weight=new.weight,
        seed=ids.seed() if new.seed is None else new.seed,
        request_hash=request_hash,
    )
    try:
        with store.begin() as tx:
            return _create(tx, campaign, actor)
    except KeyReusedError:
        raise
    except ConflictError:
        # Somebody else created it in the same moment: perhaps the very same.
        with store.begin() as tx:
            return _create(tx, campaign, actor)


def _create(tx: Transaction, new: r.Campaign, actor: str) -> tuple[r.Campaign, bool]:
    old = tx.campaigns.get(new.name)
    if old is not None:
        if old.request_hash == new.request_hash:
            return old, False
        raise KeyReusedError(
            f"There is a campaign {new.name!r} with another definition. Choose another name, or change its "
            "strategy."
        )
    queue_of(tx, new.queue)
    tx.campaigns.owner(new.owner)
    campaign = tx.campaigns.add(new)
    tx.campaigns.add_version(campaign.id, "problem", 1, campaign.problem, actor, "created")
    tx.campaigns.add_version(campaign.id, "strategy", 1, campaign.strategy, actor, "created")
    data = {"name": campaign.name}
    tx.events.add(
        [r.Event("campaign.created", actor, campaign_id=campaign.id, queue=campaign.queue, data=data)]
    )
    return campaign, True


def change_strategy(store: Store, name: str, strategy: Any, reason: str, actor: str) -> r.Campaign:
    """A new numbered version, with actor and reason."""
    read = Strategy.from_json(strategy)
    with store.begin() as tx:
        campaign = campaign_of(tx, name, lock=True)
        if campaign.state == "finished":
            raise ConflictError(f"Campaign {name!r} is finished: {campaign.reason}.")
        _check_fit(Problem.from_json(campaign.problem), read)
        version = campaign.strategy_version + 1
        campaign = replace(campaign, strategy=read.to_json(), strategy_version=version)
        tx.campaigns.save(campaign)
        tx.campaigns.add_version(campaign.id, "strategy", version, campaign.strategy, actor, reason)
        data = {"version": version, "reason": reason}
        tx.events.add([r.Event("campaign.strategy_changed", actor, campaign_id=campaign.id, data=data)])
    return campaign


def _check_fit(problem: Problem, strategy: Strategy) -> None:
    if problem.opaque and strategy.method != CALLER:
        raise InvalidError(
            "Opaque items are suggested by the caller.",
            errors=[
                FieldError(
                    "strategy.method", "must be caller for an opaque problem.", strategy.method, CALLER
                )
            ],
        )
    if strategy.method == BAYESIAN and not problem.objectives:
        raise InvalidError(
            "A problem without objectives cannot be optimised.",
            errors=[FieldError("problem.objectives", "must name an output to maximize or minimize.", None)],
        )


def _policy_errors(policy: QueuePolicy) -> list[FieldError]:
    low, high = LEASE_SECONDS
    wrong = []
    if not low <= policy.lease_seconds <= high:
        rule = f"{low:g} to {high:g} seconds"
        wrong.append(FieldError("lease_seconds", f"must be {rule}.", policy.lease_seconds, rule))
    allowed = [str(each) for each in LostLease]
    if policy.on_lost not in allowed:
        wrong.append(FieldError("on_lost", f"must be one of {', '.join(allowed)}.", policy.on_lost, allowed))
    if not 1 <= policy.max_attempts <= 1000:
        wrong.append(FieldError("max_attempts", "must be 1 to 1000.", policy.max_attempts, "1 to 1000"))
    return wrong
