"""What pydantic finds wrong, in Labqueue's words: field, value, what is allowed, what to do."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from labqueue.errors import FieldError
from labqueue.problem import did_you_mean

_PLAIN = {
    "missing": "is missing.",
    "extra_forbidden": "is not known here.",
    "bool_type": "must be true or false.",
    "bool_parsing": "must be true or false.",
    "string_type": "must be text.",
    "float_type": "must be a number.",
    "finite_number": "must be a finite number.",
    "int_type": "must be a whole number.",
    "int_parsing": "must be a whole number.",
    "int_from_float": "must be a whole number.",
    "list_type": "must be a list.",
    "tuple_type": "must be a list.",
    "dict_type": "must be an object.",
    "model_type": "must be an object.",
    "model_attributes_type": "must be an object.",
    "uuid_type": "must be a UUID.",
    "uuid_parsing": "must be a UUID.",
    "datetime_type": "must be a date and time in ISO 8601.",
    "datetime_parsing": "must be a date and time in ISO 8601.",
    "datetime_from_date_parsing": "must be a date and time in ISO 8601.",
    "datetime_object_invalid": "must be a date and time in ISO 8601.",
    "timezone_aware": "must name its time zone, as in 2026-01-31T12:00:00Z.",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "must be at least {}."),
    "greater_than": ("gt", "must be more than {}."),
    "less_than_equal": ("le", "must be at most {}."),
    "less_than": ("lt", "must be less than {}."),
    "string_too_long": ("max_length", "must have at most {} letters."),
    "string_too_short": ("min_length", "must have at least {} letters."),
    "too_long": ("max_length", "must have at most {} entries."),
    "too_short": ("min_length", "must have at least {} entries."),
}


def field_errors(
    kind: type[BaseModel] | None, faults: Iterable[Mapping[str, Any]], place: str = ""
) -> list[FieldError]:
    """`faults` as pydantic lists them, found in a `kind` (None: in no model, as in a query)."""
    return [_field_error(kind, fault, place) for fault in faults]


def _field_error(kind: type[BaseModel] | None, fault: Mapping[str, Any], place: str) -> FieldError:
    where: tuple[int | str, ...] = fault["loc"]
    name, type_, context = where_text(where, place), fault["type"], fault.get("ctx") or {}
    value = None if type_ == "missing" else shown(fault.get("input"))
    if type_ == "extra_forbidden":
        known = sorted(_fields(kind, where[:-1])) if kind else []
        hint = did_you_mean(where[-1], known)
        return FieldError(name, _PLAIN[type_], value, ", ".join(known), hint)
    if type_ == "literal_error":
        allowed = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
        hint = did_you_mean(fault.get("input"), allowed.split(", "))
        return FieldError(name, f"must be one of {allowed}.", value, allowed, hint)
    if type_ in _BOUNDS:
        key, text = _BOUNDS[type_]
        return FieldError(name, text.format(context.get(key)), value, context.get(key))
    if type_ == "value_error":
        return FieldError(name, str(context.get("error", fault["msg"])), value)
    return FieldError(name, _PLAIN.get(type_, f"cannot be used: {fault['msg']}."), value)


def where_text(where: tuple[int | str, ...], place: str = "") -> str:
    """("items", 3, "tau") -> items[3].tau"""
    text = place
    for each in where:
        text += f"[{each}]" if isinstance(each, int) else f".{each}" if text else str(each)
    return text or "body"


def shown(value: Any) -> Any:
    """A wrong value as it may stand in an answer: short, and JSON."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 100 else text[:97] + "..."


def _fields(kind: type[BaseModel], where: tuple[int | str, ...]) -> list[str]:
    """The fields known at a place within `kind`."""
    found: type[BaseModel] = kind
    for each in where:
        field = found.model_fields.get(str(each))
        if isinstance(each, int) or field is None:
            continue
        found = _model_in(field.annotation) or found
    return list(found.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Annotated, Union, types.UnionType, list, tuple):
        return next((found for each in get_args(annotation) if (found := _model_in(each))), None)
    return None
