"""Results: what came back, whoever sends it and however late; amending and withdrawing them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from labqueue.errors import DeniedError, InvalidError, KeyReusedError, NotFoundError
from labqueue.states import Verdict
from models.domain import records as r
from services.api import shapes
from services.api.answers import Json
from services.api.body import check
from services.api.call import Admitted, Call
from services.api.items import items_of, sorted_out, text_of
from services.api.listings import result_row
from services.api.names import Named, experiment_id, find_campaign, find_experiment
from services.api.schemas import Body, Name, Reason, Text, Whole
from services.api.spec import says
from services.flow import amend, dismiss, report
from services.flow.filing import Recorded, Report

router = APIRouter(tags=["results"])
hot = APIRouter(tags=["results"])

ITEM_LIMIT = report.REPORT_LIMIT
Values = dict[str, Any]


class ArtifactRef(Body):
    """A file that belongs to the result; its bytes were sent to /artifacts before."""

    name: Name
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ResultBody(Body):
    """A result less the experiment that it belongs to. `id` is made when the measurement ends, never again."""

    id: UUID
    lease: Annotated[str, Field(strict=True, max_length=200)] | None = None
    outcome: Literal["measured", "infeasible", "suspect"] = "measured"
    outputs: Values = Field(default_factory=dict)
    outstanding: list[Name] = Field(default_factory=list, max_length=1000)
    noise: Values = Field(default_factory=dict)
    actual: Values = Field(default_factory=dict)
    artifacts: list[ArtifactRef] = Field(default_factory=list, max_length=1000)
    comment: Text = ""
    measured_at: Annotated[str, Field(strict=True, max_length=100)] | None = None


class NamedResult(ResultBody):
    """A result of an experiment, by its id or code."""

    experiment: Whole | Name


class ElsewhereResult(ResultBody):
    """A result of a run that Labqueue did not stage: it names its parameters."""

    parameters: Values | None = None


class ResultBatch(Body):
    items: list[NamedResult]


class ElsewhereBatch(Body):
    items: list[ElsewhereResult]


class AmendBody(Body):
    """Other values for a result, or for what its parameters really were; the old ones are kept beside them."""

    id: UUID
    outputs: Values = Field(default_factory=dict)
    actual: Values = Field(default_factory=dict)
    reason: Text = ""


class WithdrawBody(Body):
    id: UUID
    reason: Text = ""


RESULT = {
    "id": "0b0c6a2e-61a8-4d5b-8f0e-3f2d1c0b9a88",
    "experiment": 17,
    "lease": "6f0c1d5e2b3a4c5d8e9f0a1b2c3d4e5f.1",
    "outputs": {"yield": 0.87},
}
RECORDED = {
    "id": RESULT["id"],
    "verdict": "accepted",
    "experiment": 17,
    "state": "completed",
    "code": None,
    "message": "",
    "errors": [],
}


@hot.post(
    "/results",
    summary="Send results, item by item",
    **says(ResultBatch, example={"items": [RESULT]}, answer={"items": [RECORDED]}, problems=(413, 422)),
)
async def post_results(call: Admitted) -> Response:
    """Each is judged by itself: 95 good ones are recorded whatever the 96th is. `held`: kept as it came, and a
    person decides; `refused`: see `code` and `message`."""
    items = await items_of(call, ITEM_LIMIT)
    good, faults = sorted_out(NamedResult, items)
    reports = [_report(each, experiment_id(each.experiment)) for each in good]
    denied = await _denied(call, reports)
    allowed = [each for place, each in enumerate(reports) if place not in denied]
    found = (
        await call.run(report.report, call.store, call.context.ids, allowed, call.actor) if allowed else []
    )
    _recorded(call, found, relay=any(each.lease is None for each in allowed))
    return Json({"items": _merged(items, reports, faults, denied, found)})


@router.post(
    "/campaigns/{campaign}/results",
    summary="Send results of experiments that were run elsewhere",
    **says(
        ElsewhereBatch,
        example={"items": [{"id": RESULT["id"], "parameters": {"tau": 0.5}, "outputs": {"yield": 0.87}}]},
        answer={"items": [RECORDED]},
        problems=(404, 413, 422),
    ),
)
async def post_elsewhere(campaign: Named, call: Admitted) -> Response:
    """Each names its parameters and becomes an experiment of the campaign, completed at once. Outside of bounds or
    constraints it counts as well, and `message` says so."""
    items = await items_of(call, ITEM_LIMIT)
    call.caller.must_own(campaign)
    await call.run(find_campaign, call.store, campaign)
    good, faults = sorted_out(ElsewhereResult, items)
    reports = [_report(each, None, each.parameters) for each in good]
    found = []
    if reports:
        found = await call.run(
            report.report_elsewhere, call.store, call.context.ids, campaign, reports, call.actor
        )
    _recorded(call, found)
    return Json({"items": _merged(items, reports, faults, {}, found)})


@hot.post(
    "/experiments/{experiment}/results",
    summary="Send the result of one experiment",
    **says(
        ResultBody,
        example={key: value for key, value in RESULT.items() if key != "experiment"},
        answer=RECORDED,
        problems=(404, 409, 413, 422),
    ),
)
async def post_result(experiment: Named, call: Admitted) -> Response:
    """409 key_reused where the id was used before with another body; that body is kept as refused all the same."""
    given = await call.json()
    found = await call.run(find_experiment, call.store, experiment)
    _must_report(call, found)
    body = check(ResultBody, given)
    recorded = (
        await call.run(report.report, call.store, call.context.ids, [_report(body, found.id)], call.actor)
    )[0]
    _recorded(call, [recorded], relay=body.lease is None)
    return _single(recorded)


@router.post(
    "/results/{result}/amend",
    summary="Correct a result; the old values are kept",
    **says(
        AmendBody,
        example={"id": RESULT["id"], "outputs": {"yield": 0.85}, "reason": "integrated again"},
        answer=RECORDED,
        problems=(404, 409, 422),
    ),
)
async def amend_result(result: UUID, call: Admitted) -> Response:
    body = await call.read(AmendBody)
    await _own_result(call, result)
    given = amend.Correction(result, body.id, body.outputs, body.reason, body.actual)
    found = await call.run(amend.amend, call.store, given, call.actor)
    _recorded(call, [found])
    return _single(found)


@router.post(
    "/results/{result}/withdraw",
    summary="Withdraw a result; it is kept and used no longer",
    **says(
        WithdrawBody,
        example={"id": RESULT["id"], "reason": "wrong vial"},
        answer=RECORDED,
        problems=(404, 409, 422),
    ),
)
async def withdraw_result(result: UUID, call: Admitted) -> Response:
    body = await call.read(WithdrawBody)
    await _own_result(call, result)
    found = await call.run(amend.withdraw, call.store, result, body.id, body.reason, call.actor)
    _recorded(call, [found])
    return _single(found)


@router.post(
    "/results/{result}/dismiss",
    summary="Dismiss a result that could not be used",
    **says(
        Reason, example={"reason": "sent by a test script"}, answer={"items": []}, problems=(404, 409, 422)
    ),
)
async def dismiss_result(result: UUID, call: Admitted) -> Response:
    """A person has seen what was refused under this id, or held though no experiment waits for a decision about it: it
    needs nobody any more. The reason is needed."""
    body = await call.read(Reason)
    await call.run(_own_unusable, call, result)
    found = await call.act(dismiss.dismiss_result, call.store, result, body.reason, call.actor)
    return Json({"items": [result_row(each, None) for each in found]})


def read_report(value: Any, experiment: int, place: str) -> Report:
    """A result within another body. Raises InvalidError."""
    return _report(check(ResultBody, value, place), experiment)


def _report(body: ResultBody, experiment: int | str | None, parameters: Values | None = None) -> Report:
    return Report(
        id=body.id,
        experiment=experiment,
        lease=body.lease,
        outcome=body.outcome,
        outputs=body.outputs,
        outstanding=tuple(body.outstanding),
        noise=body.noise,
        actual=body.actual,
        artifacts=tuple(each.model_dump() for each in body.artifacts),
        comment=body.comment,
        measured_at=body.measured_at,
        parameters=parameters,
    )


def _recorded(call: Call, found: Sequence[Recorded], *, relay: bool = True) -> None:
    call.server.metrics.results(str(each.verdict) for each in found)
    call.hub.changed(outbox=relay)


def _single(found: Recorded) -> Response:
    """As the contract has it for one result: what a batch says in its item is an error here."""
    if found.code == KeyReusedError.code:
        raise KeyReusedError(found.message)
    if found.code == NotFoundError.code:
        raise NotFoundError(found.message)
    return Json(shapes.recorded(found))


def _merged(
    items: Sequence[Any],
    reports: Sequence[Report],
    faults: Sequence[InvalidError | None],
    denied: dict[int, str],
    found: Sequence[Recorded],
) -> list[dict[str, Any]]:
    """The answers in the places of their items."""
    recorded, places, merged = iter(found), iter(enumerate(reports)), []
    for item, fault in zip(items, faults, strict=True):
        if fault is not None:
            merged.append(_refused(text_of(item, "id"), fault.code, fault.message, fault))
            continue
        place, given = next(places)
        if place in denied:
            merged.append(_refused(str(given.id), DeniedError.code, denied[place]))
        else:
            merged.append(shapes.recorded(next(recorded)))
    return merged


def _refused(id: str, code: str, message: str, fault: InvalidError | None = None) -> dict[str, Any]:
    return {
        "id": id,
        "verdict": str(Verdict.REFUSED),
        "experiment": None,
        "state": None,
        "code": code,
        "message": message,
        "errors": [each.to_json() for each in fault.errors] if fault else [],
    }


def _must_report(call: Call, experiment: r.Experiment) -> None:
    """Its queue's adapters and its campaign's people may say what came out."""
    if not call.caller.owns(experiment.campaign):
        call.caller.must_work(experiment.queue)


async def _denied(call: Call, reports: Sequence[Report]) -> dict[int, str]:
    """Places of results that this caller may not send, and why not."""
    if call.caller.admin or not reports:
        return {}
    return await call.run(_foreign, call, reports)


def _foreign(call: Call, reports: Sequence[Report]) -> dict[int, str]:
    ids = [each.experiment for each in reports if isinstance(each.experiment, int)]
    codes = [each.experiment for each in reports if isinstance(each.experiment, str)]
    with call.store.begin() as tx:
        found = [*tx.experiments.get(ids), *tx.experiments.by_code(codes)]
    known: dict[int | str | None, r.Experiment] = {each.id: each for each in found}
    known |= {each.code: each for each in found}
    denied = {}
    for place, each in enumerate(reports):
        experiment = known.get(each.experiment)
        try:
            if experiment is None:
                call.caller.must_administer()
            else:
                _must_report(call, experiment)
        except DeniedError as error:
            denied[place] = error.message
    return denied


async def _own_result(call: Call, id: UUID) -> None:
    """Only a campaign's people change what is recorded."""
    if not call.caller.admin:
        call.caller.must_own(await call.run(_campaign_of_result, call, id))


def _own_unusable(call: Call, id: UUID) -> None:
    """What belongs to no campaign, or to several, is for whoever may do everything."""
    if call.caller.admin:
        return
    with call.store.begin() as tx:
        campaigns = {each.campaign_id for each in tx.results.unusable(id)}
        only = campaigns.pop() if len(campaigns) == 1 else None
        campaign = tx.campaigns.by_id(only) if only is not None else None
    if campaign is None:
        call.caller.must_administer()
    else:
        call.caller.must_own(campaign.name)


def _campaign_of_result(call: Call, id: UUID) -> str:
    with call.store.begin() as tx:
        found = tx.results.get([id])
        campaign = tx.campaigns.by_id(found[0].campaign_id) if found and found[0].campaign_id else None
    if campaign is None:
        raise NotFoundError(f"There is no result {id}.")
    return campaign.name
