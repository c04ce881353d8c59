"""Where a worth is greatest among the rows of a pool: all are looked at once and cheaply, and the few that promise
something are valued for each place of the queue."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import sobol
from .acquisition import Situation, Worth
from .cost import Cost
from .encoding import Array
from .feasible import Feasibility
from .pools import Places, PoolSpace
from .search import Effort, Ranking
from .seeds import seed_for
from .values import Point

#: Pools of no more rows are valued whole. Of larger ones a short list is: the best at a glance, of the whole pool and
#: of each of its regions (what is chosen first makes its neighbours worth less), and rows near the best measured ones.
_WHOLE = 4_096
_TOP, _REGIONS, _OF_REGION, _NEAR = 1_024, 64, 24, 256
_DIRECTIONS = 8  # in which a front is looked at
_SAMPLES = 32
_SOFT = 1e-2  # improvements below this share of a step fade out instead of being nothing
_GLANCE = 256  # rows at a time: a joint posterior costs the square of them
_VALUED = 256
_RANKED = 64


class PoolSearch:
    """One ask's search. `best`: the best rows so far, best first; `taken`: points that are not to be found."""

    def __init__(
        self,
        space: PoolSpace,
        situation: Situation,
        best: Sequence[Point],
        taken: Sequence[Point],
        effort: Effort,
        feasibility: Feasibility | None = None,
        cost: Cost | None = None,
    ) -> None:
        self._space = space
        self._seed = situation.seed
        self._effort = effort
        self._asked = 0
        near = [int(place) for place in space.places(best)]
        places = space.looked_at(self._seed, near)
        places = places[~np.isin(places, space.places(taken))]
        if len(places) > _WHOLE:
            glances = _Glances(situation, feasibility, cost)
            parts = []
            for part in space.parts(places):
                parts.append(glances.of(space.features(part)))
                if effort.spent():
                    break
            values = np.concatenate(parts, axis=1)
            effort.raw += values.shape[1]
            places = self._short_list(places[: values.shape[1]], values, near)
        self._places = places
        self._rows = situation.surrogate.tensor(space.features(places))
        self._bounds: dict[str, Array] = {}

    def ranked(self, worth: Worth, taken: Sequence[Point], falling: bool) -> Ranking:
        """The most valuable rows, none of them in `taken`. `falling`: a row is never worth more than when the same
        function was asked before, so that those which were best then are valued first and perhaps alone."""
        before, self._asked = worth.evaluations, self._asked + 1
        gone = self._space.places(taken)
        if worth.local:
            bounds = self._bounds.get(worth.name) if falling else None
            values = self._bounds[worth.name] = self._valued(worth, np.isin(self._places, gone), bounds)
            order = np.argsort(-values, kind="stable")[:_RANKED]
            places, values = self._places[order], values[order]
        else:
            generator = np.random.default_rng(seed_for("chance", self._seed, self._asked))
            places = generator.permutation(self._space.rows)
            places = places[~np.isin(places, gone)][:_RANKED]
            rows = worth.tensor(self._space.features(places))
            values = worth.of(rows, self._effort.spent).numpy()
        self._effort.evaluations += worth.evaluations - before
        return Ranking(
            [self._space.point(int(place)) for place in places], self._space.features(places), values
        )

    def _valued(self, worth: Worth, gone: NDArray[np.bool_], bounds: Array | None) -> Array:
        """Of each row of the short list its worth, or a bound that is no greater than the best worth."""
        values = np.full(len(self._places), math.inf) if bounds is None else bounds.copy()
        values[gone] = -math.inf
        stale, best = values > -math.inf, -math.inf
        while stale.any() and float(values[stale].max()) > best:
            if best > -math.inf and self._effort.spent():
                values[stale & np.isinf(values)] = -math.inf
                break
            left = np.flatnonzero(stale)
            part = left[np.argsort(-values[left], kind="stable")[:_VALUED]]
            values[part], stale[part] = worth.of(self._rows[part], self._effort.spent).numpy(), False
            best = max(best, float(values[part].max()))
        return values

    def _short_list(self, places: Places, values: Array, near: Sequence[int]) -> Places:
        cells = self._space.cells(places, _REGIONS, self._seed)
        kept = np.isin(places, self._space.neighbours(near, _NEAR))
        for glance in values:
            kept[np.argsort(-glance, kind="stable")[: _TOP // len(values)]] = True
            order = np.lexsort((-glance, cells))
            firsts = np.searchsorted(cells[order], cells[order])  # where the region of each row begins
            kept[order[np.arange(len(order)) - firsts < max(1, _OF_REGION // len(values))]] = True
        return places[kept]


class _Glances:
    """What rows promise by themselves: for each glance (improvement of the score, or of a front in some directions;
    spread) the greater the better."""

    def __init__(self, situation: Situation, feasibility: Feasibility | None, cost: Cost | None) -> None:
        self._surrogate = situation.surrogate
        self._feasibility = feasibility
        self._cost = cost
        problem = situation.goals.problem
        self._situations: list[Situation] = []
        if problem.pareto:
            seeds = [seed_for("direction", situation.seed, number) for number in range(_DIRECTIONS)]
            self._situations = [replace(situation, seed=seed) for seed in seeds]
        elif problem.objectives and not problem.learning:
            self._situations = [situation]
        drawn = sobol.normal(_SAMPLES, max(1, len(self._surrogate.outputs)), situation.seed)
        self._normal = drawn.to(situation.measured)[:, None, :]

    def of(self, rows: Array) -> Array:
        """(glances, rows)."""
        inputs = self._surrogate.tensor(rows)
        with torch.no_grad():
            means, spreads, doubt = self._foretold(inputs)
            found = [spreads.sum(dim=-1) + doubt]
            if self._situations:
                samples = means + self._normal * spreads
                found += [_improvement(each, samples) for each in self._situations]
            values = torch.stack(found)
            values[0] = values[0].clamp_min(1e-300).log()
            if self._feasibility is not None:
                values = values + self._feasibility.log_probability(inputs)
            if self._cost is not None:
                values = values - self._cost.log(inputs)
        plain: Array = values.nan_to_num(nan=-torch.inf).cpu().numpy()
        return plain

    def _foretold(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Means and spreads (rows, outputs), standardised, and the chance (rows,) that the likeliest labels are wrong."""
        means, spreads, doubts = [], [], []
        for part in torch.split(inputs, _GLANCE):
            posteriors = [each.model.posterior(part[:, None, :]) for each in self._surrogate.parts]
            means.append(_columns([each.mean for each in posteriors], part))
            spreads.append(_columns([each.variance.clamp_min(0).sqrt() for each in posteriors], part))
            doubt = part.new_zeros(len(part))
            for each in self._surrogate.labels.values():
                doubt = doubt + 1 - each.draws(part).mean(0).amax(-1)
            doubts.append(doubt)
        return torch.cat(means), torch.cat(spreads), torch.cat(doubts)


def _columns(found: Sequence[Tensor], rows: Tensor) -> Tensor:
    return torch.cat([each.reshape(len(rows), 1) for each in found], dim=-1) if found else rows[:, :0]


def _improvement(situation: Situation, samples: Tensor) -> Tensor:
    """The log of the expected improvement with the chance that outcome constraints are kept: samples (samples, rows,
    outputs) -> (rows,)."""
    above = situation.scalar(samples) / _SOFT
    soft = torch.where(above > -30, torch.nn.functional.softplus(above).log(), above)
    value: Tensor = soft.logsumexp(dim=0) + situation.log_chance(samples.unsqueeze(-2))
    return value
