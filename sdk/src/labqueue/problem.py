"""A problem: what may vary and what is measured. The one definition behind Python, JSON and YAML.

Every parameter and output has a name (any printable text) and a unit that is shown and never converted
silently. Values are frozen; `Problem.from_json` reads a definition and names everything that is wrong with it
at once; `check_point` and `check_outputs` judge what is staged and what is measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Union

from .errors import FieldError, InvalidError
from .parse import Reader

Value = Union[float, int, str]

#: A constraint may be missed by this much, relative to the size of its terms: decimal text is not exact.
TOLERANCE = 1e-9

MAXIMIZE, MINIMIZE = "maximize", "minimize"
NAME_LIMIT = 200
PARAMETER_LIMIT = 1000
SHOWN_LIMIT = 100


@dataclass(frozen=True)
class Continuous:
    """A real number in [low, high], in `unit`."""

    name: str
    low: float
    high: float
    unit: str = ""
    log: bool = False  # varies over orders of magnitude: modelled on a log scale
    kind = "continuous"

    def check(self, value: Any) -> FieldError | None:
        number = _number(value)
        if number is None:
            return FieldError(self.name, "is not a finite number.", _shown(value), self.allowed)
        if not self.low <= number <= self.high:
            return FieldError(self.name, f"is outside {self.allowed}.", value, self.allowed)
        return None

    @property
    def allowed(self) -> str:
        return f"{self.low:g} to {self.high:g}" + (f" {self.unit}" if self.unit else "")

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "low": self.low,
            "high": self.high,
            "unit": self.unit,
            "log": self.log,
        }


@dataclass(frozen=True)
class Integer:
    """A whole number in [low, high], in `unit`."""

    name: str
    low: int
    high: int
    unit: str = ""
    kind = "integer"

    def check(self, value: Any) -> FieldError | None:
        number = _number(value)
        if number is None or number != int(number):
            return FieldError(self.name, "is not a whole number.", _shown(value), self.allowed)
        if not self.low <= number <= self.high:
            return FieldError(self.name, f"is outside {self.allowed}.", value, self.allowed)
        return None

    @property
    def allowed(self) -> str:
        return f"{self.low} to {self.high}, whole" + (f", {self.unit}" if self.unit else "")

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, "low": self.low, "high": self.high, "unit": self.unit}


@dataclass(frozen=True)
class Discrete:
    """One of some numbers, in `unit`."""

    name: str
    values: tuple[float, ...]
    unit: str = ""
    kind = "discrete"

    def check(self, value: Any) -> FieldError | None:
        number = _number(value)
        if number is None or number not in self.values:
            return FieldError(self.name, f"is not one of {self.allowed}.", _shown(value), self.allowed)
        return None

    @property
    def allowed(self) -> str:
        return ", ".join(f"{value:g}" for value in self.values) + (f" {self.unit}" if self.unit else "")

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, "values": list(self.values), "unit": self.unit}


@dataclass(frozen=True)
class Categorical:
    """One of some names."""

    name: str
    categories: tuple[str, ...]
    unit = ""
    kind = "categorical"

    def check(self, value: Any) -> FieldError | None:
        if value in self.categories and isinstance(value, str):
            return None
        return FieldError(
            self.name,
            f"is not one of {self.allowed}.",
            _shown(value),
            self.allowed,
            did_you_mean(value, self.categories),
        )

    @property
    def allowed(self) -> str:
        return ", ".join(self.categories)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, "categories": list(self.categories)}


Parameter = Union[Continuous, Integer, Discrete, Categorical]


@dataclass(frozen=True)
class Output:
    """Something that is measured, in `unit`. `noise`: its known standard deviation; None: inferred."""

    name: str
    unit: str = ""
    noise: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "unit": self.unit, "noise": self.noise}


@dataclass(frozen=True)
class Objective:
    """An output to be maximized or minimized. Several are summed, each times its weight (> 0)."""

    output: str
    goal: str = MAXIMIZE
    weight: float = 1.0

    @property
    def sign(self) -> float:
        return 1.0 if self.goal == MAXIMIZE else -1.0

    def to_json(self) -> dict[str, Any]:
        return {"output": self.output, "goal": self.goal, "weight": self.weight}


@dataclass(frozen=True)
class Linear:
    """sum(coefficient * parameter) <=, >= or == bound, over numeric parameters, in lab units."""

    coefficients: tuple[tuple[str, float], ...]
    operator: str
    bound: float

    def check(self, point: Mapping[str, Any]) -> FieldError | None:
        terms = [factor * float(point[name]) for name, factor in self.coefficients]
        total = math.fsum(terms)
        slack = TOLERANCE * max([1.0, abs(self.bound), *(abs(term) for term in terms)])
        holds = {
            "<=": total <= self.bound + slack,
            ">=": total >= self.bound - slack,
            "==": abs(total - self.bound) <= slack,
        }[self.operator]
        if holds:
            return None
        names = " + ".join(f"{factor:g} * {name}" for name, factor in self.coefficients)
        rule = f"{names} {self.operator} {self.bound:g}"
        return FieldError("parameters", f"break the constraint {rule}.", total, rule)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "linear",
            "coefficients": dict(self.coefficients),
            "operator": self.operator,
            "bound": self.bound,
        }


@dataclass(frozen=True)
class Problem:
    """What may vary and what is measured.

    `opaque` problems have no parameters of ours: each experiment carries any JSON as its payload, and the
    caller suggests.
    """

    parameters: tuple[Parameter, ...] = ()
    outputs: tuple[Output, ...] = ()
    objectives: tuple[Objective, ...] = ()
    constraints: tuple[Linear, ...] = ()
    opaque: bool = False
    _by_name: Mapping[str, Parameter] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {parameter.name: parameter for parameter in self.parameters})

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def output_names(self) -> tuple[str, ...]:
        return tuple(output.name for output in self.outputs)

    def parameter(self, name: str) -> Parameter:
        return self._by_name[name]

    def score(self, outputs: Mapping[str, float]) -> float | None:
        """The sum that is maximized; None where an output of an objective is missing or nothing is."""
        if not self.objectives or any(each.output not in outputs for each in self.objectives):
            return None
        return math.fsum(each.sign * each.weight * float(outputs[each.output]) for each in self.objectives)

    def check_point(self, point: Any) -> list[FieldError]:
        """Everything wrong with the parameters of one experiment; empty where they can be staged."""
        if not isinstance(point, Mapping):
            return [
                FieldError(
                    "parameters", "must be an object of name: value.", _shown(point), ", ".join(self.names)
                )
            ]
        errors = [
            FieldError(
                str(name),
                "is no parameter of this problem.",
                _shown(point[name]),
                ", ".join(self.names),
                hint,
            )
            for name in point
            if name not in self._by_name
            for hint in [did_you_mean(name, self.names)]
        ]
        for parameter in self.parameters:
            if parameter.name not in point:
                errors.append(FieldError(parameter.name, "is missing.", None, parameter.allowed))
            else:
                wrong = parameter.check(point[parameter.name])
                errors.extend([wrong] if wrong else [])
        if not errors:
            errors = [wrong for each in self.constraints for wrong in [each.check(point)] if wrong]
        return errors

    def check_outputs(self, outputs: Mapping[str, Any], outstanding: Iterable[str] = ()) -> list[FieldError]:
        """Everything wrong with measured outputs: not numbers, or missing without being outstanding.

        An output that the problem does not name is no error, whatever it is: it is kept beside the result.
        """
        later = set(outstanding)
        errors = [
            FieldError(name, "is not a finite number.", _shown(value))
            for name, value in outputs.items()
            if name in self.output_names and _number(value) is None
        ]
        extra = [name for name in outputs if name not in self.output_names]
        for name in self.output_names:
            if name not in outputs and name not in later:
                came = (
                    f"What came instead: {', '.join(extra)}."
                    if extra
                    else "Name it as outstanding if it follows."
                )
                errors.append(FieldError(name, "is missing.", None, ", ".join(self.output_names), came))
        errors += [
            FieldError(
                "outstanding", f"names {name}, which is no output.", name, ", ".join(self.output_names)
            )
            for name in sorted(later)
            if name not in self.output_names
        ]
        return errors

    def normal(self, point: Mapping[str, Any]) -> dict[str, Value]:
        """A checked point in the problem's own order and types (1.0 for an integer becomes 1)."""
        return {each.name: _typed(each, point[each.name]) for each in self.parameters}

    def ordered(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """The same point in the problem's own order: databases and JSON objects keep none."""
        return {name: point[name] for name in self.names if name in point}

    def to_json(self) -> dict[str, Any]:
        return {
            "parameters": [each.to_json() for each in self.parameters],
            "outputs": [each.to_json() for each in self.outputs],
            "objectives": [each.to_json() for each in self.objectives],
            "constraints": [each.to_json() for each in self.constraints],
            "opaque": self.opaque,
        }

    @classmethod
    def from_json(cls, body: Any) -> Problem:
        """Reads a definition. Raises InvalidError that names every wrong field, not only the first."""
        reader = Reader()
        problem = _read_problem(cls, reader, reader.object(body, "problem"))
        if reader.errors:
            raise InvalidError("The problem cannot be used as it stands.", errors=reader.errors)
        return problem


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """A hint that names the nearest known name, or nothing."""
    near = get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else ""


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number beyond every float
        return None


def _shown(value: Any) -> Any:
    """A value that an answer can carry: what is no short plain value as short text."""
    plain = value is None or isinstance(value, (bool, str)) or _number(value) is not None
    return value if plain and len(str(value)) <= SHOWN_LIMIT else _short(value)


def _short(value: Any) -> str:
    if isinstance(value, int):  # beyond every float, and perhaps too long for Python to print
        return "a whole number too large to reckon with"
    return (value if isinstance(value, str) else repr(value))[:SHOWN_LIMIT]


def _typed(parameter: Parameter, value: Any) -> Value:
    if isinstance(parameter, Categorical):
        return str(value)
    return int(value) if isinstance(parameter, Integer) else float(value)


def _read_problem(cls: type[Problem], reader: Reader, body: Mapping[str, Any]) -> Problem:
    reader.only(body, ("parameters", "outputs", "objectives", "constraints", "opaque"), "problem")
    opaque = reader.flag(body, "opaque", "problem", False)
    parameters = tuple(
        each
        for place, item in reader.objects(body, "parameters", "", PARAMETER_LIMIT)
        for each in [_read_parameter(reader, item, place)]
        if each is not None
    )
    outputs = tuple(
        _read_output(reader, item, place) for place, item in reader.objects(body, "outputs", "", 200)
    )
    for what, names in (("parameters", [p.name for p in parameters]), ("outputs", [o.name for o in outputs])):
        for name in sorted({name for name in names if names.count(name) > 1}):
            reader.wrong(what, f"name {name!r} twice.", name)
    known = [output.name for output in outputs]
    objectives = tuple(
        _read_objective(reader, item, place, known)
        for place, item in reader.objects(body, "objectives", "", 50)
    )
    numeric = [p.name for p in parameters if not isinstance(p, Categorical)]
    constraints = tuple(
        _read_linear(reader, item, place, numeric)
        for place, item in reader.objects(body, "constraints", "", 200)
    )
    if not opaque and not parameters and not reader.errors:
        reader.wrong("parameters", "must name at least one parameter (or set opaque).")
    if not outputs and not reader.errors:
        reader.wrong("outputs", "must name at least one output.")
    return cls(parameters, outputs, objectives, constraints, opaque)


def _read_parameter(reader: Reader, body: Mapping[str, Any], place: str) -> Parameter | None:
    kind = reader.choice(body, "kind", place, ("continuous", "integer", "discrete", "categorical"))
    name = reader.text(body, "name", place, limit=NAME_LIMIT)
    if kind == "categorical":
        reader.only(body, ("name", "kind", "categories"), place)
        return Categorical(
            name, _distinct(reader, reader.texts(body, "categories", place), "categories", place)
        )
    unit = reader.text(body, "unit", place, default="", limit=NAME_LIMIT)
    if kind == "discrete":
        reader.only(body, ("name", "kind", "values", "unit"), place)
        values = _distinct(reader, reader.numbers(body, "values", place), "values", place)
        return Discrete(name, tuple(sorted(values)), unit)
    if kind not in ("continuous", "integer"):
        return None
    reader.only(
        body, ("name", "kind", "low", "high", "unit", *(["log"] if kind == "continuous" else [])), place
    )
    low, high = reader.number(body, "low", place), reader.number(body, "high", place)
    if not low < high and not reader.errors:
        reader.wrong(f"{place}.high", f"must be greater than low ({low:g}).", high)
    if kind == "integer":
        if low != int(low) or high != int(high):
            reader.wrong(f"{place}.low", "and high of an integer must be whole numbers.", [low, high])
        return Integer(name, int(low), int(high), unit)
    log = reader.flag(body, "log", place, False)
    if log and low <= 0 and not reader.errors:
        reader.wrong(f"{place}.low", "must be positive on a log scale.", low)
    return Continuous(name, low, high, unit, log)


def _distinct(reader: Reader, values: Sequence[Any], key: str, place: str) -> tuple[Any, ...]:
    if len(set(values)) != len(values):
        reader.wrong(f"{place}.{key}", "has the same entry twice.", list(values))
    return tuple(values)


def _read_output(reader: Reader, body: Mapping[str, Any], place: str) -> Output:
    reader.only(body, ("name", "unit", "noise"), place)
    noise = None if body.get("noise") is None else reader.number(body, "noise", place)
    if noise is not None and noise < 0:
        reader.wrong(f"{place}.noise", "is a standard deviation and cannot be negative.", noise)
    return Output(
        reader.text(body, "name", place, limit=NAME_LIMIT),
        reader.text(body, "unit", place, default="", limit=NAME_LIMIT),
        noise,
    )


def _read_objective(reader: Reader, body: Mapping[str, Any], place: str, known: Sequence[str]) -> Objective:
    reader.only(body, ("output", "goal", "weight"), place)
    output = reader.choice(body, "output", place, known)
    goal = reader.choice(body, "goal", place, (MAXIMIZE, MINIMIZE), default=MAXIMIZE)
    weight = reader.number(body, "weight", place, default=1.0)
    if weight <= 0:
        reader.wrong(f"{place}.weight", "must be positive; the goal gives the direction.", weight)
    return Objective(output, goal, weight)


def _read_linear(reader: Reader, body: Mapping[str, Any], place: str, numeric: Sequence[str]) -> Linear:
    reader.only(body, ("kind", "coefficients", "operator", "bound"), place)
    reader.choice(body, "kind", place, ("linear",), default="linear")
    coefficients = reader.object(body.get("coefficients"), f"{place}.coefficients")
    for name in coefficients:
        if name not in numeric:
            hint = did_you_mean(name, numeric)
            reader.wrong(f"{place}.coefficients", f"name {name}, no numeric parameter.", name, numeric, hint)
    # In the problem's own order: JSON objects have none, and databases change it.
    names = [name for name in numeric if name in coefficients]
    pairs = tuple((name, reader.number(coefficients, name, f"{place}.coefficients")) for name in names)
    if not coefficients:
        reader.wrong(f"{place}.coefficients", "must name at least one parameter.")
    operator = reader.choice(body, "operator", place, ("<=", ">=", "=="), default="<=")
    return Linear(pairs, operator, reader.number(body, "bound", place))
