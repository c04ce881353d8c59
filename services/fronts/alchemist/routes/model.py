"""The model: trained, looked at, asked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.api.answers import Json
from services.api.spec import says
from services.flow.questions import POINT_LIMIT
from services.fronts.alchemist import modelling, predicting
from services.fronts.alchemist.visit import Route, Visiting

router = APIRouter(tags=["ALchemist"], route_class=Route)

Word = Annotated[str, StringConstraints(max_length=100)]


class Training(BaseModel):
    """How the model is wished for; it is kept and answered back."""

    model_config = ConfigDict(extra="ignore")

    backend: Literal["sklearn", "botorch"] = "sklearn"
    kernel: Word = "Matern"
    kernel_params: dict[str, Any] | None = None
    input_transform: Word | None = None
    output_transform: Word | None = None
    calibration_enabled: bool = False
    optimizer: Word | None = None

    def wish(self) -> dict[str, Any]:
        said = self.model_dump(exclude={"input_transform", "output_transform", "optimizer"})
        return {**said, **self.model_dump(include=self.model_fields_set - set(said), exclude_none=True)}


class Prediction(BaseModel):
    model_config = ConfigDict(extra="ignore")

    inputs: Annotated[list[dict[str, float | int | str]], Field(max_length=POINT_LIMIT)]


TRAINED = {
    "success": True,
    "backend": "sklearn",
    "kernel": "Matern",
    "hyperparameters": {"model_type": "gp", "kernel_type": "matern", "lengthscale": [0.4], "noise": 0.001},
    "metrics": {"rmse": 0.1, "mae": 0.08, "r2": 0.9},
    "message": "Model trained successfully",
}


@router.post(
    "/sessions/{session_id}/model/train",
    summary="Train the model",
    **says(Training, example={"backend": "sklearn"}, answer=TRAINED, problems=(400, 404, 409, 422)),
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
