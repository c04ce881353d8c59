"""ALchemist's names of acquisition strategies, in Labqueue's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labqueue.strategy import ACQUISITIONS
from services.fronts.alchemist.refusals import VALUE, Refusal

IMPROVEMENT, NOISY, BOUND, FRONT, SPREAD = "log_ei", "log_nei", "ucb", "log_nehvi", "uncertainty"
#: EI is scored as its logarithm, which ranks points the same. The probability of improvement, which says nothing of how
#: much, and `gp_hedge`, which bets on several, become the nearest that does: improvement, and a share of each.
_MEANT: Mapping[str, tuple[str, ...]] = {
    "EI": (IMPROVEMENT,),
    "LogEI": (IMPROVEMENT,),
    "PI": (IMPROVEMENT,),
    "LogPI": (IMPROVEMENT,),
    "UCB": (BOUND,),
    "gp_hedge": (IMPROVEMENT, BOUND),
    "qEI": (NOISY,),
    "qUCB": (BOUND,),
    "qIPV": (SPREAD,),
    "qNIPV": (SPREAD,),
    "qEHVI": (FRONT,),
    "qNEHVI": (FRONT,),
}
_LOWER = {name.lower(): each for name, each in _MEANT.items()} | {name: (name,) for name in ACQUISITIONS}
#: With several objectives a front is wanted, and what needs one score becomes what widens the front.
_OF_ONE_SCORE = (IMPROVEMENT, NOISY, BOUND, "knowledge_gradient")
#: Standard deviations of optimism where the caller names none.
KAPPA = 1.96
_LEAST = 1e-12  # no optimism: the best mean
#: What ALchemist takes where the caller names no margin.
XI = 0.01
#: What another function stands for.
_INSTEAD = {
    "pi": "expected improvement",
    "logpi": "expected improvement",
    "gp_hedge": "shares of expected improvement and of the upper bound",
}


def warnings(name: str, xi: float | None) -> list[str]:
    """What of a wish is not had as it was said."""
    found = []
    stands = _INSTEAD.get(name.strip().lower())
    if stands:
        found.append(f"Labqueue has no {name.strip()}: {stands} stood for it.")
    if name.strip().lower() in ("ei", "pi") and xi not in (None, 0.0, XI):
        found.append(
            "xi has no effect: Labqueue's expected improvement has no margin. UCB explores with kappa."
        )
    return found


def strategy(name: str, kappa: float | None, several: bool) -> dict[str, Any]:
    """Fields of a strategy that ask for it. `several`: are there several objectives? Raises Refusal (400)."""
    meant = _LOWER.get(name.strip().lower())
    if meant is None:
        options = ", ".join(repr(each) for each in (*_MEANT, *ACQUISITIONS))
        raise Refusal(f"Invalid acquisition function '{name[:100]}'. Valid options are: {options}", VALUE)
    if several:
        meant = tuple(dict.fromkeys(FRONT if each in _OF_ONE_SCORE else each for each in meant))
    elif FRONT in meant:
        raise Refusal(
            f"'{name}' is for several objectives, and this session has one. Use 'EI', 'qEI' or 'UCB'.", VALUE
        )
    shares = [{"acquisition": each, "share": 1 / len(meant)} for each in meant]
    beta = max((KAPPA if kappa is None else kappa) ** 2, _LEAST)
    # One point at least is of a design by the strategy's word; what was measured stands for it.
    asked: dict[str, Any] = {"method": "bayesian", "initial": 1, "acquisition": shares}
    return {**asked, "beta": beta} if BOUND in meant else asked
