"""Suggestions: what would be run next, and where the model's mean is best."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints

from services.api.answers import Json
from services.fronts.alchemist.learning import predicting
from services.fronts.alchemist.learning.suggesting import Wish, suggestions
from services.fronts.alchemist.routes.spec import says
from services.fronts.alchemist.visit import Route, Visiting

router = APIRouter(tags=["ALchemist"], route_class=Route)

Goal = Literal["maximize", "minimize"]
Values = dict[str, FiniteFloat | int | str]


class Acquisition(BaseModel):
    """`goal`: of several objectives one, or one of each; `xi` is kept, and the diagnostics say that it has no
    effect."""

    model_config = ConfigDict(extra="ignore")

    strategy: Annotated[str, StringConstraints(max_length=100)] = "EI"
    goal: Goal | Annotated[list[Goal], Field(min_length=1)] = "maximize"
    n_suggestions: Annotated[int, Field(ge=1, le=10)] = 1
    xi: FiniteFloat | None = None
    kappa: Annotated[float, Field(ge=-1e6, le=1e6)] | None = None
    hold: Values | None = None
    observed: Values | None = None

    def wish(self) -> Wish:
        said = (self.strategy, self.goal, self.n_suggestions, self.xi, self.kappa)
        return Wish(*said, self.hold, self.observed)


class Optimum(BaseModel):
    model_config = ConfigDict(extra="ignore")

    goal: Goal = "maximize"
    observed: Values | None = None


EXAMPLE = {"strategy": "qEI", "goal": "maximize", "n_suggestions": 2}
SUGGESTED = {
    "suggestions": [{"x": 0.3}],
    "n_suggestions": 1,
    "iteration": 6,
    "diagnostics": [{"held": [], "knowledge_ratio": 0.1, "warnings": []}],
}


@router.post(
    "/sessions/{session_id}/acquisition/suggest",
    summary="Suggest experiments",
    **says(Acquisition, example=EXAMPLE, answer=SUGGESTED, problems=(400, 404, 409, 422)),
)
async def suggest(session_id: str, visit: Visiting) -> Response:
    """Needs a model. Knows what is staged and running; nothing is staged by asking."""
    body = await visit.read(Acquisition)
    return Json(await suggestions(visit, session_id, body.wish()))


@router.post(
    "/sessions/{session_id}/acquire",
    summary="Suggest experiments, with or without a model",
    **says(Acquisition, example=EXAMPLE, answer=SUGGESTED, problems=(400, 404, 409, 422)),
)
async def acquire(session_id: str, visit: Visiting) -> Response:
    """The same; until there is a model the points of a design."""
    body = await visit.read(Acquisition)
    return Json(await suggestions(visit, session_id, body.wish(), anyway=True))


@router.post(
    "/sessions/{session_id}/acquisition/find-optimum",
    summary="Where the model's mean is best",
    **says(Optimum, example={"goal": "maximize"}, answer={}, problems=(400, 404, 422)),
)
async def find_optimum(session_id: str, visit: Visiting) -> Response:
    """Within the constraints, and for the observed values that were given or seen last."""
    body = await visit.read(Optimum)
    return Json(await predicting.optimum(visit, session_id, body.goal, body.observed))
