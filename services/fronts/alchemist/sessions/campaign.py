"""A session's campaign: made with a queue of its own when it is first needed, and edited with the session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labqueue.problem import Problem
from labqueue.strategy import Strategy
from models.domain import records as r
from services.flow.define import NewCampaign, QueuePolicy, check_feasible, create_campaign, put_queue
from services.flow.edit import change_problem_in
from services.flow.shared import campaign_of
from services.ports import Ids, Store, Transaction

from .keeping import find, hold, save
from .kernels import kernel_of
from .problem import problem_of
from .session import Session

#: Nobody renews what a program for ALchemist has started. Silent for so long it is staged again, at most so often;
#: a result that comes later still counts.
LEASE_SECONDS, ATTEMPTS = 6 * 3600.0, 3


def strategy_for(session: Session) -> dict[str, Any]:
    """The caller chooses; a model is trained when it is asked for, with the kernel that was named."""
    return {"method": "caller", "kernel": kernel_of(session.model)}


def ensure(store: Store, ids: Ids, session_id: str, actor: str) -> tuple[Session, r.Campaign]:
    """The session and its campaign. Raises Refusal (404, or without variables) and InvalidError."""
    with store.begin() as tx:
        session, campaign = find(tx, session_id), tx.campaigns.get(session_id)
    if campaign is None:
        make(store, ids, session, actor)
        # Variables may have changed meanwhile, while there was no problem to be changed with them.
        session = change(store, session_id, lambda each: each, "as the session is", actor)
        with store.begin() as tx:
            campaign = campaign_of(tx, session_id)
    return session, campaign


def make(store: Store, ids: Ids, session: Session, actor: str) -> r.Campaign:
    """A campaign and a queue of the session's name. Raises Refusal and InvalidError."""
    problem = problem_of(session)
    put_queue(store, session.id, QueuePolicy(LEASE_SECONDS, "requeue", ATTEMPTS), actor)
    owner = actor.partition(":")[2] or actor
    new = NewCampaign(session.id, session.id, owner, problem, strategy_for(session))
    return create_campaign(store, ids, new, actor)[0]


def change(
    store: Store, session_id: str, edit: Callable[[Session], Session], reason: str, actor: str
) -> Session:
    """The session as `edit` makes it (which may raise Refusal), and its campaign's problem with it, or neither.

    Raises InvalidError where no point is left, or where what was measured forbids the change.
    """
    with store.begin() as tx:
        return change_in(tx, session_id, edit, reason, actor)


def change_in(
    tx: Transaction, session_id: str, edit: Callable[[Session], Session], reason: str, actor: str
) -> Session:
    """The same within a transaction."""
    session = save(tx, edit(hold(tx, session_id)))
    campaign = tx.campaigns.get(session_id)
    if campaign is not None and session.variables:
        goals = {each["output"]: each["goal"] for each in campaign.problem["objectives"]}
        problem = Problem.from_json(problem_of(session, goals))
        check_feasible(problem)
        strategy = Strategy.from_json(strategy_for(session))
        change_problem_in(tx, session_id, problem, reason, actor, strategy=strategy)
    return session
