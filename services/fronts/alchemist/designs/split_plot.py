"""Split-plot designs: what is hard to change stands still within a plot, what is easy runs inside it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.fronts.alchemist.refusals import INFEASIBLE, VALUE, Refusal
from services.fronts.alchemist.visit import Visit

from . import hammersley
from .classical import LIMIT, Spec
from .factors import Factor, Point, given, keeps
from .initial import (
    COUNT,
    FILLING,
    HAMMERSLEY,
    Region,
    filled,
    seed_of,
    structured,
    whole,
)

VERY_HARD, HARD, EASY = "very_hard", "hard", "easy"
LEVELS = (VERY_HARD, HARD, EASY)
FRESH, CROSSED = "fresh", "crossed"
AS_GENERATED = "as_generated"
ENDS = "ends"
PLOT, INNER, ORDER, REASON = "WholePlot", "Subplot", "RunOrder", "Reason"
RUN, REFERENCE = "Initial DoE (split-plot)", "Reference (split-plot)"
#: Each plot with constraints of its own is a question to a worker.
_ASKED = 100
_ALONE = (
    "Each whole-plot setting is run once: the error between whole plots cannot be estimated, and the effect of a setting "
    "cannot be told from that of its plot."
)

Json = dict[str, Any]


@dataclass(frozen=True)
class Level:
    """A design of one level's variables. `said`: as it was asked for."""

    spec: Spec
    count: int = COUNT
    said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    """A run that stands at the start of each plot, or at both ends; middles where `values` names none."""

    both: bool = True
    values: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Wish:
    """crossed  by level, whether all plots have the same design of it, or each one of its own
    kept     levels whose points are run in their standard order
    """

    levels: Mapping[str, Level]
    replicates: Mapping[str, int] = field(default_factory=dict)
    crossed: frozenset[str] = frozenset()
    reference: Reference | None = None
    kept: frozenset[str] = frozenset()
    seed: int | None = None


async def design(visit: Visit, session_id: str, wish: Wish) -> Json:
    """Raises Refusal (404; 400 where levels and designs do not match, or constraints leave nothing)."""
    region = await visit.run(whole, visit.store, session_id)
    changes = {each.name: each.changes for each in region.session.variables}
    levels = {level: [each for each in region.factors if changes[each.name] == level] for level in LEVELS}
    levels = {level: found for level, found in levels.items() if found}
    _check(levels, wish)
    made = _Plots(visit, region, levels, wish, seed_of(visit, wish.seed))
    points = await made.all()
    restricted = [level for level in levels if level != EASY]
    warnings = [] if wish.replicates.get(restricted[0], 1) > 1 else [_ALONE]
    return {
        "points": points,
        "n_points": len(points),
        "info": {
            "levels": {level: [each.name for each in found] for level, found in levels.items()},
            "n_plots": made.plots,
            "runs_per_plot": sorted(set(made.runs)),
            "n_runs": len(points),
            "random_seed": wish.seed,
            "designs": {level: dict(each.said) for level, each in wish.levels.items()},
            "replicates": dict(wish.replicates),
            "easy_mode": CROSSED if EASY in wish.crossed else FRESH,
            "warnings": warnings,
        },
    }


