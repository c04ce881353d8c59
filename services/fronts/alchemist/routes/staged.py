"""Staged experiments: points on their way, and their results by position (deprecated there, still used)."""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.api.answers import Json
from services.fronts.alchemist.learning import training
from services.fronts.alchemist.routes import bodies
from services.fronts.alchemist.routes.spec import says
from services.fronts.alchemist.staged import completing, staging, unpaired
from services.fronts.alchemist.visit import Route, Visit, Visiting

router = APIRouter(prefix="/sessions/{session_id}/experiments", tags=["ALchemist"], route_class=Route)

_POINT = {"temperature": 375.0, "catalyst": "B"}
_ID = "3f1c6f0e-6b1d-4d0a-9d43-1f4e7a7c2b11"
_UNPAIRED = {"name": _ID, "outputs": [0.87], "received_at": "2026-01-31T12:00:00+00:00", "assigned": None}


@router.post(
    "/staged/batch",
    summary="Stage several experiments",
    **says(
        bodies.NewPoints,
        example={"experiments": [_POINT], "reason": "qEI"},
        answer={"experiments": [_POINT], "n_staged": 1, "reason": "qEI", "reasons": None, "ids": [_ID]},
        problems=(400, 404, 409, 422),
    ),
)
async def stage_batch(session_id: str, visit: Visiting, idempotency_key: bodies.Key = "") -> Response:
    """All of them or none. `ids`: of these; `n_staged`: of all that are pending."""
    body = await bodies.read_numbers(visit, bodies.NewPoints)
    points = [staging.Point(each, body.reason) for each in body.experiments]
    staged = await put(visit, session_id, points, idempotency_key)
    return Json(
        {
            "experiments": body.experiments,
            "n_staged": staged.total,
            "reason": body.reason,
            "reasons": None,
            "ids": list(staged.ids),
        }
    )


@router.post(
    "/staged/complete",
    summary="Complete all staged experiments by position",
    **says(
        bodies.Outputs,
        example={"outputs": [0.87, 0.92], "noises": [0.02, 0.03]},
        answer={
            "message": completing.DONE,
            "n_added": 2,
            "n_experiments": 15,
            "model_trained": True,
            "training_metrics": {"rmse": 0.05, "r2": 0.92, "backend": "sklearn"},
        },
        problems=(400, 404, 409, 422),
    ),
)
async def complete(session_id: str, visit: Visiting, auto: bodies.AutoTrain) -> Response:
    """409 where the list is not the one that you read: nothing is completed, and the outputs are kept as unpaired."""
    body = await bodies.read_numbers(visit, bodies.Outputs)
    asked = completing.Completion(body.outputs, body.noises, body.iteration, body.reason)
    done = await visit.act(completing.complete, bodies.act_of(visit, session_id), asked)
    rows = done["n_experiments"] if done["n_added"] else 0
    trained = await training.after_adding(visit, session_id, auto, rows)
    return Json({**done, **trained})


@router.post(
    "/staged",
    summary="Stage an experiment",
    **says(
        bodies.NewPoint,
        example={"inputs": _POINT, "reason": "qEI"},
        answer={"message": "Experiment staged successfully", "n_staged": 3, "staged_inputs": _POINT},
        problems=(400, 404, 409, 422),
    ),
)
async def stage(session_id: str, visit: Visiting, idempotency_key: bodies.Key = "") -> Response:
    body = await bodies.read_numbers(visit, bodies.NewPoint)
    staged = await put(visit, session_id, [staging.Point(body.inputs, body.reason)], idempotency_key)
    return Json(
        {
            "message": "Experiment staged successfully",
            "n_staged": staged.total,
            "staged_inputs": body.inputs,
        }
    )


@router.get(
    "/staged",
    summary="The staged experiments, in order",
    **says(
        answer={
            "experiments": [_POINT],
            "n_staged": 1,
            "reason": "qEI",
            "reasons": ["qEI"],
            "ids": [_ID],
        },
        problems=(404,),
    ),
)
async def show(session_id: str, visit: Visiting) -> Response:
    return Json(await visit.run(staging.listed, visit.store, session_id, visit.visitor))


@router.delete(
    "/staged",
    summary="Take back all staged experiments",
    **says(answer={"message": "Staged experiments cleared", "n_cleared": 3}, problems=(404, 409)),
)
async def clear(session_id: str, visit: Visiting) -> Response:
    """What is running stays."""
    cleared = await visit.act(staging.clear, bodies.act_of(visit, session_id))
    return Json({"message": "Staged experiments cleared", "n_cleared": cleared})


@router.get(
    "/unpaired",
    summary="Outputs that could not be paired",
    **says(answer={"unpaired": [_UNPAIRED], "n_unpaired": 1}, problems=(404,)),
)
async def list_unpaired(session_id: str, visit: Visiting) -> Response:
    """Results that came when the list had changed, or of an item that had ended: kept until they are assigned."""
    found = await visit.run(unpaired.listed, visit.store, session_id)
    return Json({"unpaired": found, "n_unpaired": len(found)})


@router.post(
    "/unpaired/{name}/assign",
    summary="Assign kept outputs to items",
    **says(
        bodies.Assignment,
        example={"item_ids": [_ID]},
        answer={**_UNPAIRED, "assigned": [_ID]},
        problems=(400, 404, 409, 422),
    ),
)
async def assign(session_id: str, name: str, visit: Visiting) -> Response:
    """In order; all of these items are completed, or none."""
    body = await visit.read(bodies.Assignment)
    act = bodies.act_of(visit, session_id)
    return Json(await visit.act(unpaired.assign, act, name, body.item_ids))


async def put(
    visit: Visit, session_id: str, points: list[staging.Point], key: str, *, whole: bool = False
) -> staging.Staged:
    """Stages them and wakes those who wait for work here."""
    staged = await visit.act(staging.stage, bodies.act_of(visit, session_id), points, key, whole=whole)
    if staged.ids:
        visit.hub.staged(session_id, staged.batch, len(staged.ids))
    return staged
