"""Campaigns: a problem, a strategy, and the history between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from labqueue.errors import FieldError, InvalidError
from labqueue.problem import Problem
from labqueue.strategy import Strategy
from models.domain import records as r
from services.api import shapes
from services.api.answers import Json, page
from services.api.calibration import calibration_json
from services.api.call import Admitted, Call
from services.api.listings import campaign_json, campaigns_json
from services.api.names import Named, find_campaign
from services.api.schemas import Body, Name, Number, Reason, Text, Whole
from services.api.spec import says
from services.flow import define, edit, steer
from services.ports import Store

router = APIRouter(prefix="/campaigns", tags=["campaigns"])


class CampaignBody(Body):
    """`problem`: what may vary and what is measured. `strategy`: how to suggest, how deep to stage, when to stop.
    `weight`: this campaign's share among its owner's; `seed`: with the data, the only source of chance."""

    name: Name
    queue: Name
    owner: Name | None = None
    problem: dict[str, Any]
    strategy: dict[str, Any] = Field(default_factory=dict)
    weight: Annotated[Number, Field(gt=0, le=1e6)] = 1.0
    seed: Annotated[Whole, Field(ge=0, lt=2**31)] | None = None


class StrategyBody(Body):
    """A new version of the strategy; the old ones are kept."""

    strategy: dict[str, Any]
    reason: Text = ""


class ProblemBody(Body):
    """A new version of the problem; the old ones are kept. `strategy`: changed with it, where the present one does
    not fit; `version`: the one that was edited, refused where another is the present one by now."""

    problem: dict[str, Any]
    strategy: dict[str, Any] | None = None
    version: Annotated[Whole, Field(ge=1)] | None = None
    reason: Text = ""


EXAMPLE = {
    "name": "snar",
    "queue": "flow-reactor",
    "problem": {
        "parameters": [
            {"name": "tau", "kind": "continuous", "low": 0.5, "high": 2.0, "unit": "min"},
            {"name": "solvent", "kind": "categorical", "categories": ["ethanol", "water"]},
        ],
        "outputs": [{"name": "yield", "unit": "%"}],
        "objectives": [{"output": "yield", "goal": "maximize"}],
    },
    "strategy": {"method": "bayesian", "initial": 8, "depth": 4, "stop": {"budget": 40}},
}
CAMPAIGN = {
    "name": "snar",
    "state": "active",
    "reason": "",
    "owner": "anna",
    "queue": "flow-reactor",
    "problem": EXAMPLE["problem"],
    "problem_version": 1,
    "strategy": EXAMPLE["strategy"],
    "strategy_version": 1,
    "weight": 1.0,
    "seed": 7,
    "data_revision": 118,
    "model_version": 3,
    "counts": {"staged": 4, "leased": 2, "completed": 21},
    "best": {
        "experiment": 17,
        "code": "snar-17",
        "score": 87.0,
        "parameters": {"tau": 0.5, "solvent": "ethanol"},
        "outputs": {"yield": 87.0},
    },
    "front": [],
    "learner": None,
    "created_at": "2026-01-31T12:00:00Z",
    "finished_at": None,
}
EDITED = {
    "campaign": CAMPAIGN,
    "superseded": [{"id": 22, "code": "snar-22"}],
    "outside": [
        {
            "id": 23,
            "code": "snar-23",
            "errors": [
                {
                    "field": "tau",
                    "message": "is outside 0.5 to 1.5 min.",
                    "value": 2.0,
                    "allowed": "0.5 to 1.5 min",
                    "hint": "",
                }
            ],
        }
    ],
}
VERSION = {
    "kind": "problem",
    "number": 2,
    "actor": "person:anna",
    "reason": "the pump is worn out",
    "at": "2026-01-31T12:00:00Z",
    "body": EXAMPLE["problem"],
}

CALIBRATION = {
    "output": "yield",
    "n": 21,
    "coverage50": 0.52,
    "coverage95": 0.95,
    "z_mean": 0.1,
    "z_sd": 1.04,
    "rmse": 1.9,
}


@router.post(
    "",
    summary="Create a campaign",
    **says(CampaignBody, example=EXAMPLE, answer=CAMPAIGN, status=201, problems=(404, 409, 422)),
)
async def create_campaign(call: Admitted) -> Response:
    """201 where it is new. The same name with the same definition is 200, with another one 409. The queue must
    exist."""
    body = await call.read(CampaignBody)
    call.caller.must_own(body.name)
    _check_both(body)
    new = define.NewCampaign(
        name=body.name,
        queue=body.queue,
        owner=body.owner or call.caller.name,
        problem=body.problem,
        strategy=body.strategy,
        weight=body.weight,
        seed=body.seed,
    )
    made, created = await call.act(define.create_campaign, call.store, call.context.ids, new, call.actor)
    return Json(await call.run(campaign_json, call.store, made), 201 if created else 200)


def _check_both(body: CampaignBody) -> None:
    """Everything that is wrong with the problem and with the strategy, in one answer."""
    errors: list[FieldError] = []
    for read, given in ((Problem.from_json, body.problem), (Strategy.from_json, body.strategy)):
        try:
            read(given)
        except InvalidError as error:
            errors += error.errors
    if errors:
        raise InvalidError("The campaign cannot be created as it stands.", errors=errors)


@router.get("", summary="All campaigns", **says(answer={"items": [CAMPAIGN], "next": None}))
async def list_campaigns(
    call: Admitted, state: Annotated[Literal["active", "paused", "finished"] | None, Query()] = None
) -> Response:
    found = await call.run(campaigns_json, call.store, state, call.caller.sees)
    return page(found, None)


@router.get(
    "/{campaign}",
    summary="One campaign, with its counts and its best",
    **says(answer=CAMPAIGN, problems=(404,)),
)
async def show_campaign(campaign: Named, call: Admitted) -> Response:
    found = await call.run(find_campaign, call.store, campaign)
    call.caller.must_see(found.name, found.queue)
    return Json(await call.run(campaign_json, call.store, found))


@router.put(
    "/{campaign}/strategy",
    summary="Change the strategy",
    **says(
        StrategyBody,
        example={"strategy": EXAMPLE["strategy"], "reason": "more depth for two instruments"},
        answer=CAMPAIGN,
        problems=(404, 409, 422),
    ),
)
async def change_strategy(campaign: Named, call: Admitted) -> Response:
    """A numbered version, with who and why; it takes effect with the next suggestion. The same again changes nothing."""
    call.caller.must_own(campaign)
    body = await call.read(StrategyBody)
    changed = await call.act(
        define.change_strategy, call.store, campaign, body.strategy, body.reason, call.actor
    )
    return Json(await call.run(campaign_json, call.store, changed))


@router.put(
    "/{campaign}/problem",
    summary="Change the problem of a running campaign",
    **says(
        ProblemBody,
        example={"problem": EXAMPLE["problem"], "version": 1, "reason": "the pump is worn out"},
        answer=EDITED,
        problems=(404, 409, 422),
    ),
)
async def change_problem(campaign: Named, call: Admitted) -> Response:
    """A numbered version, with who and why. Results stay; suggestions that are now outside are `superseded`; what
    people staged, pinned or approved and is now outside stays, and is listed. The same problem again changes nothing.
    """
    call.caller.must_own(campaign)
    body = await call.read(ProblemBody)
    found = await call.act(
        edit.change_problem,
        call.store,
        campaign,
        body.problem,
        body.reason,
        call.actor,
        strategy=body.strategy,
        version=body.version,
    )
    outside = [
        {"id": each.experiment.id, "code": each.experiment.code, "errors": [e.to_json() for e in each.errors]}
        for each in found.outside
    ]
    return Json(
        {
            "campaign": await call.run(campaign_json, call.store, found.campaign),
            "superseded": [{"id": each.id, "code": each.code} for each in found.superseded],
            "outside": outside,
        }
    )


@router.get(
    "/{campaign}/versions",
    summary="Every problem and strategy that it had",
    **says(answer={"items": [VERSION], "next": None}, problems=(404,)),
)
async def list_versions(campaign: Named, call: Admitted) -> Response:
    """In the order in which they were set, each with who and why."""
    found = await call.run(find_campaign, call.store, campaign)
    call.caller.must_see(found.name, found.queue)
    versions = await call.run(_versions, call.store, found.id)
    return page([shapes.version(each) for each in versions], None)


def _versions(store: Store, campaign_id: int) -> list[r.Version]:
    with store.begin() as tx:
        return tx.campaigns.versions(campaign_id)


@router.get("/{campaign}/models", summary="The trained models", **says(problems=(404,)))
async def list_models(campaign: Named, call: Admitted) -> Response:
    found = await call.run(find_campaign, call.store, campaign)
    call.caller.must_see(found.name, found.queue)
    models = await call.run(_models, call.store, found.id)
    return page([shapes.model(each) for each in models], None)


def _models(store: Store, campaign_id: int) -> list[r.Model]:
    with store.begin() as tx:
        return tx.models.all(campaign_id)


@router.get(
    "/{campaign}/calibration",
    summary="What was expected, against what came",
    **says(answer={"items": [CALIBRATION], "next": None}, problems=(404,)),
)
async def show_calibration(campaign: Named, call: Admitted) -> Response:
    """By output, over the experiments that a model chose. An honest model has coverage50 near 0.5, coverage95 near
    0.95, z_mean near 0 and z_sd near 1; one that is too sure of itself has lower coverages and a larger z_sd."""
    found = await call.run(find_campaign, call.store, campaign)
    call.caller.must_see(found.name, found.queue)
    return page(await call.run(calibration_json, call.store, found), None)


def _turn(
    act: Callable[[Store, str, str, str], r.Campaign], description: str
) -> Callable[[str, Call], object]:
    async def turn(campaign: Named, call: Admitted) -> Response:
        call.caller.must_own(campaign)
        body = await call.read(Reason)
        turned = await call.act(act, call.store, campaign, body.reason, call.actor)
        return Json(await call.run(campaign_json, call.store, turned))

    turn.__doc__ = description
    return turn


for _verb, _act, _summary in (
    ("pause", steer.pause_campaign, "Staging and claims stop; what runs goes on"),
    ("resume", steer.resume_campaign, "It goes on; a finished one too"),
    ("finish", steer.finish_campaign, "What is staged is cancelled, runs end, results are still taken"),
):
    router.add_api_route(
        f"/{{campaign}}/{_verb}",
        _turn(_act, _summary),
        methods=["POST"],
        name=f"{_verb}_campaign",
        summary=f"{_verb.capitalize()} a campaign",
        **says(Reason, example={"reason": "solvent is empty"}, answer=CAMPAIGN, problems=(404, 409, 422)),
    )
