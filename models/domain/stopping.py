"""When a campaign is done: pure rules over what was completed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labqueue.strategy import StopRules


@dataclass(frozen=True)
class Progress:
    """`completed` experiments, and the `scores` of those that training uses in the order in which they came in,
    None where one has no score (infeasible). Held points are in none of these figures."""

    completed: int
    scores: Sequence[float | None]


def verdict(rules: StopRules, progress: Progress) -> str | None:
    """Why the campaign is done, with the figures; None while it goes on."""
    known = [score for score in progress.scores if score is not None]
    if rules.target is not None and known and max(known) >= rules.target:
        return f"target {rules.target:g} reached: best score {max(known):g}"
    if rules.budget is not None and progress.completed >= rules.budget:
        return f"budget of {rules.budget} experiments spent"
    if rules.no_improvement is not None:
        since = _since_best(progress.scores)
        if since >= rules.no_improvement:
            return f"no improvement in the last {since} experiments"
    return None


def room(rules: StopRules, spent: int) -> int | None:
    """How many more experiments the budget allows to stage; None: no limit. `spent`: completed or in flight."""
    return None if rules.budget is None else max(0, rules.budget - spent)


def _since_best(scores: Sequence[float | None]) -> int:
    best: float | None = None
    since = 0
    for score in scores:
        if score is not None and (best is None or score > best):
            best, since = score, 0
        elif best is not None:
            since += 1
    return since
