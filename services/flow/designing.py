"""How far a campaign's initial design is, and where a design that is all there is ends."""

from __future__ import annotations

from labqueue.problem import Problem
from labqueue.states import State
from labqueue.strategy import DESIGN, FILLING, Strategy
from models.domain import records as r
from models.domain.design_size import size
from models.domain.lifecycle import IN_FLIGHT
from services.ports import Transaction

from .shared import problem_of

#: Of a design that is still being run. Held ones count for nothing: a person may take weeks to decide.
_TO_COME = tuple(state for state in IN_FLIGHT if state is not State.HELD)


def left(tx: Transaction, campaign: r.Campaign, strategy: Strategy) -> int:
    """How many points of the initial design are to come. Where constraints leave it fewer than it should have, it is
    over with the first suggestion that brings fewer than were wanted."""
    missing = size(problem_of(campaign), strategy) - tx.experiments.drawn(campaign.id)
    last = tx.suggestions.recent(campaign.id, 1) if missing > 0 else []
    short = last and last[0].brought < last[0].asked and not last[0].effort.get("cut")
    return 0 if short else max(0, missing)


def running(tx: Transaction, campaign: r.Campaign, problem: Problem, strategy: Strategy) -> bool:
    """Is there a point of the initial design to come? Where constraints leave it fewer points than it should have,
    the first choice of a model ends it."""
    if any(each.origin == "design" for each in tx.experiments.of_campaign(campaign.id, _TO_COME)):
        return True
    if tx.experiments.drawn(campaign.id) >= size(problem, strategy):
        return False
    every = tx.experiments.of_campaign(campaign.id, tuple(State))
    return not any(each.origin == "suggester" for each in every)


def alone(tx: Transaction, campaign: r.Campaign, strategy: Strategy) -> int | None:
    """How many points are to come of a design that is all there is and fills a space: it has `initial` points where no
    budget says how many; what an edit threw out is made up for. None: its end is found otherwise, as that of a
    design with points of its own is by asking it for more."""
    if strategy.method != DESIGN or strategy.design.kind not in FILLING or strategy.stop.budget is not None:
        return None
    gone = tx.experiments.of_campaign(campaign.id, (State.SUPERSEDED,))
    drawn = tx.experiments.drawn(campaign.id) - sum(each.origin == "design" for each in gone)
    return max(0, strategy.initial - drawn)
