"""Experiments: staging them, deciding about them, looking at them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from labqueue.errors import FieldError, InvalidError
from labqueue.states import State
from models.domain import records as r
from services.api.answers import Json, page
from services.api.call import Admitted, Call
from services.api.listings import (
    experiment_json,
    experiments_page,
    results_page,
)
from services.api.names import LARGEST_ID, Named, find_campaign, find_experiment
from services.api.routes.results import read_report
from services.api.schemas import Body, Flag, Name, Reason, Text, Time, Whole
from services.api.spec import says
from services.api.tables import csv_answer, experiments_csv, results_csv
from services.flow import review
from services.flow.cancel import cancel
from services.flow.dismiss import dismiss
from services.flow.report import complete_held
from services.flow.stage import BATCH_LIMIT, StageItem, StageRequest, stage
from services.ports import Store

router = APIRouter(tags=["experiments"])
hot = APIRouter(tags=["experiments"])

PAGE = 1000
Limit = Annotated[int, Query(ge=1, le=PAGE)]
Cursor = Annotated[int | None, Query(ge=0, le=LARGEST_ID, description="the `next` of the page before")]
Format = Annotated[Literal["json", "csv"], Query(description="csv: everything at once, for a spreadsheet")]


class StageRow(Body):
    """One experiment: parameters in lab units, or, for opaque problems, any payload."""

    parameters: Any = None
    payload: Any = None
    priority: Whole = 0
    reason: Text = ""
    expires_at: Time | None = None
    pinned: Flag = False


class StageBody(Body):
    """A batch, all of it or nothing. `propose`: a person approves before anything can be claimed."""

    key: Name = Field(description="the caller's own name for this batch; the same again is one effect")
    items: Annotated[list[StageRow], Field(min_length=1, max_length=BATCH_LIMIT)]
    propose: Flag = False


class DecideBody(Body):
    """What becomes of a held experiment; `complete` takes the result that it has."""

    decision: Literal["run_again", "complete", "give_up"]
    reason: Text = ""
    result: dict[str, Any] | None = None


class AdjustBody(Body):
    priority: Whole | None = None
    pinned: Flag | None = None


STAGED = {
    "batch": "3e2d1c0b-9a8f-4e7d-8c6b-5a4f3e2d1c0b",
    "experiments": [{"id": 17, "code": "snar-17", "state": "staged"}],
}
EXPERIMENT = {
    "id": 17,
    "code": "snar-17",
    "campaign": "snar",
    "queue": "flow-reactor",
    "state": "staged",
    "state_reason": "",
    "priority": 0,
    "pinned": False,
    "origin": "person",
    "reason": "",
    "parameters": {"tau": 0.5, "solvent": "ethanol"},
    "payload": None,
    "outputs": {},
    "attempts_made": 0,
    "staged_at": "2026-01-31T12:00:00Z",
}


@hot.post(
    "/campaigns/{campaign}/experiments",
    summary="Stage a batch of experiments",
    **says(
        StageBody,
        example={"key": "anna-2026-01-31-1", "items": [{"parameters": {"tau": 0.5, "solvent": "ethanol"}}]},
        answer=STAGED,
        status=201,
        problems=(404, 409, 413, 422),
    ),
)
async def stage_batch(campaign: Named, call: Admitted) -> Response:
    """All or nothing; every bad row is named. The same key with the same rows answers the same, as 200."""
    call.caller.must_own(campaign)
    body = await call.read(StageBody)
    items = tuple(
        StageItem(each.parameters, each.payload, each.priority, each.reason, each.expires_at, each.pinned)
        for each in body.items
    )
    request = StageRequest(campaign, body.key, items, body.propose)
    staged = await call.run(stage, call.store, call.context.ids, request, call.actor)
    if staged.created:
        ready = sum(each.ready and each.state is State.STAGED for each in staged.experiments)
        call.hub.staged(staged.queue, str(staged.batch), ready)
        call.server.metrics.staged(staged.queue, len(staged.experiments))
    shown = [{"id": each.id, "code": each.code, "state": str(each.state)} for each in staged.experiments]
    return Json({"batch": str(staged.batch), "experiments": shown}, 201 if staged.created else 200)


@router.get(
    "/campaigns/{campaign}/experiments",
    summary="A campaign's experiments",
    **says(answer={"items": [EXPERIMENT], "next": None}, problems=(404, 422)),
)
async def list_experiments(
    campaign: Named,
    call: Admitted,
    state: Annotated[State | None, Query()] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    format: Format = "json",
) -> Response:
    found = await _seen(call, campaign)
    if format == "csv":
        return csv_answer(experiments_csv(call.store, found, state), f"{campaign}-experiments")
    items, more = await call.run(experiments_page, call.store, found, state, cursor or 0, limit)
    return page(items, more)


@router.get(
    "/campaigns/{campaign}/results",
    summary="A campaign's results, as they came",
    **says(problems=(404, 422)),
)
async def list_results(
    campaign: Named, call: Admitted, limit: Limit = 100, cursor: Cursor = None, format: Format = "json"
) -> Response:
    """Every one that was sent, with its verdict; amendments and withdrawals are rows of their own."""
    found = await _seen(call, campaign)
    if format == "csv":
        return csv_answer(results_csv(call.store, found), f"{campaign}-results")
    items, more = await call.run(results_page, call.store, found, cursor or 0, limit)
    return page(items, more)


@router.get(
    "/experiments/{experiment}",
    summary="One experiment with its attempts, results and events",
    **says(answer=EXPERIMENT, problems=(404,)),
)
async def show_experiment(experiment: Named, call: Admitted) -> Response:
    """By id or by code."""
    found = await call.run(find_experiment, call.store, experiment)
    call.caller.must_see(found.campaign, found.queue)
    return Json(await call.run(experiment_json, call.store, found.id))


@router.post(
    "/experiments/{experiment}/decide",
    summary="Decide about a held experiment",
    **says(
        DecideBody,
        example={"decision": "run_again", "reason": "the vial was never touched"},
        answer=EXPERIMENT,
        problems=(404, 409, 422),
    ),
)
async def decide(experiment: Named, call: Admitted) -> Response:
    """`run_again`: back to its place; `complete`: with the `result` that it has; `give_up`: failed, and can be
    replayed."""
    found = await _owned(call, experiment)
    body = await call.read(DecideBody)
    if body.decision == "complete":
        if body.result is None:
            hint = "complete takes the result that the experiment has: id and outputs."
            raise InvalidError(errors=[FieldError("result", "is missing.", hint=hint)])
        report = read_report(body.result, found.id, "result")
        recorded = await call.act(
            complete_held, call.store, call.context.ids, found.id, report, body.reason, call.actor
        )
        if recorded.errors:
            errors = [
                FieldError(f"result.outputs.{each.field}", each.message, each.value, each.allowed, each.hint)
                for each in recorded.errors
            ]
            raise InvalidError(
                "The result cannot complete the experiment; it is kept as it came.", errors=errors
            )
    elif body.decision == "run_again":
        await call.act(review.run_again, call.store, found.id, body.reason, call.actor)
    else:
        await call.act(review.give_up, call.store, found.id, body.reason, call.actor)
    return Json(await call.run(experiment_json, call.store, found.id))


@router.patch(
    "/experiments/{experiment}",
    summary="Change priority, or pin",
    **says(AdjustBody, example={"priority": 5}, answer=EXPERIMENT, problems=(404, 409, 422)),
)
async def adjust(experiment: Named, call: Admitted) -> Response:
    """A pinned one gives way to no model."""
    found = await _owned(call, experiment)
    body = await call.read(AdjustBody)
    await call.act(review.adjust, call.store, found.id, body.priority, body.pinned, call.actor)
    return Json(await call.run(experiment_json, call.store, found.id))


def _approve(store: Store, id: int, reason: str, actor: str) -> r.Experiment:
    return review.approve(store, id, actor)


def _turn(
    act: Callable[[Store, int, str, str], r.Experiment], description: str
) -> Callable[[str, Call], object]:
    async def turn(experiment: Named, call: Admitted) -> Response:
        found = await _owned(call, experiment)
        body = await call.read(Reason)
        await call.act(act, call.store, found.id, body.reason, call.actor)
        return Json(await call.run(experiment_json, call.store, found.id))

    turn.__doc__ = description
    return turn


for _verb, _act, _summary in (
    ("cancel", cancel, "What waits is cancelled; what runs hears it and confirms. No safety function."),
    ("approve", _approve, "A proposed one enters the queue"),
    ("reject", review.reject, "A proposed one is not wanted"),
    ("replay", review.replay, "What was given up may try again"),
    (
        "dismiss",
        dismiss,
        "A person has seen what failed or was refused: it needs nobody until something new happens to it",
    ),
):
    router.add_api_route(
        f"/experiments/{{experiment}}/{_verb}",
        _turn(_act, _summary),
        methods=["POST"],
        name=f"{_verb}_experiment",
        summary=f"{_verb.capitalize()} an experiment",
        **says(Reason, example={"reason": "wrong solvent"}, answer=EXPERIMENT, problems=(404, 409, 422)),
    )


async def _seen(call: Call, campaign: str) -> r.Campaign:
    found = await call.run(find_campaign, call.store, campaign)
    call.caller.must_see(found.name, found.queue)
    return found


async def _owned(call: Call, experiment: str) -> r.Experiment:
    found = await call.run(find_experiment, call.store, experiment)
    call.caller.must_own(found.campaign)
    return found