class _Plots:
    """One design, plot by plot."""

    def __init__(
        self, visit: Visit, region: Region, levels: Mapping[str, Sequence[Factor]], wish: Wish, seed: int
    ) -> None:
        self._visit, self._region, self._levels, self._wish, self._seed = visit, region, levels, wish, seed
        self._luck = random.Random(seed)
        self._asked = 0
        self.plots: dict[str, int] = {}
        self.runs: list[int] = []

    async def all(self) -> list[Point]:
        outer, *inner = [level for level in self._levels if level != EASY]
        settings = self._repeated(outer, (await self._designs(outer, [{}]))[0])
        plots = [(point, place + 1, None) for place, point in enumerate(settings)]
        self.plots[outer] = len(plots)
        if inner:
            middle = inner[0]
            inside = await self._designs(middle, [point for point, _, _ in plots])
            split: list[tuple[Point, int, int | None]] = []
            for (point, number, _), found in zip(plots, inside, strict=True):
                for each in self._repeated(middle, found):
                    split.append(({**point, **each}, number, len(split) + 1))
            self.plots[middle] = len(split)
            return await self._run(split)
        return await self._run(plots)

    async def _run(self, plots: Sequence[tuple[Point, int, int | None]]) -> list[Point]:
        inside = await self._designs(EASY, [point for point, _, _ in plots])
        found: list[Point] = []
        for (point, number, sub), easy in zip(plots, inside, strict=True):
            same = {**point, PLOT: number, **({} if sub is None else {INNER: sub})}
            runs = [{**same, **each, REASON: RUN} for each in self._repeated(EASY, easy)]
            runs = self._between(runs, same)
            self.runs.append(len(runs))
            found += runs
            if len(found) > LIMIT:
                raise Refusal(f"This design has more than {LIMIT:,} runs.", VALUE)
        return [{**each, ORDER: place + 1} for place, each in enumerate(found)]

    def _between(self, runs: list[Point], same: Point) -> list[Point]:
        reference = self._wish.reference
        if reference is None:
            return runs
        values = {each.name: each.middle for each in self._levels[EASY]} | dict(reference.values or {})
        run = {**same, **values, REASON: REFERENCE}
        return [run, *runs, *([dict(run)] if reference.both else [])]

    def _repeated(self, level: str, points: Sequence[Point]) -> list[Point]:
        """Each as often as it is wanted, in an order that the seed draws within each repetition."""
        found: list[Point] = []
        for _ in range(self._wish.replicates.get(level, 1)):
            once = list(points)
            if level not in self._wish.kept:
                self._luck.shuffle(once)
            found += once
        return found

    async def _designs(self, level: str, plots: Sequence[Point]) -> list[list[Point]]:
        """Of this level, for each of the plots around it."""
        asked, count = self._wish.levels[level], len(plots)
        regions = [self._inside(level, point) for point in plots]
        same = all(each.rules == regions[0].rules for each in regions)
        if asked.spec.method not in FILLING:
            return [
                await self._structured(level, each, point) for each, point in zip(regions, plots, strict=True)
            ]
        if same and (level in self._wish.crossed or count == 1):
            return [await self._filled(level, regions[0], plots[0], asked.count)] * count
        if same and any(each.continuous for each in regions[0].factors):
            whole = await self._filled(level, regions[0], plots[0], asked.count * count)
            return [whole[place * asked.count : (place + 1) * asked.count] for place in range(count)]
        return [
            await self._filled(level, each, point, asked.count)
            for each, point in zip(regions, plots, strict=True)
        ]

    async def _filled(self, level: str, region: Region, plot: Point, count: int) -> list[Point]:
        """The variables that are linked to this level by constraints are drawn with it, so that something is left for
        them; only this level's are taken."""
        self._asked += 1
        if self._asked > _ASKED:
            raise Refusal(f"So many plots with a design of their own: at most {_ASKED} are made.", VALUE)
        asked = self._wish.levels[level]
        size = min(count, LIMIT)
        names = [each.name for each in self._levels[level]]
        try:
            found = await filled(
                self._visit, region, asked.spec, size, (self._seed + self._asked) % 2**31, asked.count
            )
        except Refusal as refusal:
            raise _within(level, plot, refusal) from refusal
        return [{name: each[name] for name in names} for each in found]

    async def _structured(self, level: str, region: Region, plot: Point) -> list[Point]:
        asked = self._wish.levels[level]
        own = replace(region, factors=self._levels[level], rules=_of(region.rules, self._levels[level]))
        try:
            if asked.spec.method == HAMMERSLEY:
                points = await self._visit.run(hammersley.points, own.factors, asked.count, own.rules)
            else:
                points = (await self._visit.run(structured, own, asked.spec)).points
        except Refusal as refusal:
            raise _within(level, plot, refusal) from refusal
        return points

    def _inside(self, level: str, plot: Point) -> Region:
        """This level's variables, those of later levels that constraints link to them, and the constraints."""
        if not keeps(plot, [each for each in self._region.rules if set(each.coefficients) <= set(plot)]):
            raise _within(level, plot, Refusal("The plot's own setting breaks a constraint.", INFEASIBLE))
        rules = given(self._region.rules, plot)
        own = {each.name for each in self._levels[level]}
        linked, more = set(own), True
        while more:
            touched = {
                name for each in rules if linked & set(each.coefficients) for name in each.coefficients
            }
            more = not touched <= linked
            linked |= touched
        factors = [each for each in self._region.factors if each.name in linked]
        return Region(
            self._region.session, factors, [each for each in rules if set(each.coefficients) <= linked]
        )


def _of(rules: Sequence[Any], factors: Sequence[Factor]) -> list[Any]:
    names = {each.name for each in factors}
    return [each for each in rules if set(each.coefficients) <= names]


def _within(level: str, plot: Point, refusal: Refusal) -> Refusal:
    if not plot:
        return refusal
    where = ", ".join(f"{name}={value}" for name, value in plot.items())
    kind = refusal.body.get("error_type", VALUE)
    return Refusal(f"No {level}-level design in the plot with {where}: {refusal.body['detail']}", kind)


def _check(levels: Mapping[str, Sequence[Factor]], wish: Wish) -> None:
    if set(levels) <= {EASY}:
        raise Refusal(
            "A split-plot design needs at least one variable with changes='hard' or 'very_hard'. With every variable "
            "easy, ask for an initial design.",
            VALUE,
        )
    if EASY not in levels:
        raise Refusal("A split-plot design needs at least one easy variable to run inside each plot.", VALUE)
    if set(levels) != set(wish.levels):
        raise Refusal(
            f"designs must have exactly one entry per change level present {list(levels)}; got {sorted(wish.levels)}.",
            VALUE,
        )
    restricted = [level for level in levels if level != EASY]
    for level, times in wish.replicates.items():
        if level not in restricted:
            raise Refusal(
                f"replicates applies to restricted levels present {restricted}; got {level!r}.", VALUE
            )
        if not 1 <= times <= LIMIT:
            raise Refusal(f"replicates[{level!r}] must be at least 1.", VALUE)
    easy = {each.name for each in levels[EASY]}
    named = set((wish.reference.values if wish.reference else None) or {})
    if not named <= easy:
        raise Refusal(
            f"reference values may only name easy variables {sorted(easy)}; got {sorted(named - easy)}.",
            VALUE,
        )
