"""A queue's batches as server-sent events: from its Redis stream, and from Postgres while Redis is away."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from fastapi import Header
from fastapi.sse import ServerSentEvent

from labqueue.errors import FieldError, InvalidError, UnavailableError
from labqueue.states import State
from models.domain import records as r
from services.api.answers import dumps
from services.api.call import Admitted, Call
from services.api.hub import OPENING
from services.api.names import Named, find_queue
from services.broker import streams
from services.ports import Store

AWAY_SECONDS = 1.0  # between two looks for Redis
QUIET_SECONDS = 10.0  # a wake-up may be lost
_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


@dataclass
class Followed:
    """A subscriber: which queue, and how far it has read the stream and the events."""

    call: Call
    queue: str
    cursor: str
    number: int


async def following(
    queue: Named, call: Admitted, last_event_id: Annotated[str | None, Header()] = None
) -> Followed:
    """Checks what can go wrong before the stream begins."""
    call.caller.must_see(None, queue)
    await call.run(find_queue, call.store, queue)
    if last_event_id is not None and not _ID.fullmatch(last_event_id):
        wrong = FieldError("Last-Event-ID", "is no id of this stream.", last_event_id[:100], "as sent: 123-0")
        raise InvalidError(errors=[wrong])
    return Followed(call, queue, last_event_id or streams.FIRST, call.hub.position)


async def follow(followed: Followed) -> AsyncIterator[ServerSentEvent]:
    """Entries as they come, until the server closes. While Redis is away: what can be claimed, from Postgres."""
    hub, log = followed.call.hub, followed.call.context.batches
    with hub.topics.watch(("batches", followed.queue)) as watch:
        while not hub.closing:
            away = log is None
            if log is not None:
                try:
                    entries = await log.after(followed.queue, followed.cursor)
                    followed.number = hub.position
                    for followed.cursor, entry in entries:
                        yield ServerSentEvent(
                            event=_line(entry.kind), id=followed.cursor, raw_data=dumps(entry.body)
                        )
                    if entries:
                        continue
                except UnavailableError:
                    away = True
            if away:
                with suppress(UnavailableError):
                    for body in await _from_postgres(followed):
                        yield ServerSentEvent(event="batch", raw_data=dumps(body))
            await watch.wait(AWAY_SECONDS if away else QUIET_SECONDS)


async def _from_postgres(followed: Followed) -> list[dict[str, object]]:
    hub = followed.call.hub
    events = hub.recent(followed.number) or []
    followed.number = hub.position
    ids = [
        each.experiment_id
        for each in events
        if each.type in OPENING and each.queue == followed.queue and each.experiment_id is not None
    ]
    return await followed.call.run(_batches, followed.call.store, ids) if ids else []


def _batches(store: Store, ids: Sequence[int]) -> list[dict[str, object]]:
    with store.begin() as tx:
        found = [
            each for each in tx.experiments.get(sorted(set(ids))) if each.state is State.STAGED and each.ready
        ]
        campaigns = {each.campaign_id: tx.campaigns.by_id(each.campaign_id) for each in found}
    groups: dict[tuple[int, object], list[r.Experiment]] = {}
    for each in sorted(found, key=lambda one: (-one.priority, one.tag, one.id)):
        groups.setdefault((each.campaign_id, each.batch), []).append(each)
    return [_body(members, campaigns[campaign], batch) for (campaign, batch), members in groups.items()]


def _body(members: Sequence[r.Experiment], campaign: r.Campaign | None, batch: object) -> dict[str, object]:
    return {
        "batch": None if batch is None else str(batch),
        "epoch": "",
        "campaign": members[0].campaign,
        "model_version": max(each.model_version for each in members),
        "data_revision": campaign.data_revision if campaign else 0,
        "experiments": [
            {"id": each.id, "code": each.code, "priority": each.priority, "parameters": each.planned}
            for each in members
        ],
    }


def _line(text: str) -> str:
    """Redis is not trusted."""
    return text if text in ("batch", "withdrawn") else "other"
