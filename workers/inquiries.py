"""inquire: answers one question that needs a model."""

from __future__ import annotations

from uuid import UUID

from services.flow.inquire import answer
from workers.bootstrap import Context


def inquire(context: Context, inquiry_id: str) -> None:
    answer(context.store, context.learner, UUID(inquiry_id))
