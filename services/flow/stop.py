"""stop: a campaign whose stop rule holds is finished, and says why, with the figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from labqueue.problem import Problem
from labqueue.problem.expression import evaluate, parse
from labqueue.states import Outcome, State
from labqueue.strategy import CALLER, DESIGN, FILLING, LEARNER, Plateau, StopRules, Strategy
from models.domain import design_size
from models.domain import records as r
from models.domain.stopping import Progress, verdict
from models.space import counts
from services.ports import Store, Transaction

from . import designing
from .allowing import allowed
from .pools import features
from .shared import problem_of, strategy_of
from .steer import finish

#: Suggestions from one model and the same data that are looked through for the best gain.
_LOOKED = 20


def check(store: Store, campaign_id: int) -> str | None:
    """Finishes the campaign where a rule holds and returns the reason."""
    with store.begin() as tx:
        campaign = tx.campaigns.by_id(campaign_id)
        if campaign is None or campaign.state != "active" or why(tx, campaign) is None:
            return None
        campaign = tx.campaigns.lock(campaign.name)
        assert campaign is not None, "a campaign is never deleted"
        reason = why(tx, campaign) if campaign.state == "active" else None
        if reason is not None:
            finish(tx, campaign, reason, "janitor")
    return reason


def overtime(store: Store) -> list[int]:
    """Active campaigns whose hours are over: time alone ends them, no event says so."""
    with store.begin() as tx:
        return [each.id for each in tx.campaigns.all(state="active") if _over(tx, each)]


def ends(tx: Transaction, campaign: r.Campaign, suggestion: r.Suggestion) -> bool:
    """Is the campaign (locked) over with what this suggestion, which is stored, has found? Then it is finished."""
    if _waits(tx, campaign):
        return False
    reason = _holds(tx, campaign) or _used_up(campaign, suggestion)
    if reason is not None:
        finish(tx, campaign, reason, "suggester")
    return reason is not None


def why(tx: Transaction, campaign: r.Campaign) -> str | None:
    """The rules that hold and what they say now; None where they let it go on, or the campaign was finished, is resumed
    and nothing was completed since: then people have time to change what ended it."""
    return None if _waits(tx, campaign) else _holds(tx, campaign)


def _holds(tx: Transaction, campaign: r.Campaign) -> str | None:
    strategy = strategy_of(campaign)
    rules, problem = strategy.stop, problem_of(campaign)
    reason = None
    if rules != StopRules(when=rules.when):
        reason = verdict(rules, problem, _progress(tx, campaign, problem, strategy))
    return reason or _design_run(tx, campaign, strategy)


def _design_run(tx: Transaction, campaign: r.Campaign, strategy: Strategy) -> str | None:
    """A design that is all there is and fills a space was run; held points are waited for."""
    if designing.alone(tx, campaign, strategy) != 0 or tx.experiments.unfinished(campaign.id):
        return None
    return f"the design is complete: its {strategy.initial} points were run"


def _waits(tx: Transaction, campaign: r.Campaign) -> bool:
    if campaign.resumed_completed < 0:
        return False
    return tx.experiments.counts(campaign.id).get(State.COMPLETED, 0) <= campaign.resumed_completed


def _progress(tx: Transaction, campaign: r.Campaign, problem: Problem, strategy: Strategy) -> Progress:
    """Only what the rules that are set look at is read."""
    rules = strategy.stop
    measured: list[Mapping[str, float] | None] = []
    base = 0
    if rules.target is not None or rules.no_improvement is not None:
        known = tx.results.training(campaign.id, campaign.data_revision)
        rows = allowed(campaign, problem, sorted(known, key=lambda row: row.revision))
        measured = [None if row.outcome is Outcome.INFEASIBLE else row.outputs for row in rows]
        base = 0 if rules.no_improvement is None else _base(tx, campaign, problem, strategy, rows)
    learnt = rules.gain is not None or rules.plateau is not None
    gain, price = (None, None) if rules.gain is None else _gain(tx, campaign, problem, strategy)
    return Progress(
        completed=tx.experiments.counts(campaign.id).get(State.COMPLETED, 0),
        hours=_hours(tx, campaign),
        measured=measured,
        base=base,
        cost=None if rules.cost is None else _cost(tx, campaign, problem, strategy),
        designing=learnt and designing.running(tx, campaign, problem, strategy),
        gain=gain,
        price=price,
        metrics=() if rules.plateau is None else _metrics(tx, campaign, problem, strategy, rules.plateau),
    )


def _hours(tx: Transaction, campaign: r.Campaign) -> float:
    assert campaign.created_at is not None, "the store has given it one"
    return (tx.now() - campaign.created_at).total_seconds() / 3600


def _over(tx: Transaction, campaign: r.Campaign) -> bool:
    hours = strategy_of(campaign).stop.hours
    return hours is not None and _hours(tx, campaign) >= hours


def _cost(tx: Transaction, campaign: r.Campaign, problem: Problem, strategy: Strategy) -> float | None:
    if strategy.cost is None:
        return None
    done = tx.experiments.of_campaign(campaign.id, (State.COMPLETED,))
    return sum(_prices(tx, problem, strategy.cost, [each.planned or {} for each in done]))


def _prices(tx: Transaction, problem: Problem, cost: str, points: Sequence[Mapping[str, Any]]) -> list[float]:
    """What experiments at these points cost; one on a pool by the features of its row."""
    known = points if problem.pool is None else features(tx, problem, points)
    return [price(cost, each) for each in known]


def price(cost: str, point: Mapping[str, Any]) -> float:
    """What the experiment costs; a parameter that does not exist at this point counts as 0, as do a column of a pool
    that holds texts, and a cost that is below 0 there, no real number, or too large for one."""
    node = parse(cost)
    amounts = {
        name: 0.0 if isinstance(point.get(name), str) else point.get(name) or 0.0 for name in node.names
    }
    found = float(evaluate(node, {name: float(value) for name, value in amounts.items()}))
    return max(0.0, found) if math.isfinite(found) else 0.0


def _base(
    tx: Transaction,
    campaign: r.Campaign,
    problem: Problem,
    strategy: Strategy,
    rows: Sequence[r.TrainingRow],
) -> int:
    """How many of these rows, which are in their order, came in until the initial design was complete and what was
    staged before the last edit of the problem was run. A design alone and a caller choose from the first
    experiment on: theirs has no design to wait for."""
    alone = strategy.method in (DESIGN, CALLER)
    if not alone and designing.running(tx, campaign, problem, strategy):
        return len(rows)
    every = tx.experiments.of_campaign(campaign.id, tuple(State))
    before = {
        each.id
        for each in every
        if each.problem_version < campaign.problem_version or (each.origin == "design" and not alone)
    }
    return max((place for place, row in enumerate(rows, 1) if row.experiment_id in before), default=0)


def _gain(
    tx: Transaction, campaign: r.Campaign, problem: Problem, strategy: Strategy
) -> tuple[float | None, float | None]:
    """The most that the newest model expected of a candidate, and what that candidate costs. A suggestion that only
    filled up expects less: it came after those that were staged before it. Who stands in for a learner says nothing
    of what that one expects."""
    recent = tx.suggestions.recent(campaign.id, _LOOKED)
    found = [each for each in recent if each.gain is not None and not each.instead]
    same = [
        each
        for each in found
        if (each.model_version, each.data_revision) == (found[0].model_version, found[0].data_revision)
    ]
    if not same:
        return None, None
    best = max(same, key=lambda each: each.gain or 0.0)
    if strategy.cost is None:
        return best.gain, None
    whole = tx.suggestions.get(best.id)
    assert whole is not None, "a suggestion is never deleted"
    return best.gain, _prices(tx, problem, strategy.cost, [whole.candidates[0]["parameters"]])[0]


def _metrics(
    tx: Transaction, campaign: r.Campaign, problem: Problem, strategy: Strategy, rule: Plateau
) -> list[float]:
    """Of the last models that saw the whole design, oldest first, up to the first that does not say."""
    output = rule.output or next((each.output for each in problem.objectives), "")
    design = min(tx.experiments.drawn(campaign.id), design_size.size(problem, strategy))
    found: list[float] = []
    for model in tx.models.recent(campaign.id, rule.versions + 1):
        said = (model.metrics.get("outputs") or {}).get(output) or {}
        value = said.get(rule.metric)
        if model.rows < design or isinstance(value, bool) or not isinstance(value, (int, float)):
            break
        found.append(float(value))
    return found[::-1]


def _used_up(campaign: r.Campaign, suggestion: r.Suggestion) -> str | None:
    """Nothing is left to be run, nothing is in flight, and it was the strategy's own choice to find so."""
    # A learner of the user's own that finds nothing has failed: then it is for who stands in for it to say.
    taught = strategy_of(campaign).method == LEARNER
    if suggestion.brought or suggestion.in_flight or suggestion.snapshot["staged"]:
        return None
    if taught != bool(suggestion.instead):
        return None
    if suggestion.effort.get("cut"):
        return None
    problem, strategy = problem_of(campaign), strategy_of(campaign)
    if strategy.method == DESIGN and strategy.design.kind not in FILLING:
        return "the design is complete: all of its points were run"
    if problem.pool is not None:
        return f"the pool is used up: of its {problem.pool.rows} rows none is left to be run"
    if counts.endless(problem):
        return "no further point was found: the constraints leave next to nothing that was not run"
    return "the space is used up: no point is left that was not run"
