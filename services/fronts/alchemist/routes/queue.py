"""The work queue: items by their ids."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from services.api.answers import Json
from services.fronts.alchemist.learning import training
from services.fronts.alchemist.routes import bodies
from services.fronts.alchemist.routes.spec import says
from services.fronts.alchemist.routes.staged import put
from services.fronts.alchemist.staged import queueing, staging
from services.fronts.alchemist.visit import Route, Visiting

router = APIRouter(prefix="/sessions/{session_id}/experiments/queue", tags=["ALchemist"], route_class=Route)

_ITEM = {
    "id": "3f1c6f0e-6b1d-4d0a-9d43-1f4e7a7c2b11",
    "inputs": {"temperature": 375.0, "catalyst": "B"},
    "reason": "qEI",
    "status": "pending",
    "output": None,
    "noise": None,
    "error": None,
    "dataset_ref": None,
    "staged_at": "2026-01-31T12:00:00+00:00",
    "started_at": None,
    "completed_at": None,
    "plot": None,
}
_LIST = {"items": [_ITEM], "n_pending": 1, "n_running": 0, "n_done": 0, "n_failed": 0}
_RUNNING = {**_ITEM, "status": "running", "started_at": "2026-01-31T12:05:00+00:00"}


@router.post(
    "",
    summary="Stage items",
    **says(
        bodies.NewItems,
        example={"items": [{"inputs": _ITEM["inputs"], "reason": "qEI"}]},
        answer=_LIST,
        problems=(400, 404, 409, 422),
    ),
)
async def stage(session_id: str, visit: Visiting, idempotency_key: bodies.Key = "") -> Response:
    """All of them or none; answers the whole queue."""
    body = await bodies.read_numbers(visit, bodies.NewItems)
    points = [staging.Point(each.inputs, each.reason) for each in body.items]
    await put(visit, session_id, points, idempotency_key, whole=True)
    return Json(await visit.run(queueing.after_change, visit.store, session_id))


@router.get("", summary="All items, with counts", **says(answer=_LIST, problems=(404,)))
async def show_all(
    session_id: str,
    visit: Visiting,
    status: Annotated[str | None, Query(description="pending, running, done, failed")] = None,
) -> Response:
    """Counts are of the whole queue, whatever `status` is."""
    return Json(await visit.run(queueing.listed, visit.store, session_id, visit.visitor, status))


@router.post(
    "/purge",
    summary="Hide items that have ended",
    **says(answer={"message": "Terminal items purged", "n_purged": 3}, problems=(404, 409)),
)
async def purge(session_id: str, visit: Visiting) -> Response:
    """Their rows stay in the dataset."""
    purged = await visit.act(queueing.purge, bodies.act_of(visit, session_id))
    return Json({"message": "Terminal items purged", "n_purged": purged})


@router.get("/{item_id}", summary="An item", **says(answer=_ITEM, problems=(404,)))
async def show(session_id: str, item_id: str, visit: Visiting) -> Response:
    return Json(await visit.run(queueing.one, visit.store, session_id, item_id))


@router.delete("/{item_id}", summary="Take back a pending item", **says(answer=_LIST, problems=(404, 409)))
async def delete(session_id: str, item_id: str, visit: Visiting) -> Response:
    await visit.act(queueing.delete, bodies.act_of(visit, session_id), item_id)
    return Json(await visit.run(queueing.after_change, visit.store, session_id))


@router.post("/{item_id}/start", summary="Claim a pending item", **says(answer=_RUNNING, problems=(404, 409)))
async def start(session_id: str, item_id: str, visit: Visiting) -> Response:
    """One caller gets it, the others 409. Without a result for some hours it is pending again."""
    return Json(await visit.act(queueing.start, bodies.act_of(visit, session_id), item_id))


@router.post(
    "/{item_id}/complete",
    summary="The result of an item",
    **says(
        bodies.ItemResult,
        example={"outputs": [0.87], "noise": [0.02]},
        answer={**_RUNNING, "status": "done", "output": 0.87, "noise": 0.02, "dataset_ref": 14},
        problems=(400, 404, 409, 422),
    ),
)
async def complete(session_id: str, item_id: str, visit: Visiting, auto: bodies.AutoTrain) -> Response:
    """The same result again is one effect; another one for an item that is done is 409, and kept as unpaired."""
    body = await bodies.read_numbers(visit, bodies.ItemResult, of_item=True)
    asked = queueing.Result(
        body.outputs,
        body.noise,
        body.iteration,
        body.actual_inputs,
        body.expected_objective_label,
        body.force,
    )
    item: dict[str, Any] = await visit.act(
        queueing.complete, bodies.act_of(visit, session_id), item_id, asked
    )
    if not auto.wished:
        return Json(item)
    rows = (item["dataset_ref"] or 0) + 1
    return Json({**item, **await training.after_adding(visit, session_id, auto, rows)})


@router.post(
    "/{item_id}/fail",
    summary="An item failed",
    **says(
        bodies.ItemFailure,
        example={"error": "pump stalled"},
        answer={**_RUNNING, "status": "failed", "error": "pump stalled"},
        problems=(404, 409, 422),
    ),
)
async def fail(session_id: str, item_id: str, visit: Visiting) -> Response:
    """It is not tried again."""
    body = await visit.read(bodies.ItemFailure)
    act = bodies.act_of(visit, session_id)
    return Json(await visit.act(queueing.fail, act, item_id, body.error))
