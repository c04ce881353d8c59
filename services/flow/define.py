"""define: queues with their policies, campaigns with their problem and strategy."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from labqueue.errors import ConflictError, FieldError, InvalidError, KeyReusedError
from labqueue.policy import ATTEMPTS, LEASE_SECONDS
from labqueue.problem import Problem
from labqueue.states import LostLease
from labqueue.strategy import Strategy
from models.domain import agreement, design_fit
from models.domain import records as r
from models.domain.feasibility import conflict, feasible
from services.ports import Ids, Store, Transaction

from .pools import resolve, texts
from .shared import campaign_of, check_name, fingerprint, problem_of, queue_of, strategy_of

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
    check_together(problem, strategy)
    if not 0 < new.weight <= 1e6:
        raise InvalidError(errors=[FieldError("weight", "must be positive.", new.weight, "0 to 1,000,000")])
    if new.seed is not None and not 0 <= new.seed < SEED_LIMIT:
        rule = f"0 to {SEED_LIMIT - 1:,}"
        raise InvalidError(errors=[FieldError("seed", f"must be {rule}.", new.seed, rule)])
    check_feasible(problem)
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
    problem = resolve(tx, Problem.from_json(new.problem))
    check_together(problem, strategy_of(new), texts(tx, problem))  # by now a pool's columns are known
    new = replace(new, problem=problem.to_json())
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
        check_unfinished(campaign)
        problem = problem_of(campaign)
        check_together(problem, read, texts(tx, problem))
        campaign = with_strategy(tx, campaign, read, reason, actor)
        tx.campaigns.save(campaign)
    return campaign


def with_strategy(
    tx: Transaction, campaign: r.Campaign, strategy: Strategy, reason: str, actor: str
) -> r.Campaign:
    """The campaign with this strategy, to be saved; its version is written. The same one again changes nothing."""
    old = strategy_of(campaign)
    if strategy == old:
        return campaign
    version = campaign.strategy_version + 1
    body = strategy.to_json()
    tx.campaigns.add_version(campaign.id, "strategy", version, body, actor, reason)
    data = {"version": version, "reason": reason}
    event = r.Event("campaign.strategy_changed", actor, campaign_id=campaign.id, data=data)
    # Another kind of model is another way to see the same data: a training is due.
    other = (strategy.surrogate, strategy.kernel) != (old.surrogate, old.kernel)
    tx.events.add([replace(event, teaches=other)])
    return replace(campaign, strategy=body, strategy_version=version)


def check_unfinished(campaign: r.Campaign) -> None:
    if campaign.state == "finished":
        raise ConflictError(f"Campaign {campaign.name!r} is finished: {campaign.reason}. Resume it first.")


def check_together(problem: Problem, strategy: Strategy, texts: Collection[str] = ()) -> None:
    """Raises InvalidError that names everything in which the two do not agree; `texts` as of `agreement.check`."""
    wrong = [*agreement.check(problem, strategy, texts), *design_fit.check(problem, strategy)]
    if wrong:
        raise InvalidError("This strategy cannot be used on this problem.", errors=wrong)


_LOOSEN = "Loosen one of them, or widen the bounds of the parameters that they name."


def _contradiction(problem: Problem) -> str:
    rules = [str(each) for each in conflict(problem)]
    if not rules:
        return "contradict each other or the bounds."
    if len(rules) == 1:
        return f"hold one that no point within the bounds keeps: {rules[0]}."
    return f"hold some that contradict each other within the bounds: {'; '.join(rules)}."


def check_feasible(problem: Problem) -> None:
    if not feasible(problem):
        message = "No point satisfies all constraints of this problem within the bounds of its parameters."
        raise InvalidError(
            message, errors=[FieldError("problem.constraints", _contradiction(problem), hint=_LOOSEN)]
        )


def _policy_errors(policy: QueuePolicy) -> list[FieldError]:
    low, high = LEASE_SECONDS
    wrong = []
    if not low <= policy.lease_seconds <= high:
        rule = f"{low:g} to {high:.0f} seconds"
        wrong.append(FieldError("lease_seconds", f"must be {rule}.", policy.lease_seconds, rule))
    allowed = [str(each) for each in LostLease]
    if policy.on_lost not in allowed:
        wrong.append(FieldError("on_lost", f"must be one of {', '.join(allowed)}.", policy.on_lost, allowed))
    least, most = ATTEMPTS
    if not least <= policy.max_attempts <= most:
        rule = f"{least} to {most}"
        wrong.append(FieldError("max_attempts", f"must be {rule}.", policy.max_attempts, rule))
    return wrong
