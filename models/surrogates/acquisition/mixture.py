"""Which acquisition function of a mixture chooses which candidate."""

from __future__ import annotations

import math
from collections.abc import Sequence

from labqueue.strategy import Share
from models.surrogates.seeds import seed_for

#: Multiples of these are spread evenly over [0, 1) (Kronecker sequences of two dimensions).
_EACH_ASK, _EACH_SLOT = (math.sqrt(5) - 1) / 2, math.sqrt(2) - 1


def pick(shares: Sequence[Share], seed: int, number: int, slot: int) -> str:
    """A pure function of the campaign's seed, the ask's number and the place in it; over a campaign each function
    chooses its share, as evenly as can be."""
    place = (seed_for("mixture", seed) / 2**31 + number * _EACH_ASK + slot * _EACH_SLOT) % 1.0
    for each in shares[:-1]:
        place -= each.share
        if place < 0:
            return each.acquisition
    return shares[-1].acquisition
