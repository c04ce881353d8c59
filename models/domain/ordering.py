"""The stored order: start-time fair queueing over owners, then campaigns, by weight.

Each staged experiment gets a tag, the virtual time at which it would start if every flow had its share
(Goyal, Vin, Cheng: Start-time Fair Queuing, SIGCOMM 1996). Claims take (priority desc, tag, id). A campaign's
rate is its owner's weight times its own share among the owner's campaigns on that queue that want their part:
active ones of which something waits or runs, or did so a short while ago. Without the while, of two campaigns that are
filled one after the other the first would be stamped as if it were alone, and together they would have more than their
owner's weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Seconds after its last staging that a campaign with nothing staged or leased still wants its part.
REST = 86_400.0


@dataclass(frozen=True)
class Flow:
    """One campaign's claim on a queue. Weights are positive. `wants`: it counts among its owner's campaigns."""

    campaign_id: int
    owner: str
    owner_weight: float
    weight: float
    finish_tag: float
    wants: bool = True


def rate(flows: Iterable[Flow], campaign_id: int) -> float:
    """The share of the campaign: experiments per unit of virtual time."""
    every = list(flows)
    mine = next(flow for flow in every if flow.campaign_id == campaign_id)
    siblings = sum(flow.weight for flow in every if flow.owner == mine.owner and (flow.wants or flow is mine))
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
