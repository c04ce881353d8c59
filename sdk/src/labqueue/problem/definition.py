"""A problem: what may vary and what is measured. The one definition behind Python, JSON and YAML.

Every parameter and output has a name (any printable text) and a unit that is shown and never converted
silently. Values are frozen; `Problem.from_json` reads a definition and names everything that is wrong with it
at once; `check_point`, `check_run` and `check_outputs` judge what is staged, what was run and what is measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labqueue.errors import FieldError, InvalidError
from labqueue.parse import Reader

from . import reading
from .constraints import Constraint
from .numbers import did_you_mean, listed, shown
from .outputs import DESIRABILITY, LEARN, PARETO, WEIGHTED, Objective, OutcomeConstraint, Output
from .parameters import Context, Fixed, Parameter, Value, typed
from .pool import ROW, Pool
from .reading_parameters import check_kind


@dataclass(frozen=True)
class Problem:
    """What may vary and what is measured.

    combine  how several objectives are one: `pareto` (none is given up for another: a front is found), `weighted`
             (their values are summed, each times its weight) or `desirability` (weighted geometric mean)
    pool     the rows that may be run, instead of parameters
    opaque   no parameters of ours: each experiment carries any JSON as its payload, and the caller suggests
    """

    parameters: tuple[Parameter, ...] = ()
    outputs: tuple[Output, ...] = ()
    objectives: tuple[Objective, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    opaque: bool = False
    combine: str = WEIGHTED
    outcome_constraints: tuple[OutcomeConstraint, ...] = ()
    pool: Pool | None = None
    _by_name: Mapping[str, Parameter] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {parameter.name: parameter for parameter in self.parameters})

    @property
    def names(self) -> tuple[str, ...]:
        """Of all parameters, the context included."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def planned(self) -> tuple[Parameter, ...]:
        """The parameters that a planned point has: all but the context, which is measured."""
        return tuple(each for each in self.parameters if not isinstance(each, Context))

    @property
    def context(self) -> tuple[Context, ...]:
        return tuple(each for each in self.parameters if isinstance(each, Context))

    @property
    def output_names(self) -> tuple[str, ...]:
        return tuple(output.name for output in self.outputs)

    @property
    def pareto(self) -> bool:
        """Is a front wanted, so that no single score ranks the experiments?"""
        return self.combine == PARETO and len(self.objectives) > 1

    @property
    def learning(self) -> bool:
        """Is nothing to be made best, but everything to be known well (active learning)?"""
        return bool(self.objectives) and all(each.goal == LEARN for each in self.objectives)

    def parameter(self, name: str) -> Parameter:
        return self._by_name[name]

    def output(self, name: str) -> Output:
        return next(each for each in self.outputs if each.name == name)

    def active(self, point: Mapping[str, Any]) -> tuple[Parameter, ...]:
        """The planned parameters that exist at this point: a conditional one only where its condition holds."""
        found: dict[str, Parameter] = {}
        for each in self.planned:
            if each.when is None:
                found[each.name] = each
                continue
            other = found.get(each.when.parameter)
            if other is None:
                continue
            value = other.value if isinstance(other, Fixed) else point.get(other.name)
            if value in each.when.values:
                found[each.name] = each
        return tuple(found.values())

    def values(self, outputs: Mapping[str, float]) -> tuple[float, ...] | None:
        """What is maximized of each objective; None where an output of one is missing or nothing is wanted."""
        if (
            not self.objectives
            or self.learning
            or any(each.output not in outputs for each in self.objectives)
        ):
            return None
        return tuple(each.value(float(outputs[each.output])) for each in self.objectives)

    def score(self, outputs: Mapping[str, float]) -> float | None:
        """The one number that is maximized; None where an output is missing or a front is wanted."""
        values = self.values(outputs)
        if values is None or self.pareto:
            return None
        if self.combine == DESIRABILITY:
            shares = [each.desirability(float(outputs[each.output])) for each in self.objectives]
            if min(shares) <= 0:
                return 0.0
            weights = [each.weight for each in self.objectives]
            logs = [weight * math.log(share) for weight, share in zip(weights, shares)]
            return math.exp(math.fsum(logs) / math.fsum(weights))
        return math.fsum(each.weight * value for each, value in zip(self.objectives, values))

    def admissible(self, outputs: Mapping[str, float]) -> bool:
        """Do these outputs satisfy every outcome constraint? A missing one does not."""
        return all(each.holds(outputs) for each in self.outcome_constraints)

    def front(self, measured: Sequence[Mapping[str, float]]) -> list[int]:
        """The places of those that no other one beats: admissible, and no other admissible one is at least as good
        in every objective and better in one."""
        values = [(place, self.values(each)) for place, each in enumerate(measured) if self.admissible(each)]
        known = [(place, each) for place, each in values if each is not None]
        return [
            place
            for place, mine in known
            if not any(
                other != mine and all(left >= right for left, right in zip(other, mine)) for _, other in known
            )
        ]

    def check_point(self, point: Any) -> list[FieldError]:
        """Everything wrong with the parameters of one experiment; empty where they can be staged."""
        errors = self._check(point, run=False)
        if not errors and self.pool is None:
            active = {each.name for each in self.active(point)}
            whole = {**self._fixed(active), **point}
            errors = [wrong for each in self.constraints for wrong in [each.check(whole)] if wrong]
        return errors

    def check_run(self, point: Any) -> list[FieldError]:
        """Everything wrong with the parameters of an experiment that was run elsewhere. Out of bounds, off its steps or
        against constraints it has been measured all the same; but its parameters are all there, of their kinds, and
        those of a pool's rows or with a fixed value are as the problem says."""
        return self._check(point, run=True)

    def _check(self, point: Any, run: bool) -> list[FieldError]:
        allowed = ", ".join(each.name for each in self.planned)
        if not isinstance(point, Mapping):
            return [FieldError("parameters", "must be an object of name: value.", shown(point), allowed)]
        if self.pool is not None:
            return self.pool.check(point)
        errors = [
            FieldError(str(name), "is no parameter of this problem.", shown(point[name]), allowed, hint)
            for name in point
            if name not in self._by_name
            for hint in [did_you_mean(name, self.names)]
        ]
        active = {each.name for each in self.active(point)}
        for parameter in self.parameters:
            wrong = _check_one(parameter, point, parameter.name in active, run)
            errors.extend([wrong] if wrong else [])
        return errors

    def check_actual(self, name: str, value: Any) -> FieldError | None:
        """What is wrong with what a parameter really was: it may be out of its bounds, but not of another kind."""
        if name not in self._by_name:
            known = ", ".join(self.names)
            return FieldError(name, "is no parameter.", shown(value), known, did_you_mean(name, self.names))
        return check_kind(self._by_name[name], value)

    def check_outputs(self, outputs: Mapping[str, Any], outstanding: Iterable[str] = ()) -> list[FieldError]:
        """Everything wrong with measured outputs: not numbers, or missing without being outstanding.

        An output that the problem does not name is no error, whatever it is: it is kept beside the result.
        """
        later = set(outstanding)
        mine = {each.name: each for each in self.outputs}
        errors = [
            wrong
            for name, value in outputs.items()
            if name in mine
            for wrong in [mine[name].check(value)]
            if wrong
        ]
        extra = [name for name in outputs if name not in self.output_names]
        for name in self.output_names:
            if name not in outputs and name not in later:
                came = (
                    f"What came instead: {listed(extra)}."
                    if extra
                    else "Name it as outstanding if it follows."
                )
                errors.append(FieldError(name, "is missing.", None, ", ".join(self.output_names), came))
        errors += [
            FieldError(
                "outstanding",
                f"names {listed([name])}, which is no output.",
                shown(name),
                ", ".join(self.output_names),
            )
            for name in sorted(later)
            if name not in self.output_names
        ]
        return errors

    def normal(self, point: Mapping[str, Any]) -> dict[str, Value]:
        """A checked point in the problem's own order and types (1.0 for an integer becomes 1), fixed parameters
        filled in and inactive ones left out."""
        if self.pool is not None:
            return {name: point[name] for name in (ROW, *self.pool.columns) if name in point}
        active = self.active(point)
        return {each.name: typed(each, point.get(each.name)) for each in active}

    def ordered(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """The same point in the problem's own order: databases and JSON objects keep none."""
        names = (ROW, *self.pool.columns) if self.pool is not None else self.names
        return {name: point[name] for name in names if name in point}

    def _fixed(self, active: Iterable[str]) -> dict[str, Value]:
        return {
            each.name: each.value
            for each in self.parameters
            if isinstance(each, Fixed) and each.name in active
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "parameters": [each.to_json() for each in self.parameters],
            "outputs": [each.to_json() for each in self.outputs],
            "objectives": [each.to_json() for each in self.objectives],
            "constraints": [each.to_json() for each in self.constraints],
            "opaque": self.opaque,
            "combine": self.combine,
            "outcome_constraints": [each.to_json() for each in self.outcome_constraints],
            **({} if self.pool is None else {"pool": self.pool.to_json()}),
        }

    @classmethod
    def from_json(cls, body: Any) -> Problem:
        """Reads a definition. Raises InvalidError that names every wrong field, not only the first."""
        reader = Reader()
        parts = reading.read(reader, reader.object(body, "problem"))
        if reader.errors:
            raise InvalidError("The problem cannot be used as it stands.", errors=reader.errors)
        return cls(**parts)


def _check_one(parameter: Parameter, point: Mapping[str, Any], active: bool, run: bool) -> FieldError | None:
    given = point.get(parameter.name)
    if isinstance(parameter, Context):
        if given is None:
            return None
        return FieldError(parameter.name, "is context: it is measured, not planned.", shown(given))
    if not active:
        if given is None:
            return None
        return FieldError(parameter.name, f"exists only where {parameter.when}.", shown(given))
    if given is None and isinstance(parameter, Fixed):
        return None
    if parameter.name not in point:
        return FieldError(parameter.name, "is missing.", None, parameter.allowed)
    if run and not isinstance(parameter, Fixed):
        return check_kind(parameter, given)
    return parameter.check(given)
