"""When a campaign is done: pure rules over what was completed, what the model expects and what it cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from labqueue.problem import Problem
from labqueue.strategy import Plateau, StopRules

#: Metrics of which less is better.
_ERRORS = ("rmse", "nll")


@dataclass(frozen=True)
class Progress:
    """How far a campaign is. Held points are in none of these figures.

    completed  experiments
    hours      since it began
    measured   outputs of those that training uses, in the order in which they came in; None: infeasible
    base       how many of them, the first, came in until the initial design was complete: they are what is to be
               improved, and cannot fail to improve it
    cost       of all completed ones; None: nobody said what one costs
    designing  is the initial design still being run? Then no model is believed
    gain       what the best candidate is expected to improve the score by; None: no model said
    price      what that candidate costs; None: nobody said
    metrics    the plateau's metric of each model that saw the whole design, oldest first
    """

    completed: int
    hours: float = 0.0
    measured: Sequence[Mapping[str, float] | None] = ()
    base: int = 0
    cost: float | None = None
    designing: bool = False
    gain: float | None = None
    price: float | None = None
    metrics: Sequence[float] = ()


def verdict(rules: StopRules, problem: Problem, progress: Progress) -> str | None:
    """Why the campaign is done, with the figures; None while it goes on."""
    found = list(_rules(rules, problem, progress))
    reasons = [reason for reason in found if reason is not None]
    if not reasons or (rules.when == "all" and len(reasons) < len(found)):
        return None
    return "; ".join(reasons)


def room(rules: StopRules, spent: int) -> int | None:
    """How many more experiments the budget allows to stage; None: no limit. `spent`: completed or in flight."""
    if rules.budget is None or (rules.when == "all" and len(_set(rules)) > 1):
        return None
    return max(0, rules.budget - spent)


def _set(rules: StopRules) -> list[str]:
    return [name for name, value in rules.to_json().items() if name != "when" and value is not None]


def _rules(rules: StopRules, problem: Problem, progress: Progress) -> Iterator[str | None]:
    """For each rule that is set why it holds, or None."""
    if rules.target is not None:
        yield _target(rules.target, problem, progress)
    if rules.budget is not None:
        spent = progress.completed >= rules.budget
        yield f"budget of {rules.budget} experiments spent" if spent else None
    if rules.hours is not None:
        over = progress.hours >= rules.hours
        yield f"{progress.hours:.4g} of {rules.hours:g} hours are over" if over else None
    if rules.cost is not None:
        cost = progress.cost
        spent = cost is not None and cost >= rules.cost
        yield f"cost of {cost:.6g} reached, and {rules.cost:g} may be spent" if spent else None
    if rules.no_improvement is not None:
        yield _no_improvement(rules.no_improvement, problem, progress)
    if rules.gain is not None:
        yield None if progress.designing else _gain(rules.gain, progress)
    if rules.plateau is not None:
        yield None if progress.designing else _plateau(rules.plateau, progress)


def _target(target: float | Mapping[str, float], problem: Problem, progress: Progress) -> str | None:
    """One admissible experiment that is at least as good as asked for, in everything that was."""
    good = [each for each in progress.measured if each is not None and problem.admissible(each)]
    if not isinstance(target, Mapping):
        scores = [score for each in good for score in [problem.score(each)] if score is not None]
        if not scores or max(scores) < target:
            return None
        return f"target {target:g} reached: best score {max(scores):g}"
    wanted = {each.output: each for each in problem.objectives if each.output in target}
    for outputs in good:
        if all(
            name in outputs and each.value(outputs[name]) >= each.value(target[name])
            for name, each in wanted.items()
        ):
            asked = ", ".join(f"{name} {target[name]:g}" for name in wanted)
            came = ", ".join(f"{name} {outputs[name]:g}" for name in wanted)
            return f"target {asked} reached: one experiment has {came}"
    return None


def _no_improvement(limit: int, problem: Problem, progress: Progress) -> str | None:
    since = _unimproved(problem, progress.measured, progress.base)
    if since < limit:
        return None
    what = "no change of the front" if problem.pareto else "no improvement"
    return f"{what} in the last {since} experiments"


def _unimproved(problem: Problem, measured: Sequence[Mapping[str, float] | None], base: int) -> int:
    """Experiments behind the first `base` ones since the best (the front) last changed; one whose objective is still
    outstanding improves nothing and fails to improve nothing."""
    front: list[tuple[float, ...]] = []
    since = 0
    for place, outputs in enumerate(measured):
        mine = None
        if outputs is not None:
            score = problem.score(outputs)
            mine = problem.values(outputs) if score is None else (score,)
            if mine is None:
                continue
            mine = mine if problem.admissible(outputs) else None
        if mine is not None and not any(_covers(other, mine) for other in front):
            front = [other for other in front if not _covers(mine, other)]
            front.append(mine)
            since = 0
        elif front and place >= base:
            since += 1
    return since


def _covers(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """At least as good in everything."""
    return all(left >= right for left, right in zip(one, other, strict=True))


def _gain(least: float, progress: Progress) -> str | None:
    """With a cost, the gain that is asked for is one per unit of cost."""
    if progress.gain is None:
        return None
    worth = least if progress.price is None else least * progress.price
    if progress.gain >= worth:
        return None
    text = f"the best candidate is expected to improve the score by {progress.gain:.3g}"
    if progress.price is None:
        return f"{text}, less than {least:g}"
    return f"{text}, less than the {worth:.3g} that its cost of {progress.price:.4g} asks for"


def _plateau(rule: Plateau, progress: Progress) -> str | None:
    values = progress.metrics[-(rule.versions + 1) :]
    if len(values) <= rule.versions or not all(math.isfinite(each) for each in values):
        return None
    before, last = values[0], values[1:]
    lower = rule.metric in _ERRORS
    best = min(last) if lower else max(last)
    better = before - best if lower else best - before
    # Exactly the tolerance is enough: decimal text is not exact.
    if better > 0 and better >= rule.tolerance * abs(before) * (1 - 1e-9):
        return None
    return (
        f"the model got no better: {rule.metric} {before:.4g} became {best:.4g} at best "
        f"in the last {rule.versions} versions"
    )
