"""The queue as the fresh model wants it: staged candidates keep their places unless something better is found.

Places are filled one after the other. Each is chosen as if what is in flight and what fills the places before it
were being measured already. A new point takes a place only where it is worth clearly more than the best staged
candidate that is left; what is left over in the end gives way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from labqueue.strategy import AUTO, Strategy

from . import acquisition
from .acquisition import RANDOM, Situation, Worth
from .acquisition.mixture import pick
from .cost import Cost
from .data import Space
from .encoding import Encoding
from .feasible import Feasibility
from .pool_search import PoolSearch
from .pools import PoolSpace
from .search import Effort, Ranking, ranked
from .seeds import seed_for
from .taken import Taken
from .values import LearningError, Point

#: Of staged candidates so many places are decided one by one; the others keep an order by worth: the front of a queue is
#: claimed first, and the end will have been looked at again by then.
_DECIDED = 2
#: Every so many searches of an ask one looks at the whole space again.
_WHOLE = 8
#: With these a point is never worth more for a point being in flight, so that an earlier search bounds a later one.
_SUBMODULAR = ("log_ei", "log_nei", "log_nehvi", "uncertainty", "entropy", "disagreement")


@dataclass(frozen=True)
class Ask:
    """Everything but the model.

    rows     points that were run, as they were planned; best: the best of them, best first; pending: points in flight
    staged   candidates that may give way, in their order; count: candidates wanted beside them
    """

    space: Space
    strategy: Strategy
    seed: int
    number: int
    rows: Sequence[Point]
    best: Sequence[Point]
    pending: Sequence[Point]
    staged: Sequence[Point]
    count: int
    feasibility: Feasibility | None = None
    cost: Cost | None = None


@dataclass(frozen=True)
class Choice:
    """staged: its place among the staged, None of a new point; name: of the acquisition function that chose it;
    flying: how many points were in flight then; repeated: one of them, or a measured one, is the same."""

    point: Point
    staged: int | None
    name: str
    flying: int
    repeated: bool = False


def choose(ask: Ask, situation: Situation, effort: Effort) -> tuple[list[Choice], float | None]:
    """The candidates in the order in which they should be claimed, and what the first of them promises (lab units).

    Fewer than wanted only where no other point is left. Once the deadline has passed, places are filled from what
    was valued by then.
    """
    return _Queue(ask, situation, effort).filled()


class _Queue:
    def __init__(self, ask: Ask, situation: Situation, effort: Effort) -> None:
        self._ask = ask
        self._effort = effort
        self._situation = situation
        self._problem = situation.goals.problem
        self._left = list(range(len(ask.staged)))
        self._rows = situation.surrogate.tensor(ask.space.encode(ask.staged))
        self._taken = Taken(ask.space, [*ask.rows, *ask.pending])
        self._chosen: list[Choice] = []
        self._found: Ranking | None = None
        self._searches = 0
        self._sought = ""
        self._ceilings: dict[str, float] = {}
        self._gain: float | None = None

    def filled(self) -> tuple[list[Choice], float | None]:
        wanted = len(self._ask.staged) + self._ask.count
        decided = wanted if len(self._ask.staged) <= _DECIDED else _DECIDED
        while len(self._chosen) < wanted:
            if self._chosen and self._effort.spent():
                self._fill_up(wanted)
                break
            if len(self._chosen) >= decided and self._left:
                self._keep(wanted)
            elif not self._fill():
                break
        return self._chosen, self._gain

    def _fill(self) -> bool:
        """The next place; False where no point is left."""
        place = len(self._chosen)
        name, worth = self._worth(place)
        if name == RANDOM and not self._by_chance_alone and self._draw(name, worth):
            return True
        values = worth.of(self._rows[self._left], self._effort.spent).numpy()
        if self._left:  # the best first: what is left over at a deadline keeps this order
            order = np.argsort(-values, kind="stable")
            self._left, values = [self._left[each] for each in order], values[order]
        threshold = float(values[0]) + math.log1p(self._ask.strategy.margin) if self._left else -math.inf
        if self._left and threshold >= self._ceilings.get(name, math.inf):
            self._take_staged(name, worth)
            return True
        self._found = self._searched(worth)
        new = self._first_new(self._found)
        if new is not None and name in _SUBMODULAR and not self._turning(name):
            self._ceilings[name] = float(self._found.values[new])
        if self._left and (new is None or float(self._found.values[new]) <= threshold):
            self._take_staged(name, worth)
        elif new is None:
            return False
        else:
            self._require_number(float(self._found.values[new]))
            self._take_new(new, name, worth)
        return True

    def _require_number(self, best: float) -> None:
        """Raises LearningError where no point that was looked at is worth any: not for want of points or time."""
        if not math.isfinite(best) and not self._effort.cut:
            where = "the model" if self._ask.cost is None else "the model or the strategy's cost"
            raise LearningError(f"{where} gives no number at any point")

    @property
    def _by_chance_alone(self) -> bool:
        return all(each.acquisition == RANDOM for each in self._ask.strategy.acquisition)

    def _draw(self, name: str, worth: Worth) -> bool:
        """A new point by chance, whatever is staged: that may have been chosen for what it is worth. False: none is left."""
        self._found = self._searched(worth)
        new = self._first_new(self._found)
        if new is not None:
            self._take_new(new, name, worth)
        return new is not None

    def _worth(self, place: int) -> tuple[str, Worth]:
        ask = self._ask
        name = acquisition.meant(pick(ask.strategy.acquisition, ask.seed, ask.number, place), self._problem)
        torch.manual_seed(self._situation.seed)
        return name, acquisition.made(name, self._situation, ask.feasibility, ask.cost)

    def _turning(self, name: str) -> bool:
        """Does the function look in another direction at each place?"""
        return self._problem.pareto and name in ("log_ei", "log_nei")

    def _searched(self, worth: Worth) -> Ranking:
        """The search of the next place, which goes on from the one before it if that looked for the same."""
        if self._searches % _WHOLE == 0 or self._sought != worth.name:
            self._found = None
        self._searches += 1
        self._sought = worth.name
        return self._ranked(worth, self._found)

    def _ranked(self, worth: Worth, earlier: Ranking | None) -> Ranking:
        ask = self._ask
        gone = (
            []
            if ask.strategy.replicates
            else [*self._taken.points, *(ask.staged[each] for each in self._left)]
        )
        if isinstance(ask.space, PoolSpace):
            falling = worth.name in _SUBMODULAR and not self._turning(worth.name)
            return self._pool.ranked(worth, gone, falling)
        assert isinstance(ask.space, Encoding), "the two kinds of space"
        return ranked(worth, ask.space, ask.best, self._situation.seed, self._effort, earlier)

    @cached_property
    def _pool(self) -> PoolSearch:
        ask = self._ask
        assert isinstance(ask.space, PoolSpace), "only asked for pools"
        taken = [] if ask.strategy.replicates else self._taken.points
        return PoolSearch(
            ask.space, self._situation, ask.best, taken, self._effort, ask.feasibility, ask.cost
        )

    def _first_new(self, found: Ranking) -> int | None:
        """The place of the most valuable point that is neither taken nor staged."""
        if self._ask.strategy.replicates:
            return 0 if len(found.points) else None
        known = self._taken.beside([self._ask.staged[each] for each in self._left])
        places = range(len(found.points))
        return next((each for each in places if not known.has(found.points[each], found.rows[each])), None)

    def _take_staged(self, name: str, worth: Worth) -> None:
        staged = self._left.pop(0)
        self._take(Choice(self._ask.staged[staged], staged, name, self._flying), worth, self._rows[[staged]])

    def _take_new(self, place: int, name: str, worth: Worth) -> None:
        assert self._found is not None, "a search found it"
        point, row = self._found.points[place], self._found.rows[place]
        repeated = self._taken.has(point, row)
        inputs = self._situation.surrogate.tensor(row[None, :])
        self._take(Choice(point, None, name, self._flying, repeated), worth, inputs)

    def _take(self, choice: Choice, worth: Worth, inputs: torch.Tensor) -> None:
        if not self._chosen:
            self._gain = self._promised(worth, inputs)
        self._chosen.append(choice)
        self._taken = self._taken.beside([choice.point])
        seed = seed_for("candidate", self._ask.seed, self._ask.number, len(self._chosen))
        self._situation = self._situation.beside(inputs, seed)

    def _promised(self, worth: Worth, inputs: torch.Tensor) -> float | None:
        """What the best next point improves. One that was chosen for another reason may improve nothing: where a rule waits
        for that, the point that improves most is looked for."""
        ask, auto = self._ask, acquisition.meant(AUTO, self._problem)
        if ask.strategy.stop.gain is not None and worth.name != auto:
            worth = acquisition.made(auto, self._situation, ask.feasibility, ask.cost)
            found = self._ranked(worth, None)
            best = self._first_new(found)
            if best is not None:
                inputs = self._situation.surrogate.tensor(found.rows[[best]])
        return acquisition.gain(self._situation, worth, inputs)

    @property
    def _flying(self) -> int:
        return len(self._ask.pending) + len(self._chosen)

    def _keep(self, wanted: int) -> None:
        """The staged candidates that are left, in the order of the last look, as far as there are places."""
        kept, self._left = self._left[: wanted - len(self._chosen)], []
        names = [each.name for each in reversed(self._chosen) if self._by_chance_alone or each.name != RANDOM]
        name = names[0] if names else acquisition.meant(AUTO, self._problem)
        points = [self._ask.staged[each] for each in kept]
        for staged, point in zip(kept, points, strict=True):
            self._chosen.append(Choice(point, staged, name, self._flying))
        self._taken = self._taken.beside(points)
        seed = seed_for("candidate", self._ask.seed, self._ask.number, len(self._chosen))
        self._situation = self._situation.beside(self._rows[kept], seed)

    def _fill_up(self, wanted: int) -> None:
        """From what was valued before the deadline: staged ones, then the next best points of the last search."""
        self._keep(wanted)
        while self._found is not None and len(self._chosen) < wanted:
            new = self._first_new(self._found)
            if new is None:
                return
            point = self._found.points[new]
            self._chosen.append(Choice(point, None, self._chosen[-1].name, self._flying))
            self._taken = self._taken.beside([point])
