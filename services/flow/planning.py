"""What a campaign's learning has to do next, decided from what is stored: the one rule for janitor and workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labqueue.states import Outcome, State
from labqueue.strategy import BAYESIAN, CALLER, SEQUENTIAL
from models.domain import records as r
from models.domain.lifecycle import IN_FLIGHT, SPENT
from models.domain.stopping import room
from services.ports import Transaction

from .shared import strategy_of

#: A model of fewer accepted results than this says nothing yet.
FEWEST_ROWS = 3
#: Holders that died at one and the same revision before it is given up until something changes.
DEATHS = 3


@dataclass(frozen=True)
class Want:
    """`fill`: candidates that the queue lacks. `renew`: unclaimed candidates of an older model, which may give way
    to better ones."""

    fill: int
    renew: int

    @property
    def count(self) -> int:
        return self.fill + self.renew


NOTHING = Want(0, 0)


def training_due(campaign: r.Campaign, job: r.Job) -> bool:
    """Is there something to learn that no training has seen, successful or not?"""
    if campaign.state == "finished" or strategy_of(campaign).method != BAYESIAN:
        return False
    if campaign.accepted < FEWEST_ROWS:
        return False
    return campaign.data_revision > max(campaign.model_revision, job.done)


def wanted(tx: Transaction, campaign: r.Campaign) -> Want:
    """How many candidates the queue should get now."""
    strategy = strategy_of(campaign)
    if campaign.state != "active" or strategy.method == CALLER:
        return NOTHING
    queue = tx.queues.get(campaign.queue)
    if queue is None or queue.state == "draining":
        return NOTHING
    counts = tx.experiments.counts(campaign.id)
    left = room(strategy.stop, sum(counts.get(state, 0) for state in SPENT))
    if strategy.mode == SEQUENTIAL:
        return _one_after_the_other(tx, campaign, counts, left)
    waiting = counts.get(State.STAGED, 0) + counts.get(State.PROPOSED, 0)
    fill = max(0, strategy.depth - waiting)
    fill = fill if left is None else min(fill, left)
    return Want(fill, len(outdated(tx, campaign)))


def _one_after_the_other(
    tx: Transaction, campaign: r.Campaign, counts: dict[State, int], left: int | None
) -> Want:
    """One at a time, and only when every result so far was learnt (or could not be): a held one is waited for."""
    running = sum(counts.get(state, 0) for state in IN_FLIGHT)
    if running or left == 0 or training_due(campaign, tx.jobs.get(campaign.id, "train")):
        return NOTHING
    rows = tx.results.training(campaign.id, campaign.data_revision)
    return NOTHING if just_measured(tx, campaign, rows) else Want(1, 0)


def just_measured(tx: Transaction, campaign: r.Campaign, rows: Sequence[r.TrainingRow]) -> list[r.Experiment]:
    """Completed ones whose result has no number yet: no longer in flight, and not in the data (`rows`) either."""
    known = {row.experiment_id for row in rows}
    done = tx.experiments.of_campaign(campaign.id, (State.COMPLETED,))
    return [each for each in done if each.id not in known and each.outcome is not Outcome.SUSPECT]


def outdated(tx: Transaction, campaign: r.Campaign) -> list[r.Experiment]:
    """Staged candidates of the suggester that an older model chose; the initial design keeps its place."""
    strategy = strategy_of(campaign)
    if strategy.method != BAYESIAN or strategy.mode == SEQUENTIAL or campaign.model_version == 0:
        return []
    staged = tx.experiments.of_campaign(campaign.id, (State.STAGED,))
    return [each for each in staged if replaceable(each) and each.model_version < campaign.model_version]


def replaceable(experiment: r.Experiment) -> bool:
    """May a better candidate take its place? What a person, a script or a design staged keeps it."""
    return (
        experiment.state is State.STAGED
        and experiment.origin == "suggester"
        and not experiment.pinned
        and experiment.approved_by is None
    )
