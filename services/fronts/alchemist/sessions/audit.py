"""A session's audit log: entries are appended, each with the hash of what it says and that of its predecessor."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from models.domain import records as r
from services.flow.shared import storable
from services.ports import Transaction

from .keeping import AUDIT, text_of

#: How many entries a session has and the hash of the newest; locked by whoever appends.
HEAD = f"{AUDIT}.head"
_FIELDS = ("timestamp", "entry_type", "parameters", "hash", "notes", "previous")

Entry = dict[str, Any]


def record(
    tx: Transaction,
    session_id: str,
    entry_type: str,
    parameters: Mapping[str, Any],
    notes: str = "",
    actor: str = "",
) -> Entry:
    """Appends an entry in the caller's transaction, and answers it as ALchemist shows it."""
    kept = _kept(storable(dict(parameters)))
    entry = {
        "timestamp": text_of(tx.now()),
        "entry_type": entry_type,
        "parameters": kept,
        "hash": digest(kept),
        "notes": notes,
        "actor": actor,
    }
    return append(tx, session_id, [entry])[0]


def append(tx: Transaction, session_id: str, entries: Iterable[Entry]) -> list[Entry]:
    """Entries that have a time and a hash, those of a session file for one; `previous` is written here."""
    tx.documents.add(r.Document(HEAD, session_id, "", {"count": 0, "hash": ""}))
    head = tx.documents.lock(HEAD, session_id, "")
    assert head is not None, "it was just added"
    count, previous = int(head.body["count"]), str(head.body["hash"])
    made = []
    for each in entries:
        made.append({**each, "previous": previous})
        previous = _chained(made[-1])
    if made:
        names = [f"{count + place:09}" for place in range(len(made))]
        documents = [
            r.Document(AUDIT, session_id, name, body) for name, body in zip(names, made, strict=True)
        ]
        head_now = {"count": count + len(made), "hash": previous}
        tx.documents.put([*documents, r.Document(HEAD, session_id, "", head_now)])
    return [shown(each) for each in made]


def entries(tx: Transaction, session_id: str, entry_type: str | None = None) -> list[Entry]:
    """As ALchemist shows them, in order."""
    found = (each.body for each in tx.documents.all(AUDIT, session_id))
    return [shown(each) for each in found if entry_type in (None, "", each["entry_type"])]


def verdict(tx: Transaction, session_id: str) -> str:
    """Is every entry as it was written? Else the first that is not, or that is missing."""
    head = tx.documents.get(HEAD, session_id, "")
    previous, place = "", -1
    for place, each in enumerate(tx.documents.all(AUDIT, session_id)):
        if each.body["previous"] != previous or int(each.name) != place:
            return f"The audit log was changed: entry {place + 1} does not follow the one before."
        previous = _chained(each.body)
    if head is not None and (head.body["count"], head.body["hash"]) != (place + 1, previous):
        return f"The audit log was changed: its end, after entry {place + 1}, is another one."
    return f"Each of the {place + 1} entries follows the one before: none was changed, and none is missing."


def digest(parameters: Any) -> str:
    """Of what an entry says, as ALchemist computes it: SHA-256 of the sorted JSON, 16 hexadecimal digits."""
    text = json.dumps(parameters, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def shown(entry: Mapping[str, Any]) -> Entry:
    return {name: entry[name] for name in _FIELDS if name in entry}


def _chained(entry: Mapping[str, Any]) -> str:
    """The hash that the next entry names: of the whole entry, the hash before it included."""
    return hashlib.sha256(json.dumps(_kept(entry), sort_keys=True).encode()).hexdigest()[:16]


def _kept(value: Any) -> Any:
    """As the database gives it back: 1e22 is a whole number there, and -0.0 is 0.0."""
    if isinstance(value, Mapping):
        return {name: _kept(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_kept(each) for each in value]
    if isinstance(value, float):
        return int(value) if abs(value) >= 1e16 else value + 0.0
    return value
