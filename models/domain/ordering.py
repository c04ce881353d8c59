"""The stored order: start-time fair queueing over owners, then campaigns, by weight.

Each staged experiment gets a tag, the virtual time at which it would start if every flow had its share
(Goyal, Vin, Cheng: Start-time Fair Queuing, SIGCOMM 1996). Claims take (priority desc, tag, id). A campaign's
rate is its owner's weight times its own share among the owner's unfinished campaigns on that queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Flow:
    """One campaign's claim on a queue. Weights are positive."""

    campaign_id: int
    owner: str
    owner_weight: float
    weight: float
    finish_tag: float


def rate(flows: Iterable[Flow], campaign_id: int) -> float:
    """The share of the campaign: experiments per unit of virtual time."""
    every = list(flows)
    mine = next(flow for flow in every if flow.campaign_id == campaign_id)
    siblings = sum(flow.weight for flow in every if flow.owner == mine.owner)
    return mine.owner_weight * mine.weight / siblings


def stamp(
    flows: Sequence[Flow], campaign_id: int, head: float | None, count: int
) -> tuple[list[float], float]:
    """Tags for `count` experiments staged now, and the campaign's new finish tag.

    `head` is the tag that is served next. An idle queue's virtual time is the largest finish tag that any of its
    flows reached, so that a flow which was away gains nothing and owes nothing.
    """
    mine = next(flow for flow in flows if flow.campaign_id == campaign_id)
    virtual = head if head is not None else max(flow.finish_tag for flow in flows)
    start = max(virtual, mine.finish_tag)
    step = 1.0 / rate(flows, campaign_id)
    return [start + step * number for number in range(count)], start + step * count


def rerank(tags: Sequence[float], ranks: Sequence[int]) -> list[float]:
    """Permutes a campaign's own tags: item i gets the tag of rank `ranks[i]` (0: the first). Others lose nothing."""
    ordered = sorted(tags)
    return [ordered[rank] for rank in ranks]
