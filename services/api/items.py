"""Batches that are answered item by item: what is wrong with one item does not touch the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from labqueue.errors import FieldError, InvalidError
from services.api.body import check
from services.api.call import Call
from services.api.faults import shown
from services.api.schemas import Body

Model = TypeVar("Model", bound=BaseModel)


class Items(Body):
    """Any objects; each is judged by itself."""

    items: list[Any]


async def items_of(call: Call, limit: int) -> list[Any]:
    """The items of a batch. Raises InvalidError where there is no list of 1 to `limit`, or fewer by the settings."""
    found = check(Items, await call.json()).items
    limit = min(limit, call.context.settings.batch_limit)
    if not 1 <= len(found) <= limit:
        rule = f"1 to {limit} items"
        raise InvalidError(errors=[FieldError("items", f"must be {rule}.", len(found), rule)])
    return found


def sorted_out(kind: type[Model], items: Sequence[Any]) -> tuple[list[Model], list[InvalidError | None]]:
    """The items that can be read, and for each place what is wrong there (None: nothing)."""
    good: list[Model] = []
    faults: list[InvalidError | None] = []
    for item in items:
        try:
            good.append(check(kind, item))
            faults.append(None)
        except InvalidError as error:
            faults.append(error)
    return good, faults


def text_of(item: Any, name: str) -> str:
    """What an item that cannot be read says under `name`, to name it in the answer."""
    value = item.get(name) if isinstance(item, dict) else None
    return value if isinstance(value, str) and len(value) <= 200 else str(shown(value) or "")
