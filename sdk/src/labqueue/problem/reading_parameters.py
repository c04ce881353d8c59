"""Reads parameters from JSON, collecting every fault with its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labqueue.errors import FieldError
from labqueue.parse import LINE_LIMIT, SIZE_LIMIT, Reader, unquoted_text

from .numbers import did_you_mean, did_you_mean_one_of, number, shown, too_large
from .parameters import Categorical, Context, Continuous, Discrete, Fixed, Integer, Parameter, When

DESCRIPTOR_LIMIT = 2000
CATEGORY_LIMIT = 1000
STEP_LIMIT = 1_000_000
#: Numbers are reckoned with to about twelve digits.
FINEST = 1e-12

KINDS = ("continuous", "integer", "discrete", "categorical", "fixed", "context")
#: What Ax calls them: no kinds here, but what is meant can be told.
_ELSEWHERE = {"range": "continuous", "choice": "categorical"}


def check_kind(parameter: Parameter, value: Any) -> FieldError | None:
    """Is this a value of the parameter's kind, whatever its bounds? Category names must be known ones."""
    names: Sequence[str] = ()
    if isinstance(parameter, (Categorical, Context)):
        names = parameter.categories
    if names:
        if isinstance(value, str) and value in names:
            return None
        hint = did_you_mean_one_of(value, names) if isinstance(value, str) else unquoted_text(value)
        allowed = ", ".join(names)
        return FieldError(parameter.name, f"is not one of {allowed}.", shown(value), allowed, hint)
    if isinstance(parameter, Fixed) and isinstance(parameter.value, str):
        return None if isinstance(value, str) else FieldError(parameter.name, "is not text.", shown(value))
    given = number(value)
    if given is None:
        return FieldError(parameter.name, "is not a finite number.", shown(value))
    return None if abs(given) <= SIZE_LIMIT else too_large(parameter.name, value)


def parameter(
    reader: Reader, body: Mapping[str, Any], place: str, before: Sequence[Parameter]
) -> Parameter | None:
    kind = reader.choice(body, "kind", place, KINDS, meant=_ELSEWHERE)
    name = reader.text(body, "name", place, limit=LINE_LIMIT)
    if kind == "categorical":
        return _categorical(reader, body, place, name, before)
    if kind == "context" and "categories" in body:
        reader.only(body, ("name", "kind", "categories"), place)
        return Context(
            name, categories=reader.distinct(reader.texts(body, "categories", place), "categories", place)
        )
    unit = reader.text(body, "unit", place, default="", limit=LINE_LIMIT)
    if kind == "fixed":
        reader.only(body, ("name", "kind", "value", "unit", "when"), place)
        value = body.get("value")
        if not isinstance(value, str) and number(value) is None:
            reader.wrong(f"{place}.value", "must be a number or text.", shown(value))
            value = 0.0
        if isinstance(value, str):
            reader.printable(value, f"{place}.value", LINE_LIMIT)
        elif not reader.sized(value, f"{place}.value"):  # type: ignore[arg-type]
            value = 0.0
        return Fixed(name, value, unit, _when(reader, body, place, before))  # type: ignore[arg-type]
    if kind == "discrete":
        reader.only(body, ("name", "kind", "values", "unit", "log", "when"), place)
        values = reader.distinct(reader.numbers(body, "values", place), "values", place)
        log = _log(reader, body, place, min(values, default=1.0), "values")
        return Discrete(name, tuple(sorted(values)), unit, log, _when(reader, body, place, before))
    if kind not in ("continuous", "integer", "context"):
        return None
    return _ranged(reader, body, place, kind, name, unit, before)


def _ranged(
    reader: Reader,
    body: Mapping[str, Any],
    place: str,
    kind: str,
    name: str,
    unit: str,
    before: Sequence[Parameter],
) -> Parameter:
    more = {"continuous": ("log", "step", "when"), "integer": ("log", "when"), "context": ()}[kind]
    reader.only(body, ("name", "kind", "low", "high", "unit", *more), place)
    faults = len(reader.errors)
    low, high = reader.number(body, "low", place), reader.number(body, "high", place)
    if not low < high and len(reader.errors) == faults:
        reader.wrong(f"{place}.high", f"must be greater than low ({low:g}).", high)
    if kind == "context":
        return Context(name, low, high, unit)
    log = _log(reader, body, place, low, "low")
    when = _when(reader, body, place, before)
    if kind == "integer":
        if low != int(low) or high != int(high):
            reader.wrong(f"{place}.low", "and high of an integer must be whole numbers.", [low, high])
        return Integer(name, int(low), int(high), unit, log, when)
    step = None if body.get("step") is None else reader.number(body, "step", place)
    if step is not None and not 0 < step <= high - low and len(reader.errors) == faults:
        reader.wrong(f"{place}.step", "must be positive and fit between low and high.", step)
        step = None
    if step is not None and len(reader.errors) == faults and (high - low) / step > STEP_LIMIT:
        reader.wrong(f"{place}.step", f"makes more than {STEP_LIMIT:,} values; leave it out.", step)
    if step is not None and len(reader.errors) == faults and step < FINEST * max(abs(low), abs(high)):
        reader.wrong(f"{place}.step", f"is too fine for numbers as large as {high:g}; leave it out.", step)
    return Continuous(name, low, high, unit, log, step, when)


def _log(reader: Reader, body: Mapping[str, Any], place: str, least: float, field: str) -> bool:
    faults = len(reader.errors)
    log = reader.flag(body, "log", place, False)
    if log and least <= 0 and len(reader.errors) == faults:
        reader.wrong(f"{place}.{field}", "must be positive on a log scale.", least)
    return log


