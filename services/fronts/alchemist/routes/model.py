"""The model: trained, looked at, asked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.api.answers import Json
from services.flow.questions import POINT_LIMIT
from services.fronts.alchemist.learning import modelling, predicting
from services.fronts.alchemist.routes.spec import says
from services.fronts.alchemist.visit import Route, Visiting

router = APIRouter(tags=["ALchemist"], route_class=Route)

Word = Annotated[str, StringConstraints(max_length=100)]


class Training(BaseModel):
    """`kernel` with `kernel_params` `nu` (0.5, 1.5 or 2.5 of a Matern kernel) is used; without one the data choose. What
    else is named is kept and answered back."""

    model_config = ConfigDict(extra="ignore")

    backend: Literal["sklearn", "botorch"] = "sklearn"
    kernel: Word | None = None
    kernel_params: dict[str, Any] | None = None
    input_transform: Word | None = None
    output_transform: Word | None = None
    calibration_enabled: bool = False
    optimizer: Word | None = None

    def wish(self) -> dict[str, Any]:
        said = self.model_dump(include={"backend", "kernel", "kernel_params", "calibration_enabled"})
        if self.kernel is None:
            said.pop("kernel")
        return {**said, **self.model_dump(include=self.model_fields_set - set(said), exclude_none=True)}


class Prediction(BaseModel):
    model_config = ConfigDict(extra="ignore")

    inputs: Annotated[list[dict[str, float | int | str]], Field(max_length=POINT_LIMIT)]


TRAINED = {
    "success": True,
    "backend": "sklearn",
    "kernel": "Matern",
    "hyperparameters": {
        "model_type": "gp",
        "kernel_type": "Matern",
        "matern_nu": 1.5,
        "lengthscale": [0.4],
        "noise": 0.001,
    },
    "metrics": {"rmse": 0.1, "mae": 0.08, "r2": 0.9},
    "message": "Model trained successfully",
}


@router.post(
    "/sessions/{session_id}/model/train",
    summary="Train the model",
    **says(
        Training,
        example={"backend": "sklearn", "kernel": "Matern", "kernel_params": {"nu": 2.5}},
        answer=TRAINED,
        problems=(400, 404, 409, 422),
    ),
)
async def train(session_id: str, visit: Visiting) -> Response:
    """Waits until a model has seen every row."""
    body = await visit.read(Training)
    return Json(await modelling.trained(visit, session_id, body.wish()))


@router.get("/sessions/{session_id}/model", summary="The model", **says(answer={}, problems=(404,)))
async def show(session_id: str, visit: Visiting) -> Response:
    return Json(await visit.run(modelling.information, visit.store, session_id))


@router.post(
    "/sessions/{session_id}/model/predict",
    summary="What the model expects",
    **says(Prediction, example={"inputs": [{"x": 0.5}]}, answer={}, problems=(400, 404, 422)),
)
async def predict(session_id: str, visit: Visiting) -> Response:
    """Mean and standard deviation of the first target, and of every one under `outputs`."""
    body = await visit.read(Prediction)
    return Json(await predicting.predictions(visit, session_id, body.inputs))
