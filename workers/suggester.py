"""suggest: refills one campaign's queue, or replaces what a newer model would choose better."""

from __future__ import annotations

from services.flow.suggest import suggest as flow
from workers.bootstrap import Context
from workers.keeping import keep_alive

#: Suggestions for one campaign where no other one waits for its turn.
IN_A_ROW = 3


def suggest(context: Context, campaign_id: int) -> None:
    """Again at once where it staged something: instruments claimed meanwhile, and a queue that was short is put in
    order only now."""
    for _ in range(IN_A_ROW):
        if not flow(context.store, context.ids, context.learner, campaign_id, context.holder, keep_alive):
            return
        if context.others_wait("suggest"):
            return  # the janitor sends for this one again
