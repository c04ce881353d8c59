"""notify: webhooks hear of numbered events, in order, at least once."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from labqueue.errors import FieldError, InvalidError, UnavailableError
from models.domain import records as r
from services.ports import Courier, Ids, Store

from .shared import campaign_of

BATCH = 100
LONGEST_WAIT = 3600


def add_webhook(
    store: Store, ids: Ids, url: str, types: Sequence[str], campaign_name: str | None, actor: str
) -> r.Webhook:
    """`types`: event types, or prefixes that end in a dot; none: all. It hears of what happens from now on."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        rule = "http(s)://host/path without user and password"
        raise InvalidError(errors=[FieldError("url", f"must be {rule}.", url[:200], rule)])
    with store.begin() as tx:
        campaign = campaign_of(tx, campaign_name) if campaign_name else None
        hook = r.Webhook(
            ids.uuid(), url, tuple(types), campaign.id if campaign else None, ids.secret(), tx.events.last()
        )
        tx.webhooks.add(hook)
        tx.events.add([r.Event("webhook.added", actor, data={"webhook": str(hook.id)})])
    return hook


def deliver(store: Store, courier: Courier, webhook_id: UUID) -> int:
    """Posts what is new, signed; how many events. A doubled command may deliver twice: each event has its number.
    Whatever goes wrong is tried again, later and later."""
    with store.begin() as tx:
        hook = tx.webhooks.lock(webhook_id)
        if hook is None or hook.state != "active":
            return 0
        last = tx.events.last()
        events = tx.events.after(hook.cursor, BATCH, campaign_id=hook.campaign_id)
    if last == hook.cursor:
        return 0
    if len(events) == BATCH:
        last = events[-1].number or hook.cursor
    # Events of others count as heard: the cursor goes on, or this command would be due for ever.
    events = [each for each in events if (each.number or 0) <= last]
    wanted = [each for each in events if _wants(hook, each.type)]
    delivered = not wanted or _post(courier, hook, wanted)
    with store.begin() as tx:
        now = tx.webhooks.lock(webhook_id)
        if now is None or now.cursor != hook.cursor:
            return 0
        if delivered:
            tx.webhooks.save(replace(now, cursor=last, failures=0, retry_at=None))
        else:
            failures = now.failures + 1
            wait = timedelta(seconds=min(LONGEST_WAIT, 5 * 2 ** min(failures, 12)))
            tx.webhooks.save(replace(now, failures=failures, retry_at=tx.now() + wait))
    return len(wanted) if delivered else 0


def _post(courier: Courier, hook: r.Webhook, events: Sequence[r.Event]) -> bool:
    body = json.dumps({"events": [event_json(each) for each in events]}, default=str).encode()
    signature = hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
    try:
        return 200 <= courier.post(hook.url, body, f"sha256={signature}") < 300
    except UnavailableError:
        return False


def _wants(hook: r.Webhook, kind: str) -> bool:
    return not hook.types or any(
        kind == each or (each.endswith(".") and kind.startswith(each)) for each in hook.types
    )


def event_json(event: r.Event) -> dict[str, object]:
    """An event as every edge shows it."""
    return {
        "number": event.number,
        "at": event.at.isoformat() if event.at else None,
        "type": event.type,
        "actor": event.actor,
        "campaign": event.campaign_id,
        "experiment": event.experiment_id,
        "attempt": str(event.attempt) if event.attempt else None,
        "queue": event.queue,
        "instrument": event.instrument,
        "data": dict(event.data),
    }
