"""Tokens: who may do what, once the server is reached from elsewhere."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from models.domain import records as r
from services.api import shapes
from services.api.answers import Json, page
from services.api.call import Admitted
from services.api.schemas import Body, Name, Number
from services.api.spec import says
from services.flow import tokens
from services.ports import Store

router = APIRouter(prefix="/tokens", tags=["operation"])


class TokenBody(Body):
    """Scopes: `admin`, `queue:NAME` (adapters of that queue), `campaign:NAME` (its people and scripts)."""

    name: Name
    scopes: Annotated[list[Name], Field(min_length=1, max_length=100)]
    days: Annotated[Number, Field(gt=0, le=36500)] | None = None


EXAMPLE = {"name": "hplc-2", "scopes": ["queue:flow-reactor"], "days": 365}
TOKEN = {
    "id": "5d3c2b1a-0f9e-4d8c-9b7a-6f5e4d3c2b1a",
    "name": "hplc-2",
    "scopes": ["queue:flow-reactor"],
    "created_at": "2026-01-31T12:00:00Z",
    "expires_at": "2027-01-31T12:00:00Z",
    "revoked_at": None,
}


@router.post(
    "",
    summary="Make a token; its text is shown this once",
    **says(TokenBody, example=EXAMPLE, answer={**TOKEN, "token": "lq_..."}, status=201),
)
async def issue_token(call: Admitted) -> Response:
    """From the first token on, every request needs one."""
    call.caller.must_administer()
    body = await call.read(TokenBody)
    token, text = await call.act(
        tokens.issue, call.store, call.context.ids, body.name, body.scopes, body.days, call.actor
    )
    call.server.access.forget()
    return Json({**shapes.token(token), "token": text}, 201)


@router.get("", summary="All tokens, without their texts", **says(answer={"items": [TOKEN], "next": None}))
async def list_tokens(call: Admitted) -> Response:
    call.caller.must_administer()
    return page([shapes.token(each) for each in await call.run(_all, call.store)], None)


@router.delete("/{token}", summary="Revoke a token", **says(status=204, problems=(404,)))
async def revoke_token(token: UUID, call: Admitted) -> Response:
    """It stops working within some seconds, everywhere."""
    call.caller.must_administer()
    await call.act(tokens.revoke, call.store, token, call.actor)
    call.server.access.forget()
    return Response(status_code=204)


def _all(store: Store) -> list[r.Token]:
    with store.begin() as tx:
        return tx.tokens.all()
