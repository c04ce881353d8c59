"""Lab units <-> the unit cube: the only crossing. Nothing else knows both.

A numeric parameter or an ordered categorical one is one column, its range scaled to [0, 1] (on a log scale where
the problem says so); a categorical one is a column a category, of which one is 1, or the columns that its
descriptors come down to; a fixed one has none. A context has columns, but nothing chooses them. Where a conditional
parameter is not active, its columns are 0.5 (one-hot ones 0), whatever is asked there. What comes back from the
cube is rounded, clipped and, where the constraints ask for it, repaired: it always passes `Problem.check_point`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labqueue.problem import Categorical, Context, Expression, Fixed, Linear, Mixture, Problem, Value
from models.space.operations import margin_and_slope, margins
from models.space.repair import nearest_valid, quickly_valid
from models.space.table import Mask, Table

from .columns import FEW, Columns, Line, columns
from .values import LearningError, Point

Array = NDArray[np.float64]

#: Where `listed` gives up: so many times its limit of partial points.
_PARTIAL = 50
_SAMPLE = 64


@dataclass(frozen=True)
class Encoding:
    """The crossing for one problem. Arrays are (rows, columns) of float64.

    context  what context parameters are taken to be where a row does not say: as reported last; {}: the middle
    """

    problem: Problem
    context: Mapping[str, Value] = field(default_factory=dict)
    _kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def table(self) -> Table:
        return Table(self.problem)

    @cached_property
    def columns(self) -> tuple[Columns, ...]:
        """How each parameter stands in the cube, in the problem's order."""
        return tuple(columns(each) for each in self.problem.parameters)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """The columns of each parameter, in the problem's order; empty for a fixed one."""
        edges = [0, *itertools.accumulate(each.width for each in self.columns)]
        return tuple(slice(low, high) for low, high in itertools.pairwise(edges))

    @property
    def width(self) -> int:
        return self.slices[-1].stop if self.slices else 0

    @cached_property
    def chosen(self) -> tuple[int, ...]:
        """The columns that a search may set: all but those of the context."""
        return tuple(
            column
            for parameter, columns in zip(self.problem.parameters, self.slices, strict=True)
            if not isinstance(parameter, Context)
            for column in range(columns.start, columns.stop)
        )

    @cached_property
    def smooth(self) -> tuple[int, ...]:
        """Columns that a gradient may move: of numbers and steps that are many, none of the context."""
        return tuple(
            where.start
            for parameter, each, where in zip(self.problem.parameters, self.columns, self.slices, strict=True)
            if not isinstance(parameter, Context) and each.ordered and (each.count or FEW + 1) > FEW
        )

    def smooth_at(self, row: Array) -> tuple[int, ...]:
        """Of the smooth columns those that count at this row: of active parameters, and of a mixture that may
        have no more parts, the parts that are in it."""
        lab = self._lab(row[None, :])
        active = self.table.active(lab)[0]
        idle = {self.slices[place].start for place in np.flatnonzero(~active)}
        for rule in self.problem.constraints:
            if isinstance(rule, Mixture) and (rule.at_most is not None or rule.least):
                places = [self.table.places[name] for name in rule.parameters]
                idle |= {
                    self.slices[place].start for place in places if not lab[0, place] > 1e-9 * rule.total
                }
        return tuple(column for column in self.smooth if column not in idle)

    @cached_property
    def size(self) -> int | None:
        """How many points there are, constraints and conditions aside; None where a parameter is continuous."""
        counts = [each.count for each in self._planned]
        return None if any(each is None for each in counts) else math.prod(each or 0 for each in counts)

    @property
    def dimensions(self) -> int:
        """How many numbers make a point in `spread`: one for each parameter that is chosen."""
        return len(self.axes)

    @cached_property
    def axes(self) -> tuple[int, ...]:
        """The places of the parameters that are chosen."""
        return tuple(
            place
            for place, each in enumerate(self.problem.parameters)
            if not isinstance(each, (Context, Fixed))
        )

    @property
    def _planned(self) -> list[Columns]:
        return [self.columns[place] for place in self.axes]

    # -- there

    def encode(self, points: Sequence[Point], context: Mapping[str, Value] | None = None) -> Array:
        """Actual values may lie outside the range and are not clipped. Raises LearningError where one is missing.

        context  for rows that do not report it; None: the encoding's own
        """
        lab = self.table.read(points)
        active = self.table.active(lab)
        for place, parameter in enumerate(self.problem.parameters):
            if isinstance(parameter, Context):
                default = self._default(parameter, self.context if context is None else context)
                lab[np.isnan(lab[:, place]), place] = default
            elif (active[:, place] & np.isnan(lab[:, place])).any():
                raise LearningError(f"A row has no value for {parameter.name}.")
        return self._cube(lab)

    def _default(self, parameter: Context, context: Mapping[str, Value]) -> float:
        value = context.get(parameter.name)
        if value is None:
            return math.nan
        return self.table.numbers(self.table.places[parameter.name], [value])[0]

    def _cube(self, lab: Array) -> Array:
        """Rows of the cube; what is nan there is absent."""
        rows = np.zeros((len(lab), self.width))
        for place, (each, where) in enumerate(zip(self.columns, self.slices, strict=True)):
            if each.width:
                known = ~np.isnan(lab[:, place])
                rows[:, where] = each.absent
                rows[known, where] = each.encode(lab[known, place])
        return rows

    # -- and back

    def decode(self, row: Array) -> Point | None:
        """The nearest point that can be staged; None where the constraints leave none."""
        return self.decode_many(row[None, :])[0]

    def decode_many(self, rows: Array, repair: bool = True, solve: bool = True) -> list[Point | None]:
        """`decode` for each row; without `repair`, None also where the nearest point breaks a constraint, and
        without `solve` where a solver is needed to repair it."""
        lab = self._lab(rows)
        good = self.table.holds(lab)
        points: list[Point | None] = list(self.table.write(lab))
        for place in np.flatnonzero(~good):
            points[place] = self._repaired(self._wanted(lab[place]), solve) if repair else None
        return points

    def settle_many(self, lab: Array, solve: bool = True) -> list[Point | None]:
        """The nearest points that can be staged to rows of lab values (`models.space.table`), as `decode_many`."""
        return self.decode_many(self._cube(lab), solve=solve)

    def _lab(self, rows: Array) -> Array:
        """A value for each parameter, active or not; nan for the context."""
        lab = np.full((len(rows), len(self.columns)), math.nan)
        for place, (parameter, each, where) in enumerate(
            zip(self.problem.parameters, self.columns, self.slices, strict=True)
        ):
            if not isinstance(parameter, Context):
                lab[:, place] = each.decode(rows[:, where])
        return lab

    def _wanted(self, row: Array) -> dict[str, Value]:
        """A row of lab values as a point that has them all, those that are not active too."""
        return {
            parameter.name: parameter.categories[int(row[place])]
            if isinstance(parameter, Categorical)
            else float(row[place])
            for place, parameter in enumerate(self.problem.parameters)
            if not isinstance(parameter, (Fixed, Context))
        }

    def _repaired(self, wanted: Mapping[str, Value], solve: bool = True) -> Point | None:
        return nearest_valid(self.problem, wanted) if solve else quickly_valid(self.problem, wanted)

    def spread(self, row: Array) -> Point | None:
        """A point from one number in [0, 1) for each parameter that is chosen, each value of it equally likely.

        None where it breaks a constraint: a design rejects such points rather than moving them to an edge.
        """
        return self.spread_many(row[None, :])[0]

    def spread_many(self, rows: Array) -> list[Point | None]:
        """`spread` for each row."""
        lab = self.spread_lab(rows)
        return [
            point if good else None
            for point, good in zip(self.table.write(lab), self.table.holds(lab), strict=True)
        ]

    def spread_lab(self, rows: Array) -> Array:
        """The lab values that `spread` checks."""
        lab = np.full((len(rows), len(self.columns)), math.nan)
        for place, (parameter, each) in enumerate(zip(self.problem.parameters, self.columns, strict=True)):
            if isinstance(parameter, Fixed):
                lab[:, place] = each.listed()[0]
        for number, place in enumerate(self.axes):
            lab[:, place] = self.columns[place].choose(rows[:, number])
        return lab

    # -- all of them

    def every(self) -> Iterator[Point]:
        """All points of a finite space that can be staged, in order."""
        yield from self.listed(None) or ()

    def listed(self, limit: int | None) -> list[Point] | None:
        """All points that can be staged, in order, where the space is finite and there are at most `limit`.

        None also where finding them takes too many partial points. Sums that cannot be reached any more are given
        up early: a mixture in steps has few points in a space of very many.
        """
        if self.size is None:
            return None
        lab = np.full((1, len(self.columns)), math.nan)
        for place, (parameter, each) in enumerate(zip(self.problem.parameters, self.columns, strict=True)):
            if isinstance(parameter, Context):
                continue
            if limit is not None and len(lab) * (each.count or 1) > _PARTIAL * limit:
                return None
            there = self._exists(lab, place)
            parts = np.repeat(lab[there], each.count or 1, axis=0)
            parts[:, place] = np.tile(each.listed(), int(there.sum()))
            order = np.argsort(
                np.concatenate([np.repeat(np.flatnonzero(there), each.count or 1), np.flatnonzero(~there)]),
                kind="stable",
            )
            lab = np.concatenate([parts, lab[~there]])[order]
            lab = lab[self._reachable(lab, place + 1)]
        lab = lab[self.table.holds(lab)]
        return None if limit is not None and len(lab) > limit else list(self.table.write(lab))

    def _exists(self, lab: Array, place: int) -> Mask:
        return np.asarray(self.table.active(lab)[:, place])

    def _reachable(self, lab: Array, done: int) -> Mask:
        """Which rows of the first `done` parameters can still be completed, as far as sums tell."""
        good = np.ones(len(lab), dtype=np.bool_)
        active = self.table.active(lab)
        for rule in self.problem.constraints:
            if not isinstance(rule, (Linear, Mixture)):
                continue
            linear = rule.sum if isinstance(rule, Mixture) else rule
            least = most = np.zeros(len(lab))
            size = abs(linear.bound)
            for name, factor in linear.coefficients:
                place = self.table.places[name]
                if place < done:
                    term = factor * np.where(active[:, place], np.nan_to_num(lab[:, place]), 0.0)
                    least, most = least + term, most + term
                else:
                    listed = self.columns[place].listed()
                    ends = [factor * float(listed.min()), factor * float(listed.max())]
                    ends += [0.0] if self.problem.parameters[place].when is not None else []
                    least, most = least + min(ends), most + max(ends)
                    size = max(size, *map(abs, ends))
            slack = 1e-6 * max(size, 1.0)
            good &= (least <= linear.bound + slack) | (linear.operator == ">=")
            good &= (most >= linear.bound - slack) | (linear.operator == "<=")
        return good

    # -- beside a point

    def neighbours(self, point: Point) -> Iterator[Point]:
        """Points that differ in one parameter of few values (any other category, the next value up or down), or
        in which two parts of a mixture with few parts have changed places."""
        (row,) = self._lab(self.encode([point]))
        wanted = self._wanted(row)
        for place, parameter in enumerate(self.problem.parameters):
            each = self.columns[place]
            if isinstance(parameter, (Fixed, Context)) or parameter.name not in point:
                continue
            if each.count is None or each.count > FEW:
                continue
            listed = each.listed()
            here = int(np.argmin(np.abs(listed - row[place])))
            steps = (here - 1, here + 1) if each.ordered else range(len(listed))
            for step in steps:
                if step != here and 0 <= step < len(listed):
                    moved = row.copy()
                    moved[place] = listed[step]
                    yield from self._near(self._wanted(moved), point)
        for rule in self.problem.constraints:
            if isinstance(rule, Mixture) and rule.at_most is not None:
                for one, other in itertools.permutations(rule.parameters, 2):
                    if wanted[one] and not wanted[other]:
                        yield from self._near({**wanted, one: 0.0, other: wanted[one]}, point)

    def _near(self, wanted: Mapping[str, Value], point: Point) -> Iterator[Point]:
        found = self._repaired(wanted)
        if found is not None and found != point:
            yield found

    # -- constraints in the cube

    def constraints(self, row: Array) -> list[tuple[str, Array]]:
        """Each linear constraint, mixture's sum and expression at a row of the cube: ("ineq" or "eq", [value,
        *slope by column]).

        Valid where an "ineq" value is >= 0 and an "eq" value is 0. Scaled so that 1 is about the whole range.
        """
        key = row.tobytes()
        if (
            self._kept.get("row") != key
        ):  # a search asks for each rule, and for its value and its slope, in turn
            self._kept.update(row=key, rules=self._constraints(row))
        found: list[tuple[str, Array]] = self._kept["rules"]
        return found

    def _constraints(self, row: Array) -> list[tuple[str, Array]]:
        amounts, slopes = self._unscaled(row)
        found = []
        for rule, size in zip(self._rules, self._sizes, strict=True):
            packed = np.zeros(1 + self.width)
            if isinstance(rule, Expression):
                packed[0], along = margin_and_slope(rule, {name: amounts[name] for name in rule.names})
                if math.isnan(packed[0]):
                    packed[0] = -size
            else:
                sign = 1.0 if rule.operator == ">=" else -1.0
                along = {name: sign * factor for name, factor in rule.coefficients}
                packed[0] = sum(along[name] * amounts[name] for name in along) - sign * rule.bound
            for name, slope in along.items():
                if name in slopes:
                    packed[1 + self.slices[self.table.places[name]].start] += slope * slopes[name]
            equal = isinstance(rule, Linear) and rule.operator == "=="
            found.append(("eq" if equal else "ineq", packed / size))
        return found

    @cached_property
    def _rules(self) -> list[Linear | Expression]:
        """Those with a value and a slope; a mixture's number of parts and exclusions are kept by repair."""
        return [
            each.sum if isinstance(each, Mixture) else each
            for each in self.problem.constraints
            if isinstance(each, (Linear, Mixture, Expression))
        ]

    @cached_property
    def _sizes(self) -> list[float]:
        """How far each rule's value ranges over the space, about."""
        shares = np.random.default_rng(0).random((_SAMPLE, self.dimensions))
        amounts: Any = self.table.amounts(self.spread_lab(shares))
        sizes = []
        for rule in self._rules:
            if isinstance(rule, Linear):
                ranges = {name: np.ptp(self._ends(name)) for name, _ in rule.coefficients}
                sizes.append(
                    sum(abs(factor) * float(ranges[name]) for name, factor in rule.coefficients) or 1.0
                )
            else:
                seen = np.abs(margins(rule, amounts))
                sizes.append(float(np.nanmedian(seen)) if np.isfinite(seen).any() else 1.0)
        return [each or 1.0 for each in sizes]

    def _ends(self, name: str) -> tuple[float, float]:
        each = self.columns[self.table.places[name]]
        return (each.low, each.high) if isinstance(each, Line) else (0.0, 0.0)

    def amounts(self, rows: Array) -> dict[str, Array]:
        """What each parameter counts as in an expression, at rows of the cube: 0 where it is not active."""
        return self.table.amounts(self._lab(rows))

    def _unscaled(self, row: Array) -> tuple[dict[str, float], dict[str, float]]:
        """What each number of the rules counts as, and its slope along its column; 0 and none where not active."""
        active = self.table.active(self._lab(row[None, :]))[0] if self._conditional else None
        amounts: dict[str, float] = {}
        slopes: dict[str, float] = {}
        for name in {name for rule in self._rules for name in rule.names}:
            place = self.table.places[name]
            parameter, each = self.problem.parameters[place], self.columns[place]
            if active is not None and not active[place]:
                amounts[name] = 0.0
            elif isinstance(parameter, Fixed):
                amounts[name] = float(parameter.value)
            else:
                assert isinstance(each, Line), "rules are about numbers"
                amounts[name], slopes[name] = each.unscale_one(float(row[self.slices[place].start]))
        return amounts, slopes

    @cached_property
    def _conditional(self) -> bool:
        return any(each.when is not None for each in self.problem.parameters)
