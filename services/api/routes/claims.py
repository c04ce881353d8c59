"""Claims: an adapter asks a queue for work, and may wait for it."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from services.api import shapes
from services.api.answers import Json
from services.api.call import Admitted, Call
from services.api.names import Named
from services.api.schemas import Body, Flag, Name, Number, Wait, Whole
from services.api.spec import says
from services.api.waiting import Waiter
from services.flow.claim import Claimed, ClaimRequest, claim

router = APIRouter(tags=["robots"])

#: A pause is told within this time, though it may end before the claim's own wait is over.
PAUSED_SECONDS = 5.0
CLAIM_LIMIT = 500


class ClaimBody(Body):
    """What an adapter asks for. Asked again with the same key, the answer is the same leases."""

    instrument: Name = Field(description="the device that will run it; named by the lab")
    adapter: Name = Field(description="this process: new at each start of the adapter")
    key: Name = Field(description="names this intended claim, for example adapter and a counter")
    max: Annotated[Whole, Field(ge=1, le=CLAIM_LIMIT)] = 1
    min: Annotated[Whole, Field(ge=1, le=CLAIM_LIMIT)] = 1
    within: Annotated[Number, Field(ge=0, le=90 * 86400.0)] = 0.0
    wait: Wait = 0.0
    experiments: Annotated[list[Annotated[Whole, Field(ge=1)]], Field(max_length=CLAIM_LIMIT)] | None = None
    form: Literal["object", "list"] = "object"
    take_over: Flag = False


EXAMPLE = {"instrument": "hplc-2", "adapter": "hplc-2.1f3a", "key": "hplc-2.1f3a-1", "wait": 30}
ANSWER = {
    "experiments": [
        {
            "lease": "6f0c1d5e2b3a4c5d8e9f0a1b2c3d4e5f.1",
            "attempt": "6f0c1d5e-2b3a-4c5d-8e9f-0a1b2c3d4e5f",
            "attempt_number": 1,
            "experiment": 17,
            "code": "snar-17",
            "campaign": "snar",
            "queue": "flow-reactor",
            "priority": 0,
            "parameters": {"tau": 0.5, "temperature": 80.0},
            "payload": None,
            "outputs": [{"name": "yield", "unit": "%"}],
            "lease_seconds": 60.0,
            "deadline": "2026-01-31T12:01:00Z",
            "heartbeat": True,
            "reason": "The model expects the largest gain here.",
            "expected": {"yield": {"mean": 0.8, "sd": 0.1}},
            "staged_at": "2026-01-31T11:59:00Z",
        }
    ],
    "reason": None,
    "probes": [],
}


@router.post(
    "/queues/{queue}/claims",
    summary="Claim experiments, and wait for them",
    **says(ClaimBody, example=EXAMPLE, answer=ANSWER, problems=(404, 409, 422)),
)
async def claim_experiments(queue: Named, call: Admitted) -> Response:
    """Up to `max` experiments of the queue, in its order, each under a lease. An empty list comes with the reason;
    nothing comes unless `min` can be claimed or the oldest has waited `within` seconds."""
    call.caller.must_work(queue)
    body = await call.read(ClaimBody)
    began = time.monotonic()
    claimed = await _claim(call, queue, body, began)
    if claimed is None:
        return Response(status_code=499)  # nobody is there to read it; the key finds what was claimed
    if claimed.assignments:
        call.server.metrics.claimed(queue, len(claimed.assignments), time.monotonic() - began)
    return Json(
        {
            "experiments": [shapes.assignment(each, body.form) for each in claimed.assignments],
            "reason": claimed.reason,
            "probes": [shapes.probe(each) for each in claimed.probes],
        }
    )


async def _claim(call: Call, queue: str, body: ClaimBody, began: float) -> Claimed | None:
    """Tries at once, and again whenever there may be work, until the time is over. None: the client has gone."""
    ticket = call.hub.waiters.ticket(queue)
    claimed = await _try(call, queue, body, take_over=body.take_over)
    if body.wait <= 0 or _answers(call, body, claimed):
        return claimed
    wait = min(body.wait, claimed.patience, PAUSED_SECONDS if claimed.final else body.wait)
    waiter = Waiter(queue, body.instrument, body.min, body.max, body.within)
    async with call.client() as gone:
        while await call.hub.waiters.wait(waiter, ticket, began + wait - time.monotonic(), gone):
            ticket = call.hub.waiters.ticket(queue)
            claimed = await _try(call, queue, body, take_over=False)
            if _answers(call, body, claimed):
                break
            call.hub.waiters.missed(waiter)
        return None if gone.done() and not claimed.assignments else claimed


def _answers(call: Call, body: ClaimBody, claimed: Claimed) -> bool:
    """Is this worth an answer now? Work, a question that this adapter was not asked yet, or no hope."""
    hopeless = claimed.final and body.experiments is not None
    asked = [(body.adapter, each.attempt.id) for each in claimed.probes]
    return bool(claimed.assignments) or hopeless or call.hub.asks(asked)


async def _try(call: Call, queue: str, body: ClaimBody, *, take_over: bool) -> Claimed:
    wanted = None if body.experiments is None else tuple(body.experiments)
    claimed = await call.run(
        claim,
        call.store,
        call.context.ids,
        ClaimRequest(
            queue=queue,
            instrument=body.instrument,
            adapter=body.adapter,
            key=body.key,
            max=body.max,
            min=body.min,
            within=body.within,
            experiments=wanted,
            take_over=take_over,
        ),
    )
    if claimed.assignments:
        call.hub.changed()
    return claimed
