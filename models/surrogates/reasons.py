"""Why a point was chosen, in a plain sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from labqueue.problem import DESIRABILITY, MAXIMIZE, MINIMIZE, Objective, OutcomeConstraint, Problem
from labqueue.strategy import DESIGN, FILLING, MAXIMIN, SOBOL, Strategy

from .values import SCORE

Expected = Mapping[str, tuple[float, float]]

_DESIGNS = {
    SOBOL: "Sobol design",
    "latin_hypercube": "Latin hypercube",
    "halton": "Halton design",
    "random": "random design",
    MAXIMIN: "maximin design",
    "full_factorial": "full factorial design",
    "fractional_factorial": "fractional factorial design",
    "central_composite": "central composite design",
    "box_behnken": "Box-Behnken design",
    "plackett_burman": "Plackett-Burman design",
    "d_optimal": "D-optimal design",
}
_EVENLY = ", which fills the space evenly"
_WHY = {
    SOBOL: _EVENLY,
    "latin_hypercube": _EVENLY,
    "halton": _EVENLY,
    MAXIMIN: ", each as far as can be from those before it",
}
#: What a function looks for, where that is not the best expected improvement.
_LOOKS_FOR = {
    "ucb": "Chosen by its optimistic end",
    "thompson": "Best of one function drawn from what the model thinks possible",
    "knowledge_gradient": "Expected to teach most about where the best is",
    "uncertainty": "Known least",
    "entropy": "Expected to tell most",
    "disagreement": "What the model's versions disagree about most",
    "random": "Drawn by chance, as the strategy asks for a share of the candidates",
}
#: These ask for knowledge, whatever the goals are.
_LEARNS = ("uncertainty", "entropy", "disagreement", "random")

#: Of a chance so small nothing more is said.
_HARDLY = 0.005


def design(number: int, strategy: Strategy, kind: str | None) -> str:
    """For the point of index `number` of a design of this kind; None: spread over a pool."""
    name = "design" if kind is None else _DESIGNS[kind]
    why = ", spread over the pool" if kind is None else _WHY.get(kind, "")
    if strategy.method == DESIGN:
        return f"Point {number + 1} of a {name}{why}."
    total = f" of {strategy.initial}" if kind is None or kind in FILLING else ""
    return f"Point {number + 1}{total} of the initial {name}{why}."


def fallback(why: str) -> str:
    """For a point of a design that stands in for a model."""
    return f"No model could be asked ({why.rstrip('.')}), so the space is filled on evenly instead."


def waiting(why: str) -> str:
    """For a staged candidate that keeps its place because no model could be asked."""
    return f"Kept as it was staged: no model could be asked ({why.rstrip('.')})."


class Sentences:
    """For the points of one ask.

    best      the best admissible score so far, or None where nothing is; beaten: the front's reference is beaten by
              something measured (always, where there is no front); inside: something was measured that could be
              planned today; unknown: outcome constraints of outputs that there is no model of yet
    """

    def __init__(
        self,
        problem: Problem,
        best: float | None,
        beaten: bool = True,
        inside: bool = True,
        unknown: Sequence[OutcomeConstraint] = (),
    ) -> None:
        self._problem = problem
        self._best = best
        self._beaten = beaten
        self._inside = inside
        self._unknown = unknown

    def chosen(
        self,
        name: str,
        expected: Expected,
        chances: Sequence[float],
        flying: int,
        kept: bool = False,
        repeated: bool = False,
        costs: bool = False,
        possible: float | None = None,
    ) -> str:
        """`name`: of the acquisition function; `chances` to keep each outcome constraint; `flying`: points in flight
        that were taken into account; `kept`: it was staged before; `costs`: worth was reckoned per cost;
        `possible`: the chance that it can be run at all, where something could not."""
        if repeated:
            text = f"Measured again, as the strategy allows: {self._figures(expected)}."
        elif name in _LEARNS:
            text = f"{_LOOKS_FOR[name]}: {self._figures(expected)}."
        elif self._problem.pareto:
            text = self._of_front(name, expected)
        else:
            text = self._of_score(name, expected)
        text += self._limits(chances)
        if possible is not None:
            text += f" Chance that it can be run: {_percent(possible)}."
        if costs:
            text += " Worth is reckoned per cost."
        if kept:
            text += " Kept from the queue: nothing clearly better was found for its place."
        if flying:
            text += f" {flying} point{'s' if flying > 1 else ''} in flight taken into account."
        return text

    def _of_score(self, name: str, expected: Expected) -> str:
        figures = self._figures(expected)
        if self._best is None:
            lacks = (
                "satisfies the outcome constraints yet" if self._inside else "lies in the space as it is now"
            )
            return f"Nothing that was measured {lacks}: {figures}."
        gain, spread = expected[SCORE][0] - self._best, expected[SCORE][1]
        figures += f"; the best so far is {self._shown(self._best)}"
        if name in _LOOKS_FOR:
            return f"{_LOOKS_FOR[name]}: {figures}."
        if gain > 0:
            return f"Expected to beat the best so far: {figures}."
        chance = 0.5 * (1 + math.erf(gain / (spread * math.sqrt(2)))) if spread > 0 else 0.0
        begin = "Hardly anything better is expected" if chance < _HARDLY else "Uncertain, so worth a look"
        return f"{begin}: {figures} (chance to beat it: {_percent(chance)})."

    def _of_front(self, name: str, expected: Expected) -> str:
        begin = _LOOKS_FOR.get(name, "Expected to extend the front")
        text = f"{begin}: {self._figures(expected)}."
        if not self._beaten:
            text += " Nothing that was measured is better than the reference in every objective yet."
        return text

    def _figures(self, expected: Expected) -> str:
        objectives = self._problem.objectives
        if len(objectives) > 1 and SCORE in expected:
            return f"a score of {_spread(*expected[SCORE])}"
        shown = []
        for each in objectives:
            output = self._problem.output(each.output)
            if output.classes:
                likely = max(output.classes, key=lambda label: expected[f"{output.name}={label}"][0])
                chance = expected[f"{output.name}={likely}"][0]
                shown.append(f"{output.name} is {likely} with a chance of {_percent(chance)}")
            else:
                unit = f" {output.unit}" if output.unit else ""
                shown.append(f"{each.output} of {_spread(*expected[each.output])}{unit}")
        return ", ".join(shown)

    def _shown(self, best: float) -> str:
        """The best score as people know it: of a single objective its output, where that is what is compared."""
        objectives = self._problem.objectives
        if len(objectives) > 1 or self._problem.combine == DESIRABILITY:
            return f"{best:.4g}" if len(objectives) > 1 else f"a desirability of {best:.4g}"
        (objective,) = objectives
        value = best / objective.weight
        if objective.goal in (MAXIMIZE, MINIMIZE):
            return f"{value if objective.goal == MAXIMIZE else -value:.4g}"
        if value == 0:
            return f"at {_wish(objective)}" if objective.target is not None else f"in {_wish(objective)}"
        return f"{-value:.4g} away from {_wish(objective)}"

    def _limits(self, chances: Sequence[float]) -> str:
        limits = self._problem.outcome_constraints
        kept = [f"{each}: {_percent(chance)}" for each, chance in zip(limits, chances, strict=False)]
        told = f" Chance to keep {', '.join(kept)}." if kept else ""
        return told + "".join(f" Too little is known yet to keep {each}." for each in self._unknown)


def _wish(objective: Objective) -> str:
    if objective.target is not None:
        return f"the target of {objective.target:g}"
    return f"the window from {objective.low:g} to {objective.high:g}"


def _spread(mean: float, spread: float) -> str:
    return f"{mean:.4g} ± {spread:.2g}"


def _percent(chance: float) -> str:
    if chance < _HARDLY:
        return "under 1 %"
    return "over 99 %" if chance > 0.995 else f"{100 * chance:.0f} %"