def _categorical(
    reader: Reader, body: Mapping[str, Any], place: str, name: str, before: Sequence[Parameter]
) -> Categorical:
    reader.only(body, ("name", "kind", "categories", "ordered", "descriptors", "unavailable", "when"), place)
    categories = reader.distinct(reader.texts(body, "categories", place), "categories", place)
    if len(categories) > CATEGORY_LIMIT:
        reader.wrong(f"{place}.categories", f"has more than {CATEGORY_LIMIT} entries.", len(categories))
    ordered = reader.flag(body, "ordered", place, False)
    table = _descriptors(reader, body.get("descriptors"), f"{place}.descriptors", categories)
    if ordered and table:
        reader.wrong(f"{place}.ordered", "cannot be combined with descriptors: the descriptors place them.")
    gone = tuple(reader.texts(body, "unavailable", place)) if body.get("unavailable") else ()
    for each in gone:
        if each not in categories:
            hint = did_you_mean(each, categories)
            reader.wrong(f"{place}.unavailable", f"names {each}, no category.", each, list(categories), hint)
    if categories and not set(categories) - set(gone):
        reader.wrong(f"{place}.unavailable", "leaves no category that can be run.", list(gone))
    return Categorical(name, categories, ordered, table, gone, _when(reader, body, place, before))


def _descriptors(
    reader: Reader, body: Any, place: str, categories: Sequence[str]
) -> Mapping[str, Mapping[str, float]]:
    if body is None or body == {}:
        return {}
    table = reader.object(body, place)
    if not _texts(reader, table, place, "category"):
        return {}
    rows = [_texts(reader, table[each], f"{place}.{each}", "descriptor") for each in table]
    if not all(rows):
        return {}
    if _wrong_way_round(table, categories):
        reader.wrong(
            place,
            "is given the wrong way round: by descriptor, and not by category.",
            shown(table),
            hint=_by_category(table, categories),
        )
        return {}
    for extra in [each for each in table if each not in categories]:
        reader.wrong(
            f"{place}.{extra}", "is no category.", extra, list(categories), did_you_mean(extra, categories)
        )
    # In an order of our own: JSON objects have none, and databases change it.
    names = sorted(next((row for row in table.values() if isinstance(row, Mapping)), {}))
    for name in names:
        reader.printable(name, place, LINE_LIMIT)
    if table and not names:
        reader.wrong(place, "must name at least one descriptor for each category.")
    if len(names) > DESCRIPTOR_LIMIT:
        reader.wrong(place, f"has more than {DESCRIPTOR_LIMIT} descriptors.", len(names), DESCRIPTOR_LIMIT)
    found: dict[str, dict[str, float]] = {}
    for category in categories:
        if category not in table:
            reader.wrong(f"{place}.{category}", "is missing: every category needs its row.")
            continue
        row = reader.object(table[category], f"{place}.{category}")
        for name in [each for each in row if each not in names]:
            reader.wrong(f"{place}.{category}.{name}", "is a descriptor that the first row does not have.")
        found[category] = {name: reader.number(row, name, f"{place}.{category}") for name in names}
    return found


def _wrong_way_round(table: Mapping[str, Any], categories: Sequence[str]) -> bool:
    """Is every key something else than a category, and every key inside one?"""
    inside = [row for row in table.values() if isinstance(row, Mapping) and row]
    return (
        0 < len(inside) == len(table)
        and not any(each in categories for each in table)
        and all(each in categories for row in inside for each in row)
    )


def _by_category(table: Mapping[str, Any], categories: Sequence[str]) -> str:
    """The shape, shown by the first category and descriptor where their names are short enough to be read."""
    shape = "Write {category: {descriptor: number}}"
    category, descriptor = categories[0], next(iter(table))
    value = number(table[descriptor].get(category))
    if value is None or not f"{category}{descriptor}".isprintable() or len(category) + len(descriptor) > 80:
        return f"{shape}."
    return f'{shape}: {{"{category}": {{"{descriptor}": {value:g}, ...}}, ...}}.'


def _texts(reader: Reader, row: Any, place: str, what: str) -> bool:
    """Are the keys text? JSON knows no others; YAML does."""
    odd = [each for each in row if not isinstance(each, str)] if isinstance(row, Mapping) else []
    for each in odd:
        reader.wrong(
            place, f"has the {what} {each!r}, which is no text.", shown(each), hint=unquoted_text(each)
        )
    return not odd


_PARENT = "a parameter that is defined before it, neither continuous nor context"


def _when(reader: Reader, body: Mapping[str, Any], place: str, before: Sequence[Parameter]) -> When | None:
    if body.get("when") is None:
        return None
    place = f"{place}.when"
    given = reader.object(body["when"], place)
    reader.only(given, ("parameter", "is"), place)
    parents = {each.name: each for each in before if not isinstance(each, (Context, Continuous))}
    name = reader.choice(given, "parameter", place, list(parents), why=_PARENT)
    values = given.get("is")
    values = list(values) if isinstance(values, (list, tuple)) else [values]
    if "is" not in given or not values:
        reader.wrong(f"{place}.is", "must give a value, or a list of values.", values or None)
    elif name in parents:
        parent = parents[name]
        for value in values:
            wrong = check_kind(parent, value)
            if wrong is None and not isinstance(parent, Categorical):
                wrong = parent.check(value)
            if wrong is not None:
                text = f"names {shown(value)!r}, no value of {name}."
                reader.wrong(f"{place}.is", text, shown(value), wrong.allowed, wrong.hint)
    return When(name, tuple(each for each in values if isinstance(each, (str, int, float))))
