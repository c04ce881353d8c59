"""Learners: a program of the user's own asks what there is to learn or to suggest, and answers."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from labqueue.errors import FieldError, InvalidError, NotFoundError, TooLargeError
from labqueue.problem import Problem
from models.domain import records as r
from models.domain.as_run import as_run
from services.api import shapes
from services.api.answers import Json, dumps
from services.api.body import check, parse, read_raw
from services.api.call import Admitted, Call
from services.api.names import Named, find_campaign
from services.api.schemas import Body, Flag, Name, Text, Wait
from services.api.spec import says
from services.flow import rows, taught, teach
from services.flow.holding import LEASE
from services.flow.train import STATE_LIMIT
from services.ports import Store

router = APIRouter(prefix="/campaigns/{campaign}/learner", tags=["learners"])

#: A learner that waits looks again this often, in seconds, though nobody said that something happened: silence and
#: rests end by themselves.
LOOK = 2.0
#: The least pause between two looks, in seconds: what happens meanwhile is seen together.
PAUSE = 0.2
#: The largest answer, in bytes: a state in base64, and room for the rest.
ANSWER_LIMIT = STATE_LIMIT * 4 // 3 + 1024 * 1024


class WorkBody(Body):
    """Who comes for work. `learner`: its name (null: the one that the campaign's strategy names); `holder`: this
    process, new at each start; `trains`: whether it has a state to be trained."""

    holder: Name
    learner: Name | None = None
    trains: Flag = True
    versions: dict[str, Text] = Field(default_factory=dict)
    wait: Wait = 0.0


class AnswerBody(Body):
    """Of a training: `state` (base64; null or "" where there is none) and `metrics`. Of a suggestion: `candidates`,
    and `gain`, what the first of them is expected to improve the score by (null: not known)."""

    holder: Name
    versions: dict[str, Text] = Field(default_factory=dict)
    state: Annotated[str, Field(strict=True)] | None = None
    metrics: dict[str, Any] = Field(default_factory=dict)
    candidates: list[Any] | None = None
    gain: Any = None


class FailBody(Body):
    """Why it could not be done; shown at the campaign."""

    reason: Text


class HolderBody(Body):
    """The process that ends."""

    holder: Name


WORK = {
    "work": {
        "kind": "suggest",
        "lease": "suggest.17",
        "lease_seconds": 15.0,
        "ends_at": "2026-01-31T12:00:30Z",
        "learner": "mine",
        "problem": {"parameters": [{"name": "tau", "kind": "continuous", "low": 0.5, "high": 2.0}]},
        "problem_version": 1,
        "data_revision": 118,
        "rows": 21,
        "state": {"version": 3, "sha256": "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"},
        "pending": [{"tau": 1.25}],
        "count": 2,
        "seed": 1404733,
    },
    "reason": None,
}
CANDIDATE = {
    "parameters": {"tau": 0.7},
    "reason": "the forest disagrees most there",
    "expected": {"yield": {"mean": 0.8, "sd": 0.1}},
}
ROW = {
    "experiment": 17,
    "outcome": "measured",
    "planned": {"tau": 0.5},
    "parameters": {"tau": 0.502},
    "outputs": {"yield": 87.0},
    "noise": {"yield": 0.5},
    "replicates": {"yield": [86.4]},
}
MARK = "118.1.20260131T120000000000"
ONE = "/work/{lease}"


@router.post(
    "/work",
    summary="Ask for something to learn or to suggest, and wait for it",
    **says(WorkBody, example={"holder": "laptop.1f3a", "wait": 10}, answer=WORK, problems=(404, 409, 422)),
)
async def ask_for_work(campaign: Named, call: Admitted) -> Response:
    """Leased: renew it, and answer it, fail it or give it back. Null comes with the reason. Asked again by the same
    process before it answered, it is the same work."""
    call.caller.must_own(campaign)
    body = await call.read(WorkBody)
    visit = teach.Visit(campaign, body.holder, body.learner or "", body.trains, body.versions)
    found = await _wait_for_work(call, visit, time.monotonic() + body.wait)
    if isinstance(found, teach.Idle):
        return Json({"work": None, "reason": found.why})
    return Json({"work": _work(found), "reason": None})


async def _wait_for_work(call: Call, visit: teach.Visit, until: float) -> teach.Work | teach.Idle:
    known = await call.run(find_campaign, call.store, visit.campaign)
    with call.hub.topics.watch(("campaign", known.id)) as watch:
        found = await call.act(teach.ask, call.store, visit)
        if isinstance(found, teach.Work) or time.monotonic() >= until:
            return found
        async with call.client() as gone:
            while isinstance(found, teach.Idle) and (left := until - time.monotonic()) > 0:
                await watch.wait(min(left, LOOK), gone)
                if gone.done() or call.hub.closing:
                    break
                await asyncio.sleep(PAUSE)
                visit = replace(visit, sat=visit.sat or found.sits)
                found = await call.act(teach.ask, call.store, visit)
            if gone.done() and isinstance(found, teach.Work):
                # Nobody is there to read it: the next one to ask need not wait for the lease to end.
                await call.run(teach.give_back, call.store, visit.campaign, found.lease)
    return found


@router.get(
    "/rows",
    summary="What was measured, as training sees it",
    **says(answer={"rows": [ROW], "gone": [12], "whole": False, "mark": MARK}, problems=(404, 422)),
)
async def show_rows(
    campaign: Named,
    call: Admitted,
    revision: Annotated[int, Query(ge=0, lt=2**63)],
    since: Annotated[str, Query(max_length=100, description="the `mark` of the rows that you have")] = "",
) -> Response:
    """As of a data revision, which work names, in one answer, by experiment. Infeasible ones have no outputs. With
    `since` and `whole` false: only rows that are new or changed, and in `gone` the experiments that have none any
    more. `whole` true: all rows, whatever was asked for; forget those that you have."""
    call.caller.must_own(campaign)
    body = await call.run(_rows, call.store, campaign, revision, since)
    return Response(body, media_type="application/json")


@router.get(
    "/state", summary="The bytes of a state", **says(kind="application/octet-stream", problems=(404, 422))
)
async def show_state(
    campaign: Named, call: Admitted, version: Annotated[int, Query(ge=1, lt=2**31)]
) -> Response:
    call.caller.must_own(campaign)
    known = await call.run(find_campaign, call.store, campaign)
    state = await call.run(_state, call.store, known, version)
    return Response(state, media_type="application/octet-stream")


@router.post(
    f"{ONE}/renew",
    summary="Keep the work",
    **says(answer={"deadline": "2026-01-31T12:00:15Z"}, problems=(404, 409, 422)),
)
async def renew_work(campaign: Named, lease: str, call: Admitted) -> Response:
    """409 `lease_lost`: stop; somebody else has it, or the suggestion took longer than the strategy's deadline."""
    call.caller.must_own(campaign)
    await call.read(Body)
    return Json({"deadline": await call.run(teach.renew, call.store, campaign, lease)})


@router.post(
    f"{ONE}/answer",
    summary="Answer the work",
    **says(
        AnswerBody,
        example={"holder": "laptop.1f3a", "candidates": [CANDIDATE]},
        answer={"version": None, "experiments": [18, 19]},
        problems=(404, 409, 413, 422),
    ),
)
async def answer_work(campaign: Named, lease: str, call: Admitted) -> Response:
    """Of a training, the version of the state; of a suggestion, the experiments that were staged. Sent again, it is
    one effect. 422 names every fault; the reason is kept, and the learner is asked again."""
    call.caller.must_own(campaign)
    training = lease.startswith("train.")
    try:
        limit = ANSWER_LIMIT if training else call.context.settings.body_limit
        body = check(AnswerBody, parse(await read_raw(call.request, limit)))
        state = _decoded(body.state)
    except (InvalidError, TooLargeError) as error:
        await call.act(taught.refuse, call.store, campaign, lease, error)
        raise
    answer = taught.Answer(campaign, lease, body.holder, body.versions)
    if training:
        version = await call.act(taught.keep_state, call.store, answer, state, body.metrics)
        return Json({"version": version, "experiments": []})
    staged = await call.act(
        taught.keep_candidates, call.store, call.context.ids, answer, body.candidates, body.gain
    )
    if staged:
        known = await call.run(find_campaign, call.store, campaign)
        call.hub.waiters.announced(known.queue, len(staged))
    return Json({"version": None, "experiments": list(staged)})


@router.post(
    f"{ONE}/fail",
    summary="Say that the work could not be done",
    **says(FailBody, example={"reason": "ValueError: singular"}, answer={}, problems=(404, 409, 422)),
)
async def fail_work(campaign: Named, lease: str, call: Admitted) -> Response:
    call.caller.must_own(campaign)
    body = await call.read(FailBody)
    await call.act(teach.fail, call.store, campaign, lease, body.reason)
    return Json({})


@router.post(
    f"{ONE}/release",
    summary="Give the work back",
    **says(answer={}, problems=(404, 409, 422)),
)
async def release_work(campaign: Named, lease: str, call: Admitted) -> Response:
    """It says nothing about the learner, and whoever asks next may have it."""
    call.caller.must_own(campaign)
    await call.read(Body)
    await call.act(teach.give_back, call.store, campaign, lease)
    return Json({})


@router.post(
    "/leave",
    summary="Say that the process ends",
    **says(HolderBody, example={"holder": "laptop.1f3a"}, answer={}, problems=(404, 422)),
)
async def leave(campaign: Named, call: Admitted) -> Response:
    """One that stands by takes its place at once."""
    call.caller.must_own(campaign)
    body = await call.read(HolderBody)
    await call.act(teach.leave, call.store, campaign, body.holder)
    return Json({})


def _work(found: teach.Work) -> dict[str, Any]:
    job, work = found.job, found.job.work
    more = {name: work[name] for name in ("pending", "count", "seed") if name in work}
    state = None if found.model is None else {"version": found.model.version, "sha256": found.model.sha256}
    return {
        "kind": job.kind,
        "lease": found.lease,
        "lease_seconds": LEASE,
        "ends_at": found.ends_at,
        "learner": job.learner,
        "problem": found.problem,
        "problem_version": work["problem_version"],
        "data_revision": job.revision,
        "rows": work["rows"],
        "state": state,
        **more,
    }


def _rows(store: Store, campaign: str, revision: int, since: str) -> bytes:
    """In a thread: with ten thousand rows it is a few megabytes."""
    told = rows.tell(store, campaign, revision, since)
    body = {
        "rows": [_row(row, told.problem) for row in told.rows],
        "gone": list(told.gone),
        "whole": told.whole,
        "mark": told.mark,
    }
    return dumps(body).encode("ascii")


def _row(row: r.TrainingRow, problem: Problem) -> dict[str, Any]:
    known = {each.name: each for each in problem.outputs}
    return {
        "experiment": row.experiment_id,
        "outcome": str(row.outcome),
        "planned": row.planned,
        "parameters": as_run(problem, row.parameters),
        "outputs": shapes.labelled(problem, row.outputs),
        "noise": dict(row.noise),
        "replicates": {
            name: [known[name].decode(each) for each in values]
            for name, values in row.replicates.items()
            if name in known
        },
    }


def _state(store: Store, campaign: r.Campaign, version: int) -> bytes:
    with store.begin() as tx:
        model = tx.models.get(campaign.id, version)
    if model is None or not model.learner:
        raise NotFoundError(f"There is no learner's state of version {version}.")
    return model.state


def _decoded(text: str | None) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidError(errors=[FieldError("state", "is not base64.", None, "base64, RFC 4648")]) from None
