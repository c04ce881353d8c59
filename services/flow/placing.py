"""Puts experiments into a queue's stored order and announces them; the one way in for people and suggesters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labqueue.problem import ROW
from labqueue.states import State
from models.domain import leasing
from models.domain import records as r
from models.domain.ordering import REST, Flow, stamp
from models.domain.replacing import replace
from services.ports import Transaction

from .shared import changed, problem_of


@dataclass(frozen=True)
class Draft:
    """An experiment before it has a number, a code and a place."""

    planned: Any
    origin: str
    reason: str = ""
    payload: Any = None
    priority: int = 0
    pinned: bool = False
    expires_at: Any = None
    expected: Any = None
    suggestion_id: int | None = None
    model_version: int = 0
    known: int | None = None


def place(
    tx: Transaction,
    campaign: r.Campaign,
    drafts: Sequence[Draft],
    actor: str,
    *,
    batch: Any = None,
    propose: bool = False,
    tags: Sequence[float] | None = None,
    quiet: bool = False,
) -> tuple[r.Campaign, list[r.Experiment]]:
    """Stages (or proposes) `drafts` in their order, at these `tags` or behind all that is staged. The campaign must
    be locked; it comes back with its next number and finish tag, saved. `quiet`: the caller announces them."""
    if tags is None:
        campaign, tags = further_tags(tx, campaign, len(drafts))
    now = tx.now()
    of_pool = problem_of(campaign).pool is not None
    state = State.PROPOSED if propose else State.STAGED
    placed = tx.experiments.add(
        [
            r.Experiment(
                id=0,
                campaign_id=campaign.id,
                campaign=campaign.name,
                queue=campaign.queue,
                number=campaign.next_number + place,
                code=f"{campaign.name}-{campaign.next_number + place}",
                state=state,
                priority=draft.priority,
                tag=tag,
                origin=draft.origin,
                reason=draft.reason,
                problem_version=campaign.problem_version,
                planned=draft.planned,
                payload=draft.payload,
                row=draft.planned[ROW] if of_pool else None,
                batch=batch,
                suggestion_id=draft.suggestion_id,
                model_version=draft.model_version,
                known=draft.known,
                expected=draft.expected or {},
                pinned=draft.pinned,
                ready=campaign.state == "active",
                expires_at=draft.expires_at,
                staged_at=None if propose else now,
            )
            for place, (draft, tag) in enumerate(zip(drafts, tags, strict=True))
        ]
    )
    campaign = replace(campaign, next_number=campaign.next_number + len(drafts))
    tx.campaigns.save(campaign)
    tx.events.add([changed(str(state), each, actor) for each in placed])
    if not quiet:
        announce(tx, campaign, placed, batch)
    return campaign, placed


def further_tags(tx: Transaction, campaign: r.Campaign, count: int) -> tuple[r.Campaign, list[float]]:
    """So many places behind all that is staged, and the campaign with the finish tag that follows from them."""
    if count == 0:
        return campaign, []
    flows = [
        Flow(each.id, each.owner, weight, each.weight, each.finish_tag, wants)
        for each, weight, wants in tx.campaigns.flows(campaign.queue, campaign.owner, REST)
    ]
    tags, finish = stamp(flows, campaign.id, tx.experiments.head_tag(campaign.queue), count)
    return replace(campaign, finish_tag=finish), tags


def announce(
    tx: Transaction, campaign: r.Campaign, experiments: Sequence[r.Experiment], batch: Any = None
) -> None:
    """Writes the outbox entry that tells subscribers what can be claimed now."""
    ready = [each for each in experiments if each.state is State.STAGED and each.ready]
    if not ready:
        return
    body = {
        "batch": str(batch) if batch else None,
        "campaign": campaign.name,
        "model_version": max(each.model_version for each in ready),
        "data_revision": campaign.data_revision,
        "experiments": [
            {"id": each.id, "code": each.code, "priority": each.priority, "parameters": each.planned}
            for each in ready
        ],
    }
    tx.outbox.add([r.Published(campaign.queue, "batch", body)])


def withdraw(tx: Transaction, experiments: Sequence[r.Experiment]) -> None:
    """Tells subscribers what can be claimed no longer."""
    for queue in sorted({each.queue for each in experiments}):
        ids = [each.id for each in experiments if each.queue == queue]
        tx.outbox.add([r.Published(queue, "withdrawn", {"experiments": ids})])


def come_back(tx: Transaction, experiments: Sequence[r.Experiment]) -> None:
    """Experiments that are saved and back in their place are announced again; those of a campaign that was
    finished while they were away end like the rest of it."""
    for campaign_id in sorted({each.campaign_id for each in experiments}):
        campaign = tx.campaigns.by_id(campaign_id)
        assert campaign is not None, "an experiment's campaign is never deleted"
        mine = [each for each in experiments if each.campaign_id == campaign_id]
        if campaign.state == "finished":
            end_with(tx, campaign, mine, "labqueue")
        else:
            announce(tx, campaign, mine)


def end_with(tx: Transaction, campaign: r.Campaign, waiting: Sequence[r.Experiment], actor: str) -> None:
    """Cancels what waits (staged or proposed, locked) in a campaign that is finished."""
    ended = [replace(leasing.cancel(each), finished_at=tx.now()) for each in waiting]
    tx.experiments.save(ended)
    reason = f"campaign finished: {campaign.reason}"
    tx.events.add([changed("cancelled", each, actor, reason=reason) for each in ended])
    if ended:
        withdraw(tx, ended)
