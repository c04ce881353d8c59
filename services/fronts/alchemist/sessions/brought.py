"""What a session file had that is neither a variable, a row nor a pending item here: it goes out again as it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from models.domain import records as r
from services.ports import Transaction

Json = dict[str, Any]

_KIND = "alchemist.brought"


@dataclass(frozen=True)
class Brought:
    """names      experiment id (as text): what the file called it, which was a row, an item or both
    since      by the file's name of an item: when it was staged there
    items      items that ended before they came here, as the file had them
    order      the file's names of all its items, in its order
    rows       rows that cannot be experiments here: without a value, or of variables that are gone
    space      constraints and derived variables that have no meaning here
    audit      search_space and experiment_data of the audit log
    provenance records by the name of their row
    model      model_config, and `asked`: the session's wish as it was made of it
    more       whatever else stood at the top of the file
    """

    names: Mapping[str, str] = field(default_factory=dict)
    since: Mapping[str, str] = field(default_factory=dict)
    items: tuple[Json, ...] = ()
    order: tuple[str, ...] = ()
    rows: tuple[Json, ...] = ()
    space: Mapping[str, Any] = field(default_factory=dict)
    audit: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Json] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)


def keep(tx: Transaction, session_id: str, brought: Brought) -> None:
    tx.documents.put([r.Document(_KIND, session_id, "", asdict(brought))])


def of(tx: Transaction, session_id: str) -> Brought:
    found = tx.documents.get(_KIND, session_id, "")
    if found is None:
        return Brought()
    lists = {name: tuple(found.body[name]) for name in ("items", "order", "rows")}
    return Brought(**{**found.body, **lists})
