"""The dataset: measured rows, one by one, in batches, as tables; where each came from."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from services.api.answers import Json
from services.fronts.alchemist.data import adding, dataset, tables
from services.fronts.alchemist.experiments import provenance
from services.fronts.alchemist.learning import training
from services.fronts.alchemist.routes import bodies, uploads
from services.fronts.alchemist.routes.spec import says
from services.fronts.alchemist.visit import Route, Visit, Visiting

router = APIRouter(prefix="/sessions/{session_id}/experiments", tags=["ALchemist"], route_class=Route)

_NEW = {"inputs": {"temperature": 350.0, "catalyst": "A"}, "output": 0.85, "noise": 0.02}
_ROW = {
    "temperature": 350.0,
    "catalyst": "A",
    "Output": 0.85,
    "Iteration": 3,
    "Reason": "Manual",
    "ProvenanceId": "3f1c6f0e-6b1d-4d0a-9d43-1f4e7a7c2b11",
}
_ADDED = {
    "message": "Experiment added successfully",
    "n_experiments": 15,
    "model_trained": False,
    "training_metrics": None,
}
_ORIGIN = {
    "id": _ROW["ProvenanceId"],
    "iteration": 3,
    "strategy": "Manual",
    "acq_params": {},
    "suggested": None,
    "actual": _NEW["inputs"],
    "delta": {"temperature": "no-suggestion", "catalyst": "no-suggestion"},
    "output": 0.85,
    "noise": None,
    "timestamp": "2026-01-31T12:00:00+00:00",
}
_STATS = {"min": 0.5, "max": 0.95, "mean": 0.75, "std": 0.12}
Targets = Annotated[list[str] | None, Query(description="columns that were measured, with commas between")]


@router.post(
    "/batch",
    summary="Add several measured experiments",
    **says(
        bodies.NewExperiments,
        example={"experiments": [_NEW]},
        answer={**_ADDED, "message": "Added 1 experiments successfully"},
        problems=(400, 404, 409, 422),
    ),
)
async def add_batch(
    session_id: str, visit: Visiting, auto: bodies.AutoTrain, idempotency_key: bodies.Key = ""
) -> Response:
    """All of them or none."""
    body = await bodies.read_numbers(visit, bodies.NewExperiments)
    given = [_given(each) for each in body.experiments]
    message = f"Added {len(given)} experiments successfully"
    return await _add(visit, session_id, given, message, auto, idempotency_key)


@router.post(
    "/record-batch",
    summary="Record results of items and of other runs",
    **says(
        bodies.Entries,
        example={"entries": [{**_NEW, "item_id": _ROW["ProvenanceId"]}]},
        answer={
            **_ADDED,
            "message": "Recorded 1 results",
            "n_added": 1,
            "completed_item_ids": [_ROW["ProvenanceId"]],
        },
        problems=(400, 404, 409, 422),
    ),
)
async def record_batch(
    session_id: str, visit: Visiting, auto: bodies.AutoTrain, idempotency_key: bodies.Key = ""
) -> Response:
    """All of them or none."""
    body = await bodies.read_numbers(visit, bodies.Entries)
    given = [_given(each, each.item_id) for each in body.entries]
    act = bodies.act_of(visit, session_id)
    added = await visit.act(adding.record_batch, act, given, idempotency_key)
    trained = await training.after_adding(visit, session_id, auto, added.total)
    return Json(
        {
            "message": f"Recorded {added.count} results",
            "n_added": added.count,
            "n_experiments": added.total,
            "completed_item_ids": list(added.completed),
            **trained,
        }
    )


@router.post(
    "/preview",
    summary="What is in a table",
    openapi_extra=uploads.FILE,
    **says(
        answer={
            "columns": ["temperature", "yield"],
            "available_targets": ["temperature", "yield"],
            "has_output": False,
            "recommended_target": "yield",
            "n_rows": 12,
        },
        problems=(400, 404, 422),
    ),
)
async def preview(session_id: str, visit: Visiting) -> Response:
    data = await uploads.file_of(visit)
    return Json(await visit.run(tables.preview, visit.store, session_id, data))


@router.post(
    "/upload",
    summary="Add the rows of a table",
    openapi_extra=uploads.FILE,
    **says(
        answer={"message": "Loaded 12 experiments successfully", "n_experiments": 12},
        problems=(400, 404, 409, 422),
    ),
)
async def upload(session_id: str, visit: Visiting, target_columns: Targets = None) -> Response:
    """Rows that are there already are not added again; what was measured before stays."""
    data = await uploads.file_of(visit)
    names = [name.strip() for each in target_columns or () for name in each.split(",")]
    act = bodies.act_of(visit, session_id)
    return Json(await visit.act(tables.upload, act, data, [each for each in names if each]))


@router.get(
    "/summary",
    summary="The dataset in short",
    **says(
        answer={
            "n_experiments": 10,
            "has_data": True,
            "has_noise": False,
            "target_stats": _STATS,
            "feature_names": ["temperature", "catalyst"],
        },
        problems=(404,),
    ),
)
async def summary(session_id: str, visit: Visiting) -> Response:
    return Json(await visit.run(dataset.summary, visit.store, session_id))


@router.get(
    "/provenance",
    summary="What was suggested and what was run, of every row",
    **says(answer={"records": [_ORIGIN], "n_records": 1}, problems=(404,)),
)
async def list_provenance(session_id: str, visit: Visiting) -> Response:
    found = await visit.run(provenance.listed, visit.store, session_id)
    return Json({"records": found, "n_records": len(found)})


@router.get(
    "/provenance/{provenance_id}",
    summary="What was suggested and what was run, of one row",
    **says(answer=_ORIGIN, problems=(404,)),
)
async def show_provenance(session_id: str, provenance_id: str, visit: Visiting) -> Response:
    return Json(await visit.run(provenance.one, visit.store, session_id, provenance_id))


@router.post(
    "",
    summary="Add a measured experiment",
    **says(bodies.NewExperiment, example=_NEW, answer=_ADDED, problems=(400, 404, 409, 422)),
)
async def add(
    session_id: str, visit: Visiting, auto: bodies.AutoTrain, idempotency_key: bodies.Key = ""
) -> Response:
    """The same twice is two rows: a replicate. With an Idempotency-Key a request that is sent again is one."""
    body = await bodies.read_numbers(visit, bodies.NewExperiment)
    message = "Experiment added successfully"
    return await _add(visit, session_id, [_given(body)], message, auto, idempotency_key)


@router.get(
    "",
    summary="The dataset",
    **says(answer={"experiments": [_ROW], "n_experiments": 1}, problems=(404,)),
)
async def show(session_id: str, visit: Visiting) -> Response:
    found = await visit.run(dataset.table, visit.store, session_id)
    return Json({"experiments": found, "n_experiments": len(found)})


def _given(body: bodies.NewExperiment, item: str | None = None) -> adding.Given:
    return adding.Given(body.inputs, body.output, body.noise, body.iteration, body.reason, item)


async def _add(
    visit: Visit,
    session_id: str,
    given: list[adding.Given],
    message: str,
    auto: training.Retraining,
    key: str,
) -> Response:
    added = await visit.act(adding.add, bodies.act_of(visit, session_id), given, key)
    answer: dict[str, Any] = {"message": message, "n_experiments": added.total}
    return Json({**answer, **await training.after_adding(visit, session_id, auto, added.total)})
