"""Queues: kinds of work, their policies, and what subscribers of them hear."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import Field

from models.domain import records as r
from services.api import shapes
from services.api.answers import Json, page
from services.api.batches import Followed, follow, following
from services.api.call import Admitted, Call
from services.api.names import Named, find_queue
from services.api.schemas import Body, Flag, Number, Reason, Whole
from services.api.spec import says
from services.flow import define, steer
from services.ports import Store

router = APIRouter(prefix="/queues", tags=["queues"])


class PolicyBody(Body):
    """What happens to leases of this queue. Leases that run keep the length that they were given."""

    lease_seconds: Number = 60.0
    on_lost: Literal["hold", "requeue", "probe"] = "hold"
    max_attempts: Annotated[Whole, Field(ge=1, le=1000)] = 3
    people: Flag = False


EXAMPLE = {"lease_seconds": 60, "on_lost": "hold", "max_attempts": 3, "people": False}
QUEUE = {"name": "flow-reactor", **EXAMPLE, "state": "active", "reason": ""}


@router.put(
    "/{queue}",
    summary="Create a queue, or change its policies",
    **says(PolicyBody, example=EXAMPLE, answer=QUEUE),
)
async def put_queue(queue: Named, call: Admitted) -> Response:
    """`on_lost`: what becomes of a run whose holder fell silent: `hold` (a person decides), `requeue` (solvers),
    `probe` (the adapter is asked). `people`: leases of days, without heartbeat."""
    call.caller.must_administer()
    body = await call.read(PolicyBody)
    policy = define.QueuePolicy(body.lease_seconds, body.on_lost, body.max_attempts, body.people)
    return Json(shapes.queue(await call.act(define.put_queue, call.store, queue, policy, call.actor)))


@router.get("", summary="All queues", **says(answer={"items": [QUEUE], "next": None}))
async def list_queues(call: Admitted) -> Response:
    found = await call.run(_all, call.store)
    return page([shapes.queue(each) for each in found if call.caller.sees(None, each.name)], None)


@router.get("/{queue}", summary="One queue", **says(answer=QUEUE, problems=(404,)))
async def show_queue(queue: Named, call: Admitted) -> Response:
    call.caller.must_see(None, queue)
    return Json(shapes.queue(await call.run(find_queue, call.store, queue)))


@router.get(
    "/{queue}/batches",
    summary="What is staged, as it is staged (server-sent events)",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Events `batch` and `withdrawn`"}},
)
async def stream_batches(
    followed: Annotated[Followed, Depends(following)],
) -> AsyncIterator[ServerSentEvent]:
    """Begins with what the queue's stream still holds, or after Last-Event-ID. Doubles are possible, and the claim
    alone decides who gets an experiment."""
    async for event in follow(followed):
        yield event


def _turn(act: Callable[[Store, str, str, str], r.Queue], description: str) -> Callable[[str, Call], object]:
    async def turn(queue: Named, call: Admitted) -> Response:
        call.caller.must_administer()
        body = await call.read(Reason)
        found = await call.act(act, call.store, queue, body.reason, call.actor)
        return Json(shapes.queue(found))

    turn.__doc__ = description
    return turn


for _verb, _act, _summary in (
    ("pause", steer.pause_queue, "Claims answer with the reason; staging goes on"),
    ("resume", steer.resume_queue, "Claims and staging go on"),
    ("drain", steer.drain_queue, "Nothing new is staged; what is staged is still claimed"),
):
    router.add_api_route(
        f"/{{queue}}/{_verb}",
        _turn(_act, _summary),
        methods=["POST"],
        name=f"{_verb}_queue",
        summary=f"{_verb.capitalize()} a queue",
        **says(Reason, example={"reason": "pump calibration"}, answer=QUEUE, problems=(404, 422)),
    )


def _all(store: Store) -> list[r.Queue]:
    with store.begin() as tx:
        return sorted(tx.queues.all(), key=lambda each: each.name)
