"""A session's lock: one caller drives the session, everybody else reads it. ALchemist's is advice; this one holds, for
a day after its holder last changed something or showed its token: one that was left behind blocks nobody for ever.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from models.domain import records as r
from services.fronts.alchemist.refusals import Refusal
from services.fronts.alchemist.visit import Visit, Visitor
from services.ports import Store, Transaction

from . import audit
from .keeping import LOCK, SESSION, find, hold, note, text_of

#: The event that a lock was taken or given up: `locked`, `locked_by`, `locked_at`; its queue is the session's.
CHANGED = "session.lock_changed"
HEADER, WORD = "x-lock-token", "lock_token"
LEASE = timedelta(days=1)
#: No request writes only to renew what was renewed just now.
_FRESH = timedelta(minutes=10)
_OPEN = {"locked": False, "locked_by": None, "locked_at": None, "lock_token": None}


def token_of(visit: Visit) -> str | None:
    """The lock's token as the request shows it: in its query, else in a header."""
    request = visit.request
    return request.query_params.get(WORD) or request.headers.get(HEADER)


def require(tx: Transaction, session_id: str, visitor: Visitor, token: str | None = None) -> None:
    """May this visitor change the session (held)? Raises Refusal (409) while another caller holds its lock."""
    held = _held(tx, session_id)
    if held is None:
        return
    if held["key"] != visitor.key and not _opens(held, token):
        raise _taken(held)
    _renew(tx, session_id, held)


def renew(store: Store, session_id: str, token: str) -> None:
    """Whoever shows the lock's token keeps it, looking on, too."""
    with store.begin() as tx:
        held = _held(tx, session_id)
        if (
            held is not None
            and _opens(held, token)
            and _due(tx, held)
            and tx.documents.lock(SESSION, "", session_id)
        ):
            held = _held(tx, session_id)  # nobody has taken or given it meanwhile
            if held is not None and _opens(held, token):
                _renew(tx, session_id, held)


def status(store: Store, session_id: str) -> dict[str, Any]:
    """Who holds it since when; the token is nobody's to read. Raises Refusal (404)."""
    with store.begin() as tx:
        find(tx, session_id)
        return _shown(_held(tx, session_id))


def take(
    store: Store, session_id: str, visitor: Visitor, by: str, client: str | None, token: str | None
) -> dict[str, Any]:
    """Takes the lock, or takes it again with a new token: who shows the present one, and the same program (caller and
    names) whose answer was lost. Raises Refusal (404; 409 while another holds it)."""
    made = secrets.token_urlsafe(24)
    with store.begin() as tx:
        hold(tx, session_id)
        held = _held(tx, session_id)
        if held is not None and not _same(held, visitor, by, client) and not _opens(held, token):
            raise _taken(held)
        if held is None and (left := tx.documents.get(LOCK, session_id, "")) is not None:
            _note_end(tx, session_id, "lock_expired", left.body, f"silent for {LEASE}", visitor.actor)
        now = text_of(tx.now())
        new = {
            "locked_by": by,
            "client_id": client,
            "locked_at": now,
            "renewed_at": now,
            "key": visitor.key,
            "sha256": _digest(made),
        }
        note(tx, LOCK, session_id, "", new)
        _tell(tx, session_id, visitor.actor, _shown(new))
    return {**_shown(new), WORD: made}


def release(
    store: Store, session_id: str, visitor: Visitor, token: str | None, *, force: bool
) -> dict[str, Any]:
    """Gives the lock up. A token that is shown must be the right one. Without one only its holder may, and where
    `force` anybody: then the audit says who broke it. Raises Refusal (404, 403)."""
    with store.begin() as tx:
        hold(tx, session_id)
        held = _held(tx, session_id)
        if token and (held is None or not _opens(held, token)):
            raise Refusal("Invalid lock token", status=403)
        if held is None:
            return dict(_OPEN)
        if not token and held["key"] != visitor.key:
            if not force:
                raise Refusal(
                    f"Session is locked by {held['locked_by']}. Unlock it with the lock token.", status=403
                )
            why = "unlocked by force, without the token"
            _note_end(tx, session_id, "lock_broken", held, why, visitor.actor)
        tx.documents.remove(LOCK, session_id, "")
        _tell(tx, session_id, visitor.actor, _OPEN)
    return dict(_OPEN)


def _held(tx: Transaction, session_id: str) -> Mapping[str, Any] | None:
    """None also where it has expired."""
    found = tx.documents.get(LOCK, session_id, "")
    return None if found is None or _silent(tx, found.body) > LEASE else found.body


def _silent(tx: Transaction, held: Mapping[str, Any]) -> timedelta:
    return tx.now() - datetime.fromisoformat(held["renewed_at"])


def _due(tx: Transaction, held: Mapping[str, Any]) -> bool:
    return _silent(tx, held) > _FRESH


def _renew(tx: Transaction, session_id: str, held: Mapping[str, Any]) -> None:
    if _due(tx, held):
        note(tx, LOCK, session_id, "", {**held, "renewed_at": text_of(tx.now())})


def _note_end(
    tx: Transaction, session_id: str, kind: str, held: Mapping[str, Any], why: str, actor: str
) -> None:
    was = {name: held[name] for name in ("locked_by", "client_id", "locked_at")}
    audit.record(tx, session_id, kind, was, why, actor)


def _shown(held: Mapping[str, Any] | None) -> dict[str, Any]:
    if held is None:
        return dict(_OPEN)
    return {"locked": True, "locked_by": held["locked_by"], "locked_at": held["locked_at"], WORD: None}


def _same(held: Mapping[str, Any], visitor: Visitor, by: str, client: str | None) -> bool:
    return (held["key"], held["locked_by"], held["client_id"]) == (visitor.key, by, client)


def _opens(held: Mapping[str, Any], token: str | None) -> bool:
    return bool(token) and hmac.compare_digest(str(held["sha256"]), _digest(token or ""))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "backslashreplace")).hexdigest()


def _taken(held: Mapping[str, Any]) -> Refusal:
    return Refusal(
        f"Session is locked by {held['locked_by']} since {held['locked_at']}. Wait until it is unlocked, or send "
        "the lock token as X-Lock-Token.",
        status=409,
    )


def _tell(tx: Transaction, session_id: str, actor: str, shown: Mapping[str, Any]) -> None:
    data = {name: shown[name] for name in ("locked", "locked_by", "locked_at")}
    campaign = tx.campaigns.get(session_id)
    campaign_id = None if campaign is None else campaign.id
    tx.events.add([r.Event(CHANGED, actor, campaign_id=campaign_id, queue=session_id, data=data)])
