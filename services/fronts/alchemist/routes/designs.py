"""Designs of experiments: initial, optimal, split-plot. Nothing is staged by asking."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints

from services.api.answers import Json
from services.fronts.alchemist.designs import initial, optimal, split_plot
from services.fronts.alchemist.designs.classical import Spec
from services.fronts.alchemist.routes.spec import says
from services.fronts.alchemist.visit import Route, Visiting

router = APIRouter(tags=["ALchemist"], route_class=Route)

Method = Literal[
    "random",
    "lhs",
    "sobol",
    "halton",
    "hammersly",
    "full_factorial",
    "fractional_factorial",
    "ccd",
    "box_behnken",
    "plackett_burman",
    "gsd",
]
Changes = Literal["very_hard", "hard", "easy"]
Words = Annotated[str, StringConstraints(max_length=1000)]
Count = Annotated[int, Field(ge=1, le=1000)]
Terms = Annotated[list[Words], Field(max_length=1000)]


class _Design(BaseModel):
    model_config = ConfigDict(extra="ignore")

    n_points: Count | None = None
    lhs_criterion: Literal["maximin", "correlation", "ratio"] | None = "maximin"
    n_levels: Annotated[int, Field(ge=2, le=5)] | None = None
    n_center: Annotated[int, Field(ge=0, le=10)] | None = None
    generators: Words | None = None
    ccd_alpha: Literal["orthogonal", "rotatable"] | None = None
    ccd_face: Literal["circumscribed", "inscribed", "faced"] | None = None
    gsd_reduction: Annotated[int, Field(ge=2, le=10)] | None = None

    def spec(self, method: str, center: int) -> Spec:
        return Spec(
            method,
            self.n_levels or 2,
            center if self.n_center is None else self.n_center,
            self.generators,
            self.ccd_alpha or "orthogonal",
            self.ccd_face or "circumscribed",
            self.gsd_reduction or 2,
            self.lhs_criterion or "maximin",
        )


class Initial(_Design):
    method: Method = "lhs"
    random_seed: int | None = None
    allow_infeasible: bool = False

    def wish(self) -> initial.Wish:
        spec, count = self.spec(self.method, 1), self.n_points or initial.COUNT
        return initial.Wish(spec, count, self.random_seed, self.allow_infeasible)


class Model(BaseModel):
    """`model_type`, or `effects` such as `a`, `a*b`, `a**2`."""

    model_config = ConfigDict(extra="ignore")

    model_type: Literal["linear", "interaction", "quadratic"] | None = None
    effects: Terms | None = None


class Optimal(Model):
    n_points: Annotated[int, Field(ge=1, le=10_000)] | None = None
    p_multiplier: Annotated[float, Field(ge=1, le=10)] | None = None
    criterion: Literal["D", "A", "I"] = "D"
    algorithm: Literal["sequential", "simple_exchange", "fedorov", "modified_fedorov", "detmax"] = "fedorov"
    n_levels: Annotated[int, Field(ge=2, le=20)] = 5
    max_iter: Annotated[int, Field(ge=10, le=10_000)] = 200
    random_seed: int | None = None

    def wish(self) -> optimal.Wish:
        wanted = (self.n_points, self.p_multiplier, self.criterion, self.algorithm)
        return optimal.Wish(
            self.model_type, self.effects, *wanted, self.n_levels, self.max_iter, self.random_seed
        )


class LevelDesign(_Design):
    method: Method

    def level(self) -> split_plot.Level:
        said = self.model_dump(include=self.model_fields_set, exclude_none=True)
        return split_plot.Level(self.spec(self.method, 0), self.n_points or initial.COUNT, said)


class Reference(BaseModel):
    model_config = ConfigDict(extra="ignore")

    position: Literal["ends", "start"] = "ends"
    values: dict[str, FiniteFloat | int | str] | None = None


class SplitPlot(BaseModel):
    model_config = ConfigDict(extra="ignore")

    designs: dict[Changes, LevelDesign]
    replicates: dict[Literal["very_hard", "hard"], int] = {}
    easy_mode: Literal["fresh", "crossed"] = "fresh"
    middle_mode: Literal["fresh", "crossed"] = "fresh"
    reference: Reference | None = None
    order: dict[Changes, Literal["random", "as_generated"]] = {}
    random_seed: int | None = None

    def wish(self) -> split_plot.Wish:
        modes = {split_plot.EASY: self.easy_mode, split_plot.HARD: self.middle_mode}
        given, run = self.reference, None
        if given is not None:
            run = split_plot.Reference(given.position == split_plot.ENDS, given.values)
        return split_plot.Wish(
            {level: each.level() for level, each in self.designs.items()},
            {level: times for level, times in self.replicates.items()},
            frozenset(level for level, mode in modes.items() if mode == split_plot.CROSSED),
            run,
            frozenset(level for level, order in self.order.items() if order == split_plot.AS_GENERATED),
            self.random_seed,
        )


POINTS = {"points": [{"x": 0.5}], "n_points": 1}
ROOT = "/sessions/{session_id}"


@router.post(
    f"{ROOT}/initial-design",
    summary="An initial design",
    **says(Initial, example={"method": "lhs", "n_points": 12}, answer=POINTS, problems=(400, 404, 422)),
)
async def of_kind(session_id: str, visit: Visiting) -> Response:
    """Within the constraints."""
    body = await visit.read(Initial)
    return Json(await initial.initial(visit, session_id, body.wish()))


@router.post(
    f"{ROOT}/optimal-design/info",
    summary="What an optimal design would estimate",
    **says(Model, example={"model_type": "quadratic"}, answer={}, problems=(400, 404, 422)),
)
async def information(session_id: str, visit: Visiting) -> Response:
    body = await visit.read(Model)
    wish = optimal.Wish(body.model_type, body.effects)
    return Json(await visit.run(optimal.information, visit.store, session_id, wish))


@router.post(
    f"{ROOT}/optimal-design",
    summary="An optimal design",
    **says(
        Optimal,
        example={"model_type": "quadratic", "p_multiplier": 1.5},
        answer=POINTS,
        problems=(400, 404, 422),
    ),
)
async def best(session_id: str, visit: Visiting) -> Response:
    """Within the constraints, of a grid and of the points where it meets their edges."""
    body = await visit.read(Optimal)
    ids = visit.context.ids
    return Json(await visit.run(optimal.design, visit.store, ids, session_id, body.wish()))


@router.post(
    f"{ROOT}/split-plot-design",
    summary="A split-plot design",
    **says(
        SplitPlot,
        example={"designs": {"hard": {"method": "full_factorial"}, "easy": {"method": "lhs", "n_points": 4}}},
        answer=POINTS,
        problems=(400, 404, 422),
    ),
)
async def split(session_id: str, visit: Visiting) -> Response:
    """What is hard to change stands still within a plot."""
    body = await visit.read(SplitPlot)
    return Json(await split_plot.design(visit, session_id, body.wish()))
