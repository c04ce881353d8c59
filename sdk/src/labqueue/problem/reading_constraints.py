"""Reads constraints from JSON, collecting every fault with its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Union

from labqueue.parse import Reader

from .constraints import Among, Constraint, Excluded, Expression, Linear, Mixture, Within
from .expression import LENGTH_LIMIT, ExpressionError
from .numbers import did_you_mean
from .parameters import Categorical, Context, Continuous, Discrete, Fixed, Integer, Parameter
from .reading_parameters import check_kind

#: Each kind, with its own fields.
_FIELDS = {
    "linear": ("coefficients", "operator", "bound"),
    "mixture": ("parameters", "total", "at_most", "least"),
    "expression": ("rule",),
    "excluded": ("combination",),
}
_KINDS = tuple(_FIELDS)
#: Which field tells the kind where none is given, the surest first; what has none of them counts as linear.
_TELLING = ("coefficients", "rule", "combination", *_FIELDS["mixture"])
#: Other words for an expression, which are near to `linear` only as they are written.
_EXPRESSIONS = ("nonlinear", "non-linear", "non_linear", "equation", "formula", "inequality", "function")


def constraint(
    reader: Reader, body: Mapping[str, Any], place: str, parameters: Sequence[Parameter]
) -> Constraint | None:
    numeric = [
        each.name
        for each in parameters
        if isinstance(each, (Continuous, Integer, Discrete))
        or (isinstance(each, Fixed) and not isinstance(each.value, str))
    ]
    given = body.get("kind")
    if isinstance(given, str) and given.lower() in _EXPRESSIONS:
        hint = "A rule that is not linear is an expression: {kind: expression, rule: x * y <= 1}."
        reader.wrong(f"{place}.kind", f"must be one of {', '.join(_KINDS)}.", given, list(_KINDS), hint)
        return None
    telling = next((each for each in _TELLING if each in body), "coefficients")
    meant = next(each for each in _KINDS if telling in _FIELDS[each])
    if "kind" not in body and meant != "linear":
        text = f"is missing: a constraint with {telling} is of kind {meant}."
        reader.wrong(f"{place}.kind", text, allowed=list(_KINDS))
        return None
    kind = reader.choice(body, "kind", place, _KINDS, default="linear")
    if kind == "linear":
        return _linear(reader, body, place, numeric)
    if kind == "mixture":
        return _mixture(reader, body, place, parameters)
    if kind == "expression":
        return _expression(reader, body, place, numeric)
    return _excluded(reader, body, place, parameters) if kind == "excluded" else None


def _linear(reader: Reader, body: Mapping[str, Any], place: str, numeric: Sequence[str]) -> Linear:
    reader.only(body, ("kind", *_FIELDS["linear"]), place)
    coefficients = reader.object(body.get("coefficients"), f"{place}.coefficients")
    _known(reader, f"{place}.coefficients", coefficients, numeric, "numeric parameter")
    # In the problem's own order: JSON objects have none, and databases change it.
    names = [name for name in numeric if name in coefficients]
    pairs = tuple((name, reader.number(coefficients, name, f"{place}.coefficients")) for name in names)
    if not coefficients and isinstance(body.get("coefficients"), Mapping):
        reader.wrong(f"{place}.coefficients", "must name at least one parameter.")
    operator = reader.choice(body, "operator", place, ("<=", ">=", "=="), default="<=")
    return Linear(pairs, operator, reader.number(body, "bound", place))


def _mixture(reader: Reader, body: Mapping[str, Any], place: str, parameters: Sequence[Parameter]) -> Mixture:
    reader.only(body, ("kind", *_FIELDS["mixture"]), place)
    names = reader.distinct(reader.texts(body, "parameters", place), "parameters", place)
    amounts = {each.name: each for each in parameters if isinstance(each, (Continuous, Discrete))}
    _known(reader, f"{place}.parameters", names, list(amounts), "continuous or discrete parameter")
    faults = len(reader.errors)
    total = reader.positive(body, "total", place, default=1.0)
    least = reader.number(body, "least", place, default=0.0)
    if len(reader.errors) == faults and not 0 <= least <= total:
        reader.wrong(f"{place}.least", f"must be from 0 to the total ({total:g}).", least)
    at_most = None if body.get("at_most") is None else reader.whole(body, "at_most", place, low=1)
    for name in names:
        each = amounts.get(name)
        low = (
            None
            if each is None
            else (min(each.values, default=0.0) if isinstance(each, Discrete) else each.low)
        )
        if low is not None and (low < 0 or (at_most is not None and low > 0)):
            rule = "start at 0" if at_most is not None else "not be negative"
            reader.wrong(f"{place}.parameters", f"name {name}, which must {rule} in a mixture.", low)
    return Mixture(names, total, at_most, least)


def _expression(
    reader: Reader, body: Mapping[str, Any], place: str, numeric: Sequence[str]
) -> Expression | None:
    reader.only(body, ("kind", *_FIELDS["expression"]), place)
    faults = len(reader.errors)
    rule = reader.text(body, "rule", place, limit=LENGTH_LIMIT)
    if len(reader.errors) > faults:
        return None
    try:
        found = Expression.parse(rule)
    except ExpressionError as error:
        reader.wrong(f"{place}.rule", f"{error}.", rule)
        return None
    _known(reader, f"{place}.rule", found.names, numeric, "numeric parameter")
    if not found.names:
        reader.wrong(f"{place}.rule", "must mention at least one parameter.", rule)
    return found


def _excluded(
    reader: Reader, body: Mapping[str, Any], place: str, parameters: Sequence[Parameter]
) -> Excluded:
    reader.only(body, ("kind", *_FIELDS["excluded"]), place)
    place = f"{place}.combination"
    given = reader.object(body.get("combination"), place)
    known = {each.name: each for each in parameters if not isinstance(each, (Context, Fixed))}
    _known(reader, place, given, list(known), "parameter that is chosen")
    if not given and isinstance(body.get("combination"), Mapping):
        reader.wrong(place, "must name at least one parameter.")
    found = []
    for name in [each for each in known if each in given]:
        found.append((name, _condition(reader, given[name], f"{place}.{name}", known[name])))
    return Excluded(tuple(found))


def _condition(reader: Reader, given: Any, place: str, parameter: Parameter) -> Union[Among, Within]:
    if isinstance(given, Mapping) and not isinstance(parameter, Categorical):
        reader.only(given, ("low", "high"), place)
        ends = {
            end: reader.number(given, end, place) for end in ("low", "high") if given.get(end) is not None
        }
        if not ends:
            reader.wrong(place, "must give low, high or both.", dict(given))
        if len(ends) == 2 and ends["low"] > ends["high"]:
            reader.wrong(f"{place}.high", f"must be at least low ({ends['low']:g}).", ends["high"])
        return Within(ends.get("low"), ends.get("high"))
    values = list(given) if isinstance(given, (list, tuple)) else [given]
    if not values:
        reader.wrong(place, "must give at least one value.", values)
    for value in values:
        wrong = check_kind(parameter, value)
        if wrong is None and not isinstance(parameter, Categorical):
            wrong = parameter.check(value)
        if wrong is not None:
            reader.errors.append(replace(wrong, field=place))
    return Among(tuple(values))


def _known(reader: Reader, place: str, names: Any, known: Sequence[str], what: str) -> None:
    for name in names:
        if name not in known:
            reader.wrong(place, f"name {name}, no {what}.", name, list(known), did_you_mean(name, known))
