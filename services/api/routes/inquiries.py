"""Inquiries: questions that need a model. A worker answers; the asker may wait."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from labqueue.errors import NotFoundError, UnavailableError
from models.domain import records as r
from services.api import shapes
from services.api.answers import Json
from services.api.call import Admitted, Call
from services.api.names import Named
from services.api.schemas import WAIT_LIMIT, Body, Wait, Whole
from services.api.spec import says
from services.flow import awaiting, inquire
from services.flow.questions import DESIGN_LIMIT, POINT_LIMIT
from services.ports import Store

router = APIRouter(tags=["inquiries"])

OPEN = ("open", "running")


class SuggestBody(Body):
    """What would be run next? Nothing is staged by asking."""

    count: Annotated[Whole, Field(ge=1, le=DESIGN_LIMIT, description="up to 100, of a design alone more")] = 1
    strategy: Annotated[
        dict[str, Any] | None, Field(description="fields in place of the campaign's strategy")
    ] = None
    problem: Annotated[
        dict[str, Any] | None, Field(description="fields in place of its problem, as other objectives")
    ] = None
    seed: Annotated[
        Whole | None, Field(description="as if nothing were known and nothing in flight: another design each")
    ] = None
    wait: Wait = 30.0


class PredictBody(Body):
    """What does the model expect there?"""

    points: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=POINT_LIMIT)]
    wait: Wait = 30.0


class TrainBody(Body):
    """Wait until a training has seen every result up to now."""

    seconds: Annotated[float, Field(gt=0, le=awaiting.SECONDS_LIMIT, description="until it expires")] = (
        awaiting.SECONDS
    )
    wait: Wait = 30.0


ANSWER = {
    "id": "7c1d2e3f-4a5b-4c6d-8e7f-0a1b2c3d4e5f",
    "kind": "predict",
    "state": "answered",
    "request": {"points": [{"tau": 0.5}]},
    "answer": {"predictions": [{"yield": {"mean": 0.8, "sd": 0.1}}], "model_version": 3},
    "message": "",
    "deadline": "2026-01-31T12:01:00Z",
    "created_at": "2026-01-31T12:00:00Z",
}


@router.post(
    "/campaigns/{campaign}/suggest",
    summary="Ask what would be run next",
    **says(
        SuggestBody,
        example={"count": 1, "wait": 30},
        answer={**ANSWER, "kind": "suggest"},
        problems=(404, 409, 422),
    ),
)
async def suggest(campaign: Named, call: Admitted) -> Response:
    """`open` after `wait` seconds: ask again under /inquiries/{id}."""
    body = await call.read(SuggestBody)
    request = body.model_dump(include={"count", "strategy", "problem", "seed"})
    return await _ask(call, campaign, "suggest", request, body.wait)


@router.post(
    "/campaigns/{campaign}/predict",
    summary="Ask what the model expects at some points",
    **says(PredictBody, example={"points": [{"tau": 0.5}]}, answer=ANSWER, problems=(404, 409, 422)),
)
async def predict(campaign: Named, call: Admitted) -> Response:
    """Mean and spread (standard deviation) of each output, in lab units."""
    body = await call.read(PredictBody)
    return await _ask(call, campaign, "predict", {"points": body.points}, body.wait)


@router.post(
    "/campaigns/{campaign}/train",
    summary="Wait for a model that has seen every result up to now",
    **says(
        TrainBody,
        example={"seconds": 600, "wait": 30},
        answer={
            **ANSWER,
            "kind": "train",
            "request": {"data_revision": 118},
            "answer": {
                "model_version": 4,
                "data_revision": 118,
                "rows": 12,
                "metrics": {"outputs": {"yield": {"rmse": 0.02}}},
                "seconds": 0.7,
            },
        },
        problems=(404, 409, 422),
    ),
)
async def train(campaign: Named, call: Admitted) -> Response:
    """Answers the version and the metrics of that model. 409: no training is to come."""
    body = await call.read(TrainBody)
    call.caller.must_own(campaign)
    ask = awaiting.await_training
    asked = await call.act(ask, call.store, call.context.ids, campaign, call.actor, body.seconds)
    return await _wait(call, asked, body.wait)


@router.get(
    "/inquiries/{inquiry}", summary="An inquiry and its answer", **says(answer=ANSWER, problems=(404,))
)
async def show_inquiry(
    inquiry: UUID, call: Admitted, wait: Annotated[float, Query(ge=0, le=WAIT_LIMIT)] = 0.0
) -> Response:
    found = await call.run(_find, call.store, inquiry)
    call.caller.must_own(await call.hub.campaign_name(found.campaign_id) or "")
    return await _wait(call, found, wait)


async def _ask(call: Call, campaign: str, kind: str, request: dict[str, Any], wait: float) -> Response:
    call.caller.must_own(campaign)
    asked = await call.act(inquire.ask, call.store, call.context.ids, campaign, kind, request, call.actor)
    if call.context.commands is not None:
        with suppress(UnavailableError):  # the janitor sends it again
            await call.run(call.context.commands.send, "inquire", str(asked.id))
    return await _wait(call, asked, wait)


async def _wait(call: Call, inquiry: r.Inquiry, seconds: float) -> Response:
    until = time.monotonic() + seconds
    if inquiry.state in OPEN and seconds > 0:
        with call.hub.topics.watch(("inquiry", str(inquiry.id))) as watch:
            async with call.client() as gone:
                inquiry = await call.run(_find, call.store, inquiry.id)
                while inquiry.state in OPEN and await watch.wait(until - time.monotonic(), gone):
                    inquiry = await call.run(_find, call.store, inquiry.id)
    return Json(shapes.inquiry(inquiry))


def _find(store: Store, id: UUID) -> r.Inquiry:
    with store.begin() as tx:
        found = tx.inquiries.get(id)
    if found is None:
        raise NotFoundError(f"There is no inquiry {id}. Answers are forgotten after a while: ask again.")
    return found
