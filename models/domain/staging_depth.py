"""How many experiments a campaign keeps staged: so many that no instrument finds its queue empty, and no more.

What is staged was decided with what was known then, so each one that waits needlessly is a worse choice. Between a
claim and the candidates that replace it lies the time to suggest. What instruments may take meanwhile:

    at once     each takes what it last asked for: one run, a plate, the free slots of a cluster
    meanwhile   runs that end before the queue is filled again are followed by others. Slots end independently of
                each other, so their number is about Poisson distributed (as in an M/G/infinity queue), and one that is
                seldom reached is kept; a slot cannot begin more runs than the shortest of them allow

Campaigns that feed one queue keep their share of that. A claim is made up for by the suggestion after the one that is
under way; no training is waited for. Pure arithmetic on figures that the store has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Staged while nobody has served the queue yet, or nothing is known of how long runs take.
START = 4
#: Durations that must be known before they are believed.
FEWEST = 3
#: The share of the shortest durations that counts as short, and the share of claims that may find the queue empty.
SHORT, EMPTY = 0.1, 0.005
#: Seconds for commands and commits, beside suggesting.
OVERHEAD = 0.5
#: What a choice is worth waiting for: seconds, and a share of a run.
LEAST, WORTH = 1.0, 0.01
#: No instrument is trusted to need more than this.
MOST = 1000


@dataclass(frozen=True)
class Load:
    """An instrument that serves the queue: runs that it holds, and how many it last asked for at once."""

    holds: int
    asks: int


def depth(loads: Sequence[Load], durations: Sequence[float], late: float, share: float = 1.0) -> int:
    """Experiments to be staged ahead; at least 1.

    durations  of recent runs, from claim to result, in seconds
    late       seconds from a claim to the candidate that makes up for it
    share      of the queue that is this campaign's, above 0 and up to 1
    """
    at_once = sum(each.asks for each in loads)
    if not loads or len(durations) < FEWEST:
        return _bounded(max(START, at_once * share))
    late += OVERHEAD
    short = max(_quantile(durations, SHORT), 1e-3)
    usual = max(math.fsum(durations) / len(durations), short)
    slots = sum(max(each.holds, each.asks) for each in loads)
    expected = slots * late / usual
    meanwhile = min(_seldom_reached(expected), slots * math.floor(1 + late / short))
    return _bounded(max(at_once, meanwhile) * share)


def lasts(waiting: int, loads: Sequence[Load], durations: Sequence[float]) -> float:
    """Seconds that a suggestion may take before an instrument waits for it more than WORTH of its runs; inf where
    nothing is known of how long they are. At least LEAST, so that something can be chosen."""
    slots = sum(max(each.holds, each.asks) for each in loads)
    if not slots or len(durations) < FEWEST:
        return math.inf
    free = sum(max(0, each.asks - each.holds) for each in loads)
    usual = math.fsum(durations) / len(durations)
    return max(LEAST, WORTH * usual, (waiting - free + 1) * usual / slots)


def short(waiting: int, wanted: int) -> bool:
    """Is filling the queue more urgent than putting it in order?"""
    return waiting < wanted / 2


def _bounded(wanted: float) -> int:
    return min(max(1, math.ceil(wanted - 1e-9)), MOST)


def _seldom_reached(expected: float) -> int:
    """The least number that a Poisson variable reaches with a probability of at most EMPTY."""
    if expected > 0.5 * MOST:
        return MOST
    number, chance = 0, math.exp(-expected)
    reached = 1.0
    while reached > EMPTY:
        reached -= chance
        number += 1
        chance *= expected / number
    return number


def _quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
