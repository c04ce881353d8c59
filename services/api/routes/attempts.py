"""What an adapter says about its runs: start, heartbeat, note, fail, release, cancelled, probe."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field, create_model

from labqueue.errors import ConflictError, DeniedError, LeaseLostError, by_code
from models.domain.leasing import read_lease
from services.api import shapes
from services.api.answers import Json
from services.api.body import check
from services.api.call import Admitted, Call
from services.api.items import items_of, sorted_out, text_of
from services.api.schemas import Body, Name, Text, Wait
from services.api.spec import says
from services.api.waiting import Topic
from services.flow import release, renew
from services.ports import Store

router = APIRouter(prefix="/attempts", tags=["robots"])
hot = APIRouter(prefix="/attempts", tags=["robots"])

ITEM_LIMIT = 500
Lease = Annotated[str, Field(strict=True, min_length=1, max_length=200)]


class StartBody(Body):
    lease: Lease
    run_ref: Name | None = None


class NoteBody(Body):
    lease: Lease
    text: Text = ""
    run_ref: Name | None = None


class EndBody(Body):
    lease: Lease
    reason: Text = ""


class ProbeBody(Body):
    lease: Lease
    answer: Literal["running", "done", "never_ran", "unknown"]


class HeartbeatBody(Body):
    """Renews all leases of an adapter by one request."""

    instrument: Name
    adapter: Name
    leases: list[Lease] = Field(default_factory=list, max_length=5000)
    wait: Wait = 0.0


@dataclass(frozen=True)
class Verb:
    """How a word is read and what it does."""

    body: type[Body]
    act: Callable[[Store, Sequence[Any]], list[renew.Answer]]
    opens: bool = False  # may bring an experiment back to its queue
    summary: str = ""


VERBS = {
    "start": Verb(
        StartBody,
        lambda store, items: renew.start(
            store, [renew.StartItem(each.lease, each.run_ref) for each in items]
        ),
        summary="The run begins now",
    ),
    "note": Verb(
        NoteBody,
        lambda store, items: renew.note(
            store, [renew.NoteItem(each.lease, each.text, each.run_ref) for each in items]
        ),
        summary="A remark on the run, and how the device names it",
    ),
    "fail": Verb(
        EndBody,
        lambda store, items: release.fail(store, _ends(items)),
        opens=True,
        summary="The run failed; it counts as an attempt",
    ),
    "release": Verb(
        EndBody,
        lambda store, items: release.release(store, _ends(items)),
        opens=True,
        summary="Give it back before its start; it does not count",
    ),
    "cancelled": Verb(
        EndBody,
        lambda store, items: release.confirm_cancelled(store, _ends(items)),
        summary="The run was stopped, as somebody had wished",
    ),
    "probe": Verb(
        ProbeBody,
        lambda store, items: renew.answer_probe(
            store, [renew.ProbeItem(each.lease, each.answer) for each in items]
        ),
        opens=True,
        summary="Answer whether a run is still going on",
    ),
}
LEASE = "6f0c1d5e2b3a4c5d8e9f0a1b2c3d4e5f.1"
ITEM = {"lease": LEASE, "ok": True, "code": None, "message": ""}


def _ends(items: Sequence[Any]) -> list[release.EndItem]:
    return [release.EndItem(each.lease, each.reason) for each in items]


@hot.post(
    "/heartbeat",
    summary="Renew all leases, and hear at once what becomes of them",
    **says(
        HeartbeatBody,
        example={"instrument": "hplc-2", "adapter": "hplc-2.1f3a", "leases": [LEASE], "wait": 20},
        answer={
            "items": [{"lease": LEASE, "state": "live", "deadline": "2026-01-31T12:01:00Z", "message": ""}],
            "probes": [],
        },
    ),
)
async def heartbeat(call: Admitted) -> Response:
    """Renews at once; answers as soon as a lease is not `live` (cancel, not_needed, lost), else after `wait`."""
    body = await call.read(HeartbeatBody)
    until = time.monotonic() + body.wait
    if not call.caller.admin:
        await call.run(_check_leases, call, body.leases)
    topics: list[Topic] = [("instrument", body.instrument)]
    topics += [("attempt", id) for text in body.leases if (id := _attempt_id(text)) is not None]
    if body.wait > 0:
        topics += [("experiment", id) for id in await call.run(_experiments, call.store, body.leases)]
    with call.hub.topics.watch(*topics) as watch:
        beats, probes = await call.run(_beat, call.store, body)
        if body.wait > 0 and not _tells(call, body, beats, probes):
            async with call.client() as gone:
                while await watch.wait(until - time.monotonic(), gone):
                    beats, probes = await call.run(_beat, call.store, body)
                    if _tells(call, body, beats, probes):
                        break
    return Json(
        {
            "items": [shapes.beat(each) for each in beats],
            "probes": [shapes.probe(each) for each in probes],
        }
    )


def _beat(store: Store, body: HeartbeatBody) -> tuple[list[renew.Beat], list[Any]]:
    beats = _with_reasons(store, renew.heartbeat(store, body.instrument, body.leases, body.adapter))
    return beats, renew.probes_for(store, body.instrument)


def _with_reasons(store: Store, beats: list[renew.Beat]) -> list[renew.Beat]:
    """Who is asked to stop a run hears why."""
    ids = {each.lease: _attempt_id(each.lease) for each in beats if each.state == "cancel"}
    if not ids:
        return beats
    with store.begin() as tx:
        attempts = {each.id: each.experiment_id for each in tx.attempts.get(list(ids.values()))}
        reasons = {each.id: each.held_reason for each in tx.experiments.get(sorted(set(attempts.values())))}
    return [
        replace(each, message=f"{why.rstrip('.')}. {each.message}")
        if each.lease in ids and (why := reasons.get(attempts.get(ids[each.lease], 0)))
        else each
        for each in beats
    ]


def _tells(call: Call, body: HeartbeatBody, beats: Sequence[renew.Beat], probes: Sequence[Any]) -> bool:
    """Is there news for the adapter?"""
    asked = [(body.adapter, each.attempt.id) for each in probes]
    return call.hub.asks(asked) or any(each.state != "live" for each in beats)


def _experiments(store: Store, leases: Sequence[str]) -> list[int]:
    ids = [id for text in leases if (id := _attempt_id(text)) is not None]
    with store.begin() as tx:
        return sorted({each.experiment_id for each in tx.attempts.get(ids)})


def _attempt_id(lease: str) -> Any:
    try:
        return read_lease(lease)[0]
    except LeaseLostError:
        return None


async def _say(call: Call, word: str, items: Sequence[Any]) -> list[dict[str, Any]]:
    """Judges a batch item by item: what cannot be read or is not allowed is said in its place."""
    verb = VERBS[word]
    good, faults = sorted_out(verb.body, items)
    denied = await _denied(call, [getattr(each, "lease", "") for each in good])
    allowed = [each for each in good if getattr(each, "lease", "") not in denied]
    answers = iter(await call.run(verb.act, call.store, allowed) if allowed else [])
    call.hub.changed(outbox=verb.opens)
    readable = iter(good)
    said = []
    for item, fault in zip(items, faults, strict=True):
        lease = text_of(item, "lease") if fault is not None else getattr(next(readable), "lease", "")
        if fault is not None:
            said.append(shapes.answer(renew.Answer(lease, False, fault.code, str(fault))))
        elif lease in denied:
            said.append(shapes.answer(renew.Answer(lease, False, DeniedError.code, denied[lease])))
        else:
            said.append(shapes.answer(next(answers)))
    return said


async def _denied(call: Call, leases: Sequence[str]) -> dict[str, str]:
    """The leases of queues that this caller may not work for, and why not."""
    if call.caller.admin:
        return {}
    return await call.run(_foreign, call, leases)


def _foreign(call: Call, leases: Sequence[str]) -> dict[str, str]:
    named = {id: text for text in leases if (id := _attempt_id(text)) is not None}
    with call.store.begin() as tx:
        attempts = tx.attempts.get(list(named))
    found = {}
    for each in attempts:
        try:
            call.caller.must_work(each.queue)
        except DeniedError as error:
            found[named[each.id]] = error.message
    return found


def _check_leases(call: Call, leases: Sequence[str]) -> None:
    for message in _foreign(call, leases).values():
        raise DeniedError(message)


def _batch(word: str) -> Callable[[Call], Any]:
    async def say(call: Admitted) -> Response:
        """Item by item: one that cannot be done (a stale lease: lease_lost) changes nothing, the others go on."""
        items = await items_of(call, ITEM_LIMIT)
        return Json({"items": await _say(call, word, items)})

    return say


def _single(word: str) -> Callable[[str, Call], Any]:
    async def say(lease: str, call: Admitted) -> Response:
        """For one lease. 409 lease_lost where it is not, or no longer, this adapter's."""
        given = await call.json()
        body = check(VERBS[word].body, {**given, "lease": lease} if isinstance(given, dict) else given)
        item = (await _say(call, word, [body.model_dump()]))[0]
        if not item["ok"]:
            kind = by_code(item["code"])
            raise (kind if kind.status != 500 else ConflictError)(item["message"])
        return Json(item)

    return say


def _add_routes() -> None:
    for word, verb in VERBS.items():
        known = [name for name in verb.body.model_fields if name != "lease"]
        example = {"answer": "running"} if word == "probe" else dict.fromkeys(known[:1], "")
        item = {"lease": LEASE, **example}
        (hot if word == "start" else router).add_api_route(
            f"/{word}",
            _batch(word),
            methods=["POST"],
            name=f"{word}_attempts",
            summary=verb.summary,
            **says(
                _batch_of(word, verb.body),
                example={"items": [item]},
                answer={"items": [ITEM]},
                problems=(422,),
            ),
        )
    for word, verb in VERBS.items():
        router.add_api_route(
            f"/{{lease}}/{word}",
            _single(word),
            methods=["POST"],
            name=f"{word}_attempt",
            summary=f"{verb.summary} (one lease)",
            **says(answer=ITEM, problems=(409, 422)),
        )


def _batch_of(word: str, item: type[Body]) -> type[Body]:
    """For the OpenAPI document: what a batch of these looks like."""
    made: type[Body] = create_model(f"{word.capitalize()}Batch", __base__=Body, items=(list[item], ...))  # type: ignore[valid-type]
    return made


_add_routes()
