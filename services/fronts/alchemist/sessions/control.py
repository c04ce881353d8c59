"""The control record: people ask for a run or a pause, the program that drives reports. Nothing here acts on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from models.domain import records as r
from services.fronts.alchemist.refusals import Refusal
from services.ports import Store

from . import audit
from .keeping import find, hold, save, text_of
from .session import Session

#: The event that one half was written: `control` is the whole record; its queue is the session's.
CHANGED = "session.control_changed"
_NEW = {
    "requested": "run",
    "requested_at": None,
    "requested_by": None,
    "reported": "idle",
    "reported_at": None,
    "reported_by": None,
    "detail": None,
}


def read(store: Store, session_id: str) -> dict[str, Any]:
    with store.begin() as tx:
        return record(find(tx, session_id))


def record(session: Session) -> dict[str, Any]:
    return {**_NEW, **session.control}


def write(store: Store, session_id: str, given: Mapping[str, Any], actor: str) -> dict[str, Any]:
    """One half of the record, as ALchemist has it; whoever holds the session's lock, both halves stay open.

    Raises Refusal (400) for both halves or neither. The audit hears of changes, not of each report.
    """
    halves = [name for name in ("requested", "reported") if given.get(name) is not None]
    if len(halves) == 2:
        raise Refusal(
            "Send either `requested` or `reported`, not both: the two halves have different writers and must stay "
            "disjoint."
        )
    if not halves:
        raise Refusal("Send one of `requested` or `reported`.")
    half = halves[0]
    with store.begin() as tx:
        session = hold(tx, session_id)
        before = record(session)
        by = given.get(f"{half}_by")
        changed: dict[str, Any] = {
            half: given[half],
            f"{half}_at": text_of(tx.now()),
            f"{half}_by": by,
        }
        if half == "reported":
            changed["detail"] = given.get("detail")
        now = {**before, **changed}
        save(tx, replace(session, control=now))
        if now[half] != before[half]:
            said = {half: now[half], "by": by}
            if half == "reported":
                said["detail"] = now["detail"]
            audit.record(tx, session_id, f"control_{half}", said, "Consumer control channel", actor)
        campaign = tx.campaigns.get(session_id)
        campaign_id = None if campaign is None else campaign.id
        tx.events.add(
            [r.Event(CHANGED, actor, campaign_id=campaign_id, queue=session_id, data={"control": now})]
        )
    return now
