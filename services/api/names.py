"""Names and ids in paths. A slash within a name is sent as %2F; the guard keeps it apart for the router."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator

from labqueue.errors import NotFoundError
from models.domain import records as r
from services.api.guard import SLASH
from services.flow.shared import campaign_of, queue_of
from services.ports import Store

LARGEST_ID = 2**63 - 1


def _whole_name(text: str) -> str:
    return text.replace(SLASH, "/")


Named = Annotated[str, Path(), AfterValidator(_whole_name)]


def experiment_id(name: int | str) -> int | str:
    """An id where it looks like one and can be one; else a code."""
    if isinstance(name, str):
        if not name.isascii() or not name.isdecimal() or len(name) > 19:
            return name
        name = int(name)
    return name if 0 < name <= LARGEST_ID else str(name)


def find_experiment(store: Store, name: int | str) -> r.Experiment:
    """By id or code. Raises NotFoundError."""
    key = experiment_id(name)
    with store.begin() as tx:
        found = tx.experiments.get([key]) if isinstance(key, int) else tx.experiments.by_code([key])
    if not found:
        raise NotFoundError(f"There is no experiment {str(name)[:200]!r}.")
    return found[0]


def find_campaign(store: Store, name: str) -> r.Campaign:
    """Raises NotFoundError that names the nearest."""
    with store.begin() as tx:
        return campaign_of(tx, name)


def find_queue(store: Store, name: str) -> r.Queue:
    """Raises NotFoundError that names the nearest."""
    with store.begin() as tx:
        return queue_of(tx, name)
