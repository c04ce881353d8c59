"""Webhooks: addresses that hear of events, signed, in order, at least once."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from labqueue.errors import NotFoundError
from models.domain import records as r
from services.api import shapes
from services.api.answers import Json, page
from services.api.call import Admitted
from services.api.schemas import Body, Name
from services.api.spec import says
from services.flow.notify import add_webhook
from services.ports import Store

router = APIRouter(prefix="/webhooks", tags=["operation"])


class WebhookBody(Body):
    """`types`: event types, or beginnings of them that end in a dot; none: all."""

    url: Annotated[str, Field(strict=True, max_length=2000)]
    types: list[Name] = Field(default_factory=list, max_length=100)
    campaign: Name | None = None


EXAMPLE = {"url": "https://lab.example/hook", "types": ["experiment.completed"], "campaign": "snar"}
WEBHOOK = {
    **EXAMPLE,
    "id": "1a2b3c4d-5e6f-4a8b-9c0d-1e2f3a4b5c6d",
    "state": "active",
    "cursor": 17,
    "failures": 0,
    "retry_at": None,
    "created_at": "2026-01-31T12:00:00Z",
}


@router.post(
    "",
    summary="Send events to an address",
    **says(
        WebhookBody, example=EXAMPLE, answer={**WEBHOOK, "secret": "..."}, status=201, problems=(404, 422)
    ),
)
async def post_webhook(call: Admitted) -> Response:
    """Each delivery is signed with the secret, which is shown this once: HMAC-SHA256 of the body."""
    call.caller.must_administer()
    body = await call.read(WebhookBody)
    made = await call.act(
        add_webhook, call.store, call.context.ids, body.url, body.types, body.campaign, call.actor
    )
    return Json({**shapes.webhook(made, body.campaign), "secret": made.secret}, 201)


@router.get("", summary="All webhooks", **says(answer={"items": [WEBHOOK], "next": None}))
async def list_webhooks(call: Admitted) -> Response:
    call.caller.must_administer()
    found = await call.run(_all, call.store)
    return page(
        [shapes.webhook(each, await call.hub.campaign_name(each.campaign_id)) for each in found], None
    )


@router.delete("/{webhook}", summary="Send it nothing more", **says(status=204, problems=(404,)))
async def delete_webhook(webhook: UUID, call: Admitted) -> Response:
    call.caller.must_administer()
    if not await call.act(_remove, call.store, webhook, call.actor):
        raise NotFoundError(f"There is no webhook {webhook}.")
    return Response(status_code=204)


def _all(store: Store) -> list[r.Webhook]:
    with store.begin() as tx:
        return tx.webhooks.all()


def _remove(store: Store, id: UUID, actor: str) -> bool:
    with store.begin() as tx:
        removed = tx.webhooks.remove(id)
        if removed:
            tx.events.add([r.Event("webhook.removed", actor, data={"webhook": str(id)})])
    return removed
