"""edit: the problem of a running campaign gets a new numbered version; what was measured stays what it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from labqueue.errors import ConflictError, FieldError, InvalidError
from labqueue.problem import Problem
from labqueue.states import State
from labqueue.strategy import Strategy
from models.domain import records as r
from models.domain.editing import Used, check_edit, introduced, looks_back
from models.domain.lifecycle import WAITING, move
from services.ports import Store, Transaction

from .define import check_feasible, check_together, check_unfinished, with_strategy
from .placing import withdraw
from .pools import texts, with_pool
from .shared import campaign_of, changed, problem_of, strategy_of

#: Whose unclaimed points give way to an edit; what a person staged, pinned or approved waits for her.
CHOSEN = ("suggester", "design")


@dataclass(frozen=True)
class Outside:
    """An experiment that waits although the problem no longer allows it: a person staged, pinned or approved it."""

    experiment: r.Experiment
    errors: tuple[FieldError, ...]


@dataclass(frozen=True)
class Edited:
    campaign: r.Campaign
    superseded: tuple[r.Experiment, ...] = ()
    outside: tuple[Outside, ...] = ()


def change_problem(
    store: Store,
    name: str,
    problem: Any,
    reason: str,
    actor: str,
    *,
    strategy: Any = None,
    version: int | None = None,
) -> Edited:
    """A new numbered version, with actor and reason; the same problem again changes nothing.

    `strategy`: changed with it, where the present one does not fit. `version`: the one that was edited; another by
    now is a ConflictError. Raises InvalidError that names everything which a running campaign cannot change.
    """
    new = Problem.from_json(problem)
    wish = None if strategy is None else Strategy.from_json(strategy)
    check_feasible(new)
    with store.begin() as tx:
        return change_problem_in(tx, name, new, reason, actor, strategy=wish, version=version)


def change_problem_in(
    tx: Transaction,
    name: str,
    new: Problem,
    reason: str,
    actor: str,
    *,
    strategy: Strategy | None = None,
    version: int | None = None,
) -> Edited:
    """The same within a transaction, for a problem that can be kept at all (`check_feasible`)."""
    campaign = campaign_of(tx, name, lock=True)
    check_unfinished(campaign)
    old = problem_of(campaign)
    new = _same_pool(old, new)
    if version not in (None, campaign.problem_version) and new != old:
        raise ConflictError(
            f"The problem of campaign {name!r} is at version {campaign.problem_version} by now, not {version}. "
            "Look at it and edit that one."
        )
    used = strategy_of(campaign) if strategy is None else strategy
    check_together(new, used, texts(tx, new))
    if strategy is not None:
        campaign = with_strategy(tx, campaign, strategy, reason, actor)
    if new == old:
        tx.campaigns.save(campaign)
        return Edited(campaign)
    if looks_back(old, new):
        _check_past(tx, campaign, old, new)
    campaign = replace(campaign, problem=new.to_json(), problem_version=campaign.problem_version + 1)
    tx.campaigns.save(campaign)
    tx.campaigns.add_version(
        campaign.id, "problem", campaign.problem_version, campaign.problem, actor, reason
    )
    for parameter, value in introduced(old, new).items():
        tx.experiments.introduce(campaign.id, parameter, value)
    if set(old.output_names) - set(new.output_names):
        _wait_no_longer(tx, campaign, new, actor)
    superseded, outside = _hold_against(tx, campaign, new, reason, actor)
    data = {
        "version": campaign.problem_version,
        "reason": reason,
        "superseded": [each.code for each in superseded],
        "outside": [each.experiment.code for each in outside],
    }
    # The same results mean something else now: a training is due.
    event = r.Event("campaign.problem_changed", actor, campaign_id=campaign.id, data=data, teaches=True)
    tx.events.add([event])
    return Edited(campaign, tuple(superseded), tuple(outside))


def _same_pool(old: Problem, new: Problem) -> Problem:
    """A pool that is named alone is the one that the campaign has. Raises InvalidError as `with_pool`."""
    if old.pool is None or new.pool is None or new.pool.sha256 or new.pool.name != old.pool.name:
        return new
    return with_pool(new, old.pool)


def _check_past(tx: Transaction, campaign: r.Campaign, old: Problem, new: Problem) -> None:
    """Behind the locks of all experiments no result comes in that this edit would have to know."""
    experiments = tx.experiments.lock_of_campaign(campaign.id, tuple(State))
    used = Used(
        [each.planned for each in experiments if each.planned is not None],
        tx.results.reported(campaign.id),
        frozenset(tx.results.measured(campaign.id)),
    )
    wrong = check_edit(old, new, used)
    if wrong:
        raise InvalidError("The problem cannot change like this while the campaign runs.", errors=wrong)


def _wait_no_longer(tx: Transaction, campaign: r.Campaign, new: Problem, actor: str) -> None:
    """What was outstanding and is no output any more is waited for by nobody."""
    for each in tx.experiments.lock_of_campaign(campaign.id, (State.PARTIAL,)):
        left = tuple(name for name in each.outstanding if name in new.output_names)
        if left == each.outstanding:
            continue
        after = replace(each, outstanding=left)
        if not left:
            after = replace(after, state=move(each.state, State.COMPLETED), finished_at=tx.now())
        tx.experiments.save([after])
        reason = "what was outstanding is measured no longer"
        tx.events.add([changed(str(after.state), after, actor, reason=reason)])


def _hold_against(
    tx: Transaction, campaign: r.Campaign, new: Problem, reason: str, actor: str
) -> tuple[list[r.Experiment], list[Outside]]:
    """Waiting candidates that the new problem does not allow: suggestions end, those of people are named."""
    gone: list[r.Experiment] = []
    stay: list[Outside] = []
    why = f"outside the problem since its version {campaign.problem_version}: {reason}".rstrip(": ")
    for each in tx.experiments.lock_of_campaign(campaign.id, WAITING):
        wrong = [] if new.opaque else new.check_point(each.planned)
        if wrong and each.origin in CHOSEN and not each.pinned and each.approved_by is None:
            ended = replace(each, state=move(each.state, State.SUPERSEDED), finished_at=tx.now())
            gone.append(replace(ended, held_reason=why))
        elif wrong:
            stay.append(Outside(each, tuple(wrong)))
    _end(tx, gone, why, actor)
    return gone, stay


def _end(tx: Transaction, gone: Sequence[r.Experiment], reason: str, actor: str) -> None:
    if gone:
        tx.experiments.save(gone)
        tx.events.add([changed("superseded", each, actor, reason=reason) for each in gone])
        withdraw(tx, gone)
