"""refreshing: a campaign's unclaimed candidates get the order that a fresh model gives them, in one transaction.

What the model kept is brought up to date and may move; what it gave up ends as superseded and hands its place on to
what is better. The places are the campaign's own: other campaigns of the queue lose and gain nothing. Whatever was
claimed, approved, pinned or cancelled while the model was at work is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from labqueue.problem import Problem
from labqueue.states import State
from models.domain import records as r
from models.domain.lifecycle import move
from models.domain.nearness import drop_nearest
from models.domain.ordering import rerank
from models.domain.replacing import replace
from services.ports import Chosen, Transaction

from .placing import Draft, announce, further_tags, place, withdraw
from .shared import changed, problem_of
from .snapshots import expected_json


@dataclass(frozen=True)
class Fresh:
    """What a model answered, and what it knew.

    waiting     the candidates that it could keep or give up, in the order in which they were staged
    candidates  its answer, in the order in which they should be claimed
    room        for so many beside those that hand on their places
    known       accepted results that it knew
    """

    waiting: Sequence[r.Experiment]
    candidates: Sequence[Chosen]
    room: int
    model_version: int
    known: int


#: A candidate in its place: an experiment that stays, or None for one that is to be staged.
Line = list[tuple[Chosen, "r.Experiment | None"]]


def refresh(
    tx: Transaction,
    campaign: r.Campaign,
    fresh: Fresh,
    draft: Callable[[Chosen], Draft],
    *,
    batch: UUID,
    propose: bool,
) -> tuple[r.Campaign, list[r.Experiment]]:
    """The campaign (locked before, saved here) and the experiments that are new. Where nothing moved, nothing is
    announced but what is new."""
    meant = {each.id for each in fresh.waiting}
    free = {each.id: each for each in tx.experiments.lock_replaceable(campaign.id) if each.id in meant}
    kept = {each.staged for each in fresh.candidates}
    gone = [
        free[each.id] for place, each in enumerate(fresh.waiting) if each.id in free and place not in kept
    ]
    line = _line(problem_of(campaign), fresh, free, len(gone))
    campaign, more = further_tags(tx, campaign, max(0, len(line) - len(free)))
    tags = rerank([*(each.tag for each in free.values()), *more], range(len(line)))
    moved = _bring_up_to_date(tx, fresh, line, tags)
    _supersede(tx, fresh, gone)
    campaign, placed = place(
        tx,
        campaign,
        [draft(chosen) for chosen, old in line if old is None],
        "suggester",
        batch=batch,
        propose=propose,
        tags=[tag for (_, old), tag in zip(line, tags, strict=True) if old is None],
        quiet=moved,
    )
    if moved:
        new = iter(placed)
        _tell_order(tx, campaign, [next(new) if old is None else old for _, old in line], batch)
    return campaign, placed


def _line(problem: Problem, fresh: Fresh, free: Mapping[int, r.Experiment], gone: int) -> Line:
    """The answer without what was taken meanwhile, and no longer than there is room for.

    For each candidate that was given up and taken all the same, the new one nearest to it is dropped: the model did
    not know that point as pending, so that one may repeat it.
    """
    kept = {each.staged for each in fresh.candidates}
    taken = [
        each.planned for place, each in enumerate(fresh.waiting) if each.id not in free and place not in kept
    ]
    new = [number for number, each in enumerate(fresh.candidates) if each.staged is None]
    good = drop_nearest(problem, [fresh.candidates[number].parameters for number in new], taken)
    staying = {new[place] for place in good[: fresh.room + gone]}
    line: Line = []
    for number, each in enumerate(fresh.candidates):
        if each.staged is None:
            line += [(each, None)] if number in staying else []
        elif fresh.waiting[each.staged].id in free:
            line.append((each, free[fresh.waiting[each.staged].id]))
    return line


def _bring_up_to_date(tx: Transaction, fresh: Fresh, line: Line, tags: Sequence[float]) -> bool:
    """Writes what the fresh model thinks of those that stay. Did any of them move?"""
    before = [(old, chosen, tag) for (chosen, old), tag in zip(line, tags, strict=True) if old is not None]
    after = [
        replace(
            old,
            tag=tag,
            reason=chosen.reason,
            expected=expected_json(chosen.expected),
            model_version=fresh.model_version,
            known=fresh.known,
        )
        for old, chosen, tag in before
    ]
    tx.experiments.save([new for new, (old, _, _) in zip(after, before, strict=True) if new != old])
    return any(old.tag != tag for old, _, tag in before)


def _supersede(tx: Transaction, fresh: Fresh, gone: Sequence[r.Experiment]) -> None:
    now = tx.now()
    ended = [replace(each, state=move(each.state, State.SUPERSEDED), finished_at=now) for each in gone]
    tx.experiments.save(ended)
    tx.events.add(
        [
            changed(
                "superseded",
                each,
                "suggester",
                model_version=fresh.model_version,
                reason=_why(each, fresh),
            )
            for each in ended
        ]
    )
    if ended:
        withdraw(tx, ended)


def _why(gone: r.Experiment, fresh: Fresh) -> str:
    learnt = fresh.known - (gone.known or 0)
    text = f"model {fresh.model_version} knows {learnt} more result{'' if learnt == 1 else 's'} and prefers others"
    first = next((each.expected for each in fresh.candidates if each.staged is None), {})
    name = next((each for each in gone.expected if each in first), None)
    if name is None:
        return text
    mean, sd = first[name]
    old: Any = gone.expected[name]
    return (
        f"{text}: of the first of them it expects {name} {mean:.4g} ± {sd:.2g}; "
        f"of this one {old['mean']:.4g} ± {old['sd']:.2g} was expected"
    )


def _tell_order(tx: Transaction, campaign: r.Campaign, line: Sequence[r.Experiment], batch: UUID) -> None:
    """Subscribers and readers of the events see the whole new order."""
    announce(tx, campaign, line, batch)
    data = {"order": [each.code for each in line]}
    tx.events.add(
        [r.Event("campaign.reordered", "suggester", campaign_id=campaign.id, queue=campaign.queue, data=data)]
    )
