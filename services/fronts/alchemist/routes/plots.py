"""Numbers for plots of the model."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from services.api.answers import Json
from services.fronts.alchemist.learning import plotting
from services.fronts.alchemist.routes.spec import says
from services.fronts.alchemist.visit import Route, Visit, Visiting

router = APIRouter(tags=["ALchemist"], route_class=Route)

Calibrated = Annotated[bool, Query(description="spreads scaled to the residuals that were seen")]
Target = Annotated[str | None, Query(description="an objective; the first where none is named")]
ROOT = "/sessions/{session_id}/visualizations"


class Slice(BaseModel):
    """Over two numbers; the other variables at `fixed_values`, else in the middle."""

    model_config = ConfigDict(extra="ignore")

    x_var: str
    y_var: str
    fixed_values: dict[str, Any] = {}
    grid_resolution: Annotated[int, Field(ge=10, le=200)] = 50
    include_experiments: bool = True
    include_suggestions: bool = False


SLICE = {"x_var": "temperature", "y_var": "time", "grid_resolution": 50}


def _says(body: type[BaseModel] | None = None) -> dict[str, Any]:
    return says(body, example=SLICE if body else None, answer={}, problems=(400, 404, 422))


@router.post(f"{ROOT}/contour", summary="The model over two variables", **_says(Slice))
async def contour(session_id: str, visit: Visiting) -> Response:
    return await _surface(session_id, visit)


@router.post(f"{ROOT}/surface", summary="The same, as a surface", **_says(Slice))
async def surface(session_id: str, visit: Visiting) -> Response:
    return await _surface(session_id, visit)


@router.get(f"{ROOT}/parity", summary="Measured and foretold", **_says())
async def parity(
    session_id: str, visit: Visiting, use_calibrated: Calibrated = False, target: Target = None
) -> Response:
    return Json(await plotting.parity(visit, session_id, target, use_calibrated))


@router.get(f"{ROOT}/metrics", summary="The learning curve", **_says())
async def metrics(
    session_id: str, visit: Visiting, cv_splits: Annotated[int, Query(ge=2, le=10)] = 5
) -> Response:
    """Each row is foretold without it: as many parts as there are rows, however many were asked for (`cv_splits`)."""
    return Json(await plotting.learning(visit, session_id))


@router.get(f"{ROOT}/qq-plot", summary="Residuals against a normal distribution", **_says())
async def quantiles(
    session_id: str, visit: Visiting, use_calibrated: Calibrated = False, target: Target = None
) -> Response:
    return Json(await plotting.quantiles(visit, session_id, target, use_calibrated))


@router.get(f"{ROOT}/calibration-curve", summary="Is the model as sure as it may be?", **_says())
async def calibration(
    session_id: str, visit: Visiting, use_calibrated: Calibrated = False, target: Target = None
) -> Response:
    return Json(await plotting.calibration(visit, session_id, target, use_calibrated))


@router.get(f"{ROOT}/hyperparameters", summary="What the fit found", **_says())
async def hyperparameters(session_id: str, visit: Visiting) -> Response:
    return Json(await plotting.settings(visit, session_id))


async def _surface(session_id: str, visit: Visit) -> Response:
    body = await visit.read(Slice)
    shown = (body.include_experiments, body.include_suggestions)
    wish = plotting.Slice(body.x_var, body.y_var, body.fixed_values, body.grid_resolution, *shown)
    return Json(await plotting.surface(visit, session_id, wish))
