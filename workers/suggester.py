"""suggest: refills one campaign's queue, or replaces what a newer model would choose better."""

from __future__ import annotations

from services.flow.suggest import suggest as flow
from workers.bootstrap import Context
from workers.keeping import keep_alive


def suggest(context: Context, campaign_id: int) -> None:
    flow(context.store, context.ids, context.learner, campaign_id, context.holder, keep_alive)
