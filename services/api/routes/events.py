"""Events: everything that became true, numbered without gaps, as pages and as a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from labqueue.errors import FieldError, InvalidError, UnavailableError
from models.domain import records as r
from services.api import shapes
from services.api.answers import dumps, page
from services.api.call import Admitted, Call
from services.api.names import LARGEST_ID, find_campaign, find_experiment
from services.api.spec import says

router = APIRouter(prefix="/events", tags=["events"])

PAGE = 500
QUIET_SECONDS = 10.0
After = Annotated[int, Query(ge=0, le=LARGEST_ID, description="the last number that was seen")]
EVENT = {
    "number": 42,
    "at": "2026-01-31T12:00:00Z",
    "type": "experiment.completed",
    "actor": "adapter:hplc-2",
    "campaign": "snar",
    "experiment": 17,
    "attempt": "6f0c1d5e-2b3a-4c5d-8e9f-0a1b2c3d4e5f",
    "queue": "flow-reactor",
    "instrument": "hplc-2",
    "data": {"code": "snar-17", "state": "completed"},
}


@dataclass
class Wanted:
    """Which events a caller asked for, and how far it has read."""

    call: Call
    after: int
    campaign_id: int | None
    experiment_id: int | None

    def has(self, event: r.Event) -> bool:
        return self.campaign_id in (None, event.campaign_id) and self.experiment_id in (
            None,
            event.experiment_id,
        )


async def wanted(
    call: Admitted,
    after: After = 0,
    campaign: Annotated[str | None, Query(max_length=200)] = None,
    experiment: Annotated[str | None, Query(max_length=200, description="id or code")] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Wanted:
    if last_event_id is not None:
        if not last_event_id.isdecimal() or not last_event_id.isascii() or int(last_event_id) > LARGEST_ID:
            wrong = FieldError("Last-Event-ID", "is no number of an event.", last_event_id[:100])
            raise InvalidError(errors=[wrong])
        after = int(last_event_id)
    campaign_id = None if campaign is None else (await call.run(find_campaign, call.store, campaign)).id
    experiment_id = (
        None if experiment is None else (await call.run(find_experiment, call.store, experiment)).id
    )
    return Wanted(call, after, campaign_id, experiment_id)


@router.get("", summary="Events in order, a page at a time", **says(answer={"items": [EVENT], "next": "42"}))
async def list_events(
    asked: Annotated[Wanted, Depends(wanted)],
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 100,
    cursor: Annotated[
        int | None, Query(ge=0, le=LARGEST_ID, description="the `next` of the page before")
    ] = None,
) -> Response:
    """`next` is null where there is nothing more at present; go on from the last number with `after`."""
    if cursor is not None:
        asked.after = cursor
    found = await asked.call.run(_read, asked, limit)
    last = found[-1].number if len(found) == limit else None
    return page([shown for each in found if (shown := await _shown(asked.call, each)) is not None], last)


@router.get(
    "/stream",
    summary="Events as they become true (server-sent events)",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "`id` is the event's number"}},
)
async def stream_events(asked: Annotated[Wanted, Depends(wanted)]) -> AsyncIterator[ServerSentEvent]:
    """Begins after `after`, or after Last-Event-ID, so that a client that was cut off misses nothing."""
    hub = asked.call.hub
    with hub.topics.watch(("events", None)) as watch:
        while not hub.closing:
            found = await _next(asked)
            for each in found:
                shown = await _shown(asked.call, each) if asked.has(each) else None
                if shown is not None:
                    yield ServerSentEvent(event=each.type, id=str(each.number), raw_data=dumps(shown))
                asked.after = max(asked.after, each.number or 0)
            if not found:
                await watch.wait(QUIET_SECONDS)


async def _next(asked: Wanted) -> list[r.Event]:
    """From memory where it reaches back so far, else from Postgres: a slow reader fills no buffer of ours."""
    recent = asked.call.hub.recent(asked.after)
    if recent is not None:
        return recent[:PAGE]
    newest = asked.call.hub.position
    try:
        found = await asked.call.run(_read, asked, PAGE)
    except UnavailableError:
        return []
    if not found:
        asked.after = max(asked.after, newest)  # nothing of what is wanted lies before memory begins
    return found


def _read(asked: Wanted, limit: int) -> list[r.Event]:
    with asked.call.store.begin() as tx:
        return tx.events.after(
            asked.after, limit, campaign_id=asked.campaign_id, experiment_id=asked.experiment_id
        )


async def _shown(call: Call, event: r.Event) -> shapes.Json | None:
    """As this caller may see it; None where it may not."""
    name = await call.hub.campaign_name(event.campaign_id)
    return shapes.event(event, name) if call.caller.sees(name, event.queue) else None
