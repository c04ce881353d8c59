"""tokens: bearer tokens, hashed, shown once, scoped to a queue, a campaign or everything."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from labqueue.errors import DeniedError, FieldError, InvalidError, NotFoundError
from models.domain import records as r
from services.ports import Ids, Store

from .shared import check_name

PREFIX = 8
MARK = "lq_"
DAYS_LIMIT = 36_500


def issue(
    store: Store, ids: Ids, name: str, scopes: Sequence[str], days: float | None, actor: str
) -> tuple[r.Token, str]:
    """The token's row, and its text, which is shown now and never again. Scopes: `admin`, `queue:NAME`,
    `campaign:NAME`."""
    check_name("token", name)
    if not scopes or not all(_is_scope(each) for each in scopes):
        rule = "admin, queue:NAME or campaign:NAME"
        raise InvalidError(errors=[FieldError("scopes", f"must be {rule}.", list(scopes), rule)])
    if days is not None and not 0 < days <= DAYS_LIMIT:
        rule = f"more than 0 and at most {DAYS_LIMIT:,}"
        raise InvalidError(errors=[FieldError("days", f"must be {rule}.", None, rule)])
    secret = ids.secret()
    prefix, text = secret[:PREFIX], MARK + secret
    with store.begin() as tx:
        expires = tx.now() + timedelta(days=days) if days is not None else None
        token = r.Token(ids.uuid(), name, prefix, _digest(text), tuple(scopes), expires, None, tx.now())
        tx.tokens.add(token)
        data = {"name": name, "scopes": list(scopes)}
        tx.events.add([r.Event("token.issued", actor, data=data)])
    return token, text


def revoke(store: Store, id: UUID, actor: str) -> None:
    with store.begin() as tx:
        if not tx.tokens.revoke(id):
            raise NotFoundError(f"There is no working token {id}.")
        tx.events.add([r.Event("token.revoked", actor, data={"token": str(id)})])


def authenticate(store: Store, text: str) -> r.Token:
    """The token that this text is; raises DeniedError for anything else."""
    prefix = text.removeprefix(MARK)[:PREFIX]
    with store.begin() as tx:
        token = tx.tokens.by_prefix(prefix)
        now = tx.now()
    # Compared in constant time, also where there is no such token.
    right = hmac.compare_digest(_digest(text), token.sha256 if token else _digest(""))
    if token is None or not right or token.revoked_at is not None:
        raise DeniedError("This token is not known here, or was revoked.")
    if token.expires_at is not None and token.expires_at <= now:
        raise DeniedError(f"This token expired at {token.expires_at:%Y-%m-%d %H:%M} UTC. Ask for a new one.")
    return token


def _is_scope(text: str) -> bool:
    kind, _, name = text.partition(":")
    return text == "admin" or (kind in ("queue", "campaign") and name != "")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
