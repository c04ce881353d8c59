"""notify: delivers to one webhook what it has not heard of yet."""

from __future__ import annotations

from uuid import UUID

from services.flow.notify import deliver
from workers.bootstrap import Context


def notify(context: Context, webhook_id: str) -> None:
    deliver(context.store, context.courier, UUID(webhook_id))
