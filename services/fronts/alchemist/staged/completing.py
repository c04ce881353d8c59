"""Completing the whole pending list at once, outputs by position: only for whoever knows the list as it is now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labqueue.states import State
from models.domain import records as r
from models.domain.lifecycle import WAITING
from services.flow.shared import fingerprint
from services.fronts.alchemist.experiments import items, rows
from services.fronts.alchemist.experiments.results import Measured, record_in
from services.fronts.alchemist.experiments.rows import noise_of, outputs_of
from services.fronts.alchemist.refusals import VALUE, Refusal
from services.fronts.alchemist.sessions.keeping import hold
from services.fronts.alchemist.sessions.locking import require
from services.fronts.alchemist.sessions.opening import Act
from services.fronts.alchemist.sessions.session import Session
from services.ports import Transaction

from . import beliefs, unpaired

Json = dict[str, Any]

DONE = "Staged experiments completed and added to dataset"
NOTHING = "No staged experiments to complete"
RUNNING = "Batch complete is unavailable while items are running. Use POST /experiments/queue/{id}/complete instead."
#: The caller has never looked: its request of before, sent again, and the next list's cannot be told apart.
TWICE = (
    "You have completed another list with the very same outputs, and you have not read this one. Nothing was completed. "
    "Read GET /experiments/staged first."
)


@dataclass(frozen=True)
class Completion:
    """`outputs` in the order of the list: numbers, or objects for several targets. `noises`: variances."""

    outputs: Sequence[Any]
    noises: Sequence[Any] | None = None
    iteration: int | None = None
    reason: str | None = None

    @property
    def about(self) -> Json:
        return {"noises": self.noises, "iteration": self.iteration, "reason": self.reason}


def complete(act: Act, asked: Completion) -> Json:
    """All items that are pending, or none. Raises Refusal (400 for other numbers of outputs; 409 where the list is
    not the one that this caller knows: the outputs are kept as unpaired)."""
    with act.store.begin() as tx:
        session = hold(tx, act.session_id)
        require(tx, act.session_id, act.visitor, act.token)
        answer = _complete(tx, act, session, asked)
    if isinstance(answer, Refusal):
        raise answer  # behind the commit: what it says was kept is kept
    return answer


def _complete(tx: Transaction, act: Act, session: Session, asked: Completion) -> Json | Refusal:
    campaign = tx.campaigns.lock(session.id)
    listed = [] if campaign is None else tx.experiments.lock_of_campaign(campaign.id, WAITING)
    ids = [each.id for each in listed]
    known = beliefs.of(tx, session.id, act.visitor)
    request = fingerprint([list(asked.outputs), asked.about])
    again = known.done is not None and known.done["request"] == request
    if not ids and not asked.outputs:
        return _answer(tx, session, NOTHING, 0)
    if not known.belief.is_of(ids) or not ids:
        if known.done is not None and again:
            return dict(known.done["answer"])  # its answer was lost
        if not known.belief.is_of(ids) or known.emptied:
            return _changed(tx, act, campaign, known.belief, ids, asked)
        kept = _keep(tx, act, asked, "nothing was staged")
        return {**_answer(tx, session, NOTHING, 0), "unpaired": kept}
    if again and known.borrowed:
        return _refused(tx, act, asked, TWICE)
    results = _results(session, asked, len(ids))
    record_in(tx, act.ids, session, list(zip(listed, results, strict=True)), act.actor)
    answer = _answer(tx, session, DONE, len(ids))
    done = [items.item_id(session.id, each) for each in ids]
    unpaired.settle(tx, session.id, act.visitor, asked.outputs, done)
    beliefs.has_completed(tx, session.id, act.visitor, ids, request, answer)
    return answer


def _results(session: Session, asked: Completion, count: int) -> list[Measured]:
    if len(asked.outputs) != count:
        raise Refusal(
            f"Number of outputs ({len(asked.outputs)}) must match number of staged experiments ({count})",
            VALUE,
        )
    noises = asked.noises
    if noises is not None and len(noises) != count:
        raise Refusal(
            f"Number of noise values ({len(noises)}) must match number of staged experiments ({count})", VALUE
        )
    return [
        Measured(
            outputs_of(session, output, "each output"),
            noise_of(session, noises[place] if noises is not None else None),
            iteration=asked.iteration,
            reason=asked.reason,
        )
        for place, output in enumerate(asked.outputs)
    ]


def _changed(
    tx: Transaction,
    act: Act,
    campaign: r.Campaign | None,
    belief: beliefs.Belief,
    ids: Sequence[int],
    asked: Completion,
) -> Refusal:
    """The list that the outputs are for is not the list that is there."""
    running = []
    if campaign is not None:
        running = tx.experiments.of_campaign(campaign.id, (State.LEASED, State.HELD))
    begun = [each.id for each in running]
    if begun and belief.is_of([*ids, *begun]):
        why = RUNNING
    else:
        why = (
            f"The staged list has changed since you read it: it had {belief.count} experiments, now it has "
            f"{len(ids)}. Nothing was completed. Read GET /experiments/staged again, or complete each item by its id."
        )
    return _refused(tx, act, asked, why)


def _refused(tx: Transaction, act: Act, asked: Completion, why: str) -> Refusal:
    if not asked.outputs:
        return Refusal(why, status=409)
    kept = _keep(tx, act, asked, why)
    return Refusal(f"{why} Your outputs are kept: see GET /experiments/unpaired, name {kept}.", status=409)


def _keep(tx: Transaction, act: Act, asked: Completion, why: str) -> str:
    return unpaired.keep(tx, act.session_id, act.visitor, asked.outputs, {**asked.about, "why": why})


def _answer(tx: Transaction, session: Session, message: str, added: int) -> Json:
    return {"message": message, "n_added": added, "n_experiments": rows.count(tx, session.id)}
