"""What a campaign's learning has to do next, decided from what is stored: the one rule for janitor and workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labqueue.states import Outcome, State
from labqueue.strategy import BAYESIAN, CALLER, DESIGN, SEQUENTIAL, Strategy
from models.domain import records as r
from models.domain import staging_depth
from models.domain.lifecycle import IN_FLIGHT, SPENT, WAITING
from models.domain.stopping import room
from services.ports import Transaction

from .shared import problem_of, strategy_of

#: A model of fewer accepted results than this says nothing yet.
FEWEST_ROWS = 3
#: Runs and suggestions that staging ahead goes by.
RECENT_RUNS, RECENT = 20, 5
#: Points that failed of which suggestions know.
FAILED = 100
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


def training_due(campaign: r.Campaign, job: r.Job, *, awaited: bool = False) -> bool:
    """Is there something to learn that no training has seen, successful or not? `awaited`: somebody asked for the
    model; where the caller chooses, nobody else needs one."""
    method = strategy_of(campaign).method
    if campaign.state == "finished" or not (method == BAYESIAN or (method == CALLER and awaited)):
        return False
    if campaign.accepted < FEWEST_ROWS:
        return False
    return campaign.data_revision > max(campaign.model_revision, job.done)


def wanted(tx: Transaction, campaign: r.Campaign, most: int | None = None) -> Want:
    """How many candidates the queue should get now. `most`: no more new ones than this, as of a design that ends."""
    strategy = strategy_of(campaign)
    if campaign.state != "active" or strategy.method == CALLER:
        return NOTHING
    queue = tx.queues.get(campaign.queue)
    if queue is None or queue.state == "draining":
        return NOTHING
    counts = tx.experiments.counts(campaign.id)
    bounds = (room(strategy.stop, sum(counts.get(state, 0) for state in SPENT)), most)
    left = min((each for each in bounds if each is not None), default=None)
    if strategy.mode == SEQUENTIAL:
        return _one_after_the_other(tx, campaign, counts, left)
    waiting = sum(counts.get(state, 0) for state in WAITING)
    whole = depth(tx, campaign, strategy, queue)
    fill = max(0, whole - waiting)
    fill = fill if left is None else min(fill, left)
    if fill and used_up(tx, campaign, counts):
        fill = 0
    if fill and staging_depth.short(waiting, whole):
        return Want(fill, 0)  # an instrument may come any moment; what is staged is looked at next
    return Want(fill, len(giving_way(tx, campaign)))


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


def giving_way(tx: Transaction, campaign: r.Campaign) -> list[r.Experiment]:
    """The suggester's unclaimed candidates in the order in which they would be claimed, where there is a model that has
    not judged all of them; the initial design keeps its place."""
    strategy = strategy_of(campaign)
    if strategy.method in (DESIGN, CALLER) or strategy.mode == SEQUENTIAL or campaign.model_version == 0:
        return []
    waiting = replaceable(tx, campaign)
    return [] if all(each.model_version >= campaign.model_version for each in waiting) else waiting


def failed(tx: Transaction, campaign: r.Campaign) -> list[r.Json]:
    """Points whose experiments were given up, the newest last: what failed time and again is likely to fail there and
    nearby, as what was reported to be infeasible is. Rows of a pool are known one by one: see `pools.in_vain`."""
    if problem_of(campaign).pool is not None:
        return []
    given_up = tx.experiments.of_campaign(campaign.id, (State.FAILED,))
    return [each.planned for each in given_up if each.planned is not None][-FAILED:]


def used_up(tx: Transaction, campaign: r.Campaign, counts: dict[State, int]) -> bool:
    """Did the last suggestion find no more points, and has nothing changed since that could give it some?"""
    found = tx.suggestions.recent(campaign.id, 1)
    if not found or found[0].brought >= found[0].asked or found[0].effort.get("cut"):
        return False
    last, flying = found[0], sum(counts.get(state, 0) for state in IN_FLIGHT)
    known = (last.data_revision, last.snapshot["strategy_version"])
    return (
        known == (campaign.data_revision, campaign.strategy_version)
        and flying == last.in_flight + last.brought
    )


def depth(tx: Transaction, campaign: r.Campaign, strategy: Strategy, queue: r.Queue) -> int:
    """How many experiments are to be staged ahead now."""
    if strategy.depth is not None:
        return strategy.depth
    return staging_depth.depth(
        _loads(tx, queue),
        tx.attempts.durations(campaign.id, RECENT_RUNS),
        _late(tx, campaign),
        tx.campaigns.share(campaign.id),
    )


def patience(tx: Transaction, campaign: r.Campaign) -> float | None:
    """Seconds that a suggestion may take: the strategy's deadline, and no longer than the instruments have work for.
    None where points must repeat, which no clock may cut."""
    strategy, queue = strategy_of(campaign), tx.queues.get(campaign.queue)
    if strategy.mode == SEQUENTIAL or queue is None:
        return None
    durations = tx.attempts.durations(campaign.id, RECENT_RUNS)
    waiting = tx.experiments.counts(campaign.id).get(State.STAGED, 0)
    return min(strategy.deadline, staging_depth.lasts(waiting, _loads(tx, queue), durations))


def _loads(tx: Transaction, queue: r.Queue) -> list[staging_depth.Load]:
    serving = tx.instruments.serving(queue.name, queue.lease_seconds)
    return [staging_depth.Load(each.holds, each.asks) for each in serving]


def _late(tx: Transaction, campaign: r.Campaign) -> float:
    """Seconds from a claim to the candidate that makes up for it, as suggesting took of late, at worst: one suggestion
    is under way, the next one brings it."""
    return 2 * max((each.seconds for each in tx.suggestions.recent(campaign.id, RECENT)), default=0.0)


def replaceable(tx: Transaction, campaign: r.Campaign) -> list[r.Experiment]:
    """Those whose place a better candidate may take, in the order in which they would be claimed; what a person, a
    script or a design staged, pinned or approved keeps it."""
    waiting = tx.experiments.of_campaign(campaign.id, WAITING)
    free = [
        each
        for each in waiting
        if each.origin == "suggester" and not each.pinned and each.approved_by is None
    ]
    return sorted(free, key=lambda each: (-each.priority, each.tag, each.id))
