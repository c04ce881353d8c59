"""stop: a campaign whose stop rule holds is finished, and says why, with the figures."""

from __future__ import annotations

from labqueue.states import Outcome, State
from models.domain import records as r
from models.domain.stopping import Progress, verdict
from services.ports import Store, Transaction

from .shared import problem_of, strategy_of
from .steer import finish


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


def why(tx: Transaction, campaign: r.Campaign) -> str | None:
    """The rule that holds now; None where none does."""
    rules = strategy_of(campaign).stop
    if rules.budget is None and rules.target is None and rules.no_improvement is None:
        return None
    completed = tx.experiments.counts(campaign.id).get(State.COMPLETED, 0)
    rows = sorted(tx.results.training(campaign.id, campaign.data_revision), key=lambda row: row.revision)
    problem = problem_of(campaign)
    scored = [(problem.score(row.outputs), row.outcome) for row in rows]
    # One whose objective is still outstanding improves nothing and fails to improve nothing.
    scores = [score for score, outcome in scored if score is not None or outcome is Outcome.INFEASIBLE]
    return verdict(rules, Progress(completed, scores))
