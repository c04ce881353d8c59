"""train: one training of one campaign, if it is due."""

from __future__ import annotations

from services.flow.train import train as flow
from workers.bootstrap import Context
from workers.keeping import keep_alive


def train(context: Context, campaign_id: int) -> None:
    flow(context.store, context.learner, campaign_id, context.holder, keep_alive)
