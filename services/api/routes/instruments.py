"""Instruments: the devices, clusters and people that do the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from models.domain import records as r
from services.api.answers import Json, page
from services.api.call import Admitted, Call
from services.api.listings import find_instrument, instrument_json, instruments_json
from services.api.names import Named
from services.api.schemas import Body, Reason, Whole
from services.api.spec import says
from services.flow import steer
from services.ports import Store

router = APIRouter(prefix="/instruments", tags=["instruments"])


class InstrumentBody(Body):
    """So many failed runs in a row pause it."""

    failure_limit: Annotated[Whole, Field(ge=1, le=1000)] = 3


INSTRUMENT = {
    "name": "hplc-2",
    "queue": "flow-reactor",
    "live": True,
    "last_seen": "2026-01-31T12:00:00Z",
    "state": "active",
    "reason": "",
    "held_experiment": None,
    "failures": 0,
    "failure_limit": 3,
}


@router.get("", summary="All instruments", **says(answer={"items": [INSTRUMENT], "next": None}))
async def list_instruments(call: Admitted) -> Response:
    return page(await call.run(instruments_json, call.store, call.caller.sees), None)


@router.get("/{instrument}", summary="One instrument", **says(answer=INSTRUMENT, problems=(404,)))
async def show_instrument(instrument: Named, call: Admitted) -> Response:
    found = await call.run(find_instrument, call.store, instrument)
    call.caller.must_see(None, found.queue)
    return Json(await call.run(instrument_json, call.store, found))


@router.put(
    "/{instrument}",
    summary="How many failed runs in a row pause it",
    **says(InstrumentBody, example={"failure_limit": 3}, answer=INSTRUMENT, problems=(404, 422)),
)
async def put_instrument(instrument: Named, call: Admitted) -> Response:
    call.caller.must_administer()
    body = await call.read(InstrumentBody)
    found = await call.act(steer.set_failure_limit, call.store, instrument, body.failure_limit, call.actor)
    return Json(await call.run(instrument_json, call.store, found))


def _turn(
    act: Callable[[Store, str, str, str], r.Instrument], description: str
) -> Callable[[str, Call], object]:
    async def turn(instrument: Named, call: Admitted) -> Response:
        found = await call.run(find_instrument, call.store, instrument)
        call.caller.must_work(found.queue)
        body = await call.read(Reason)
        turned = await call.act(act, call.store, instrument, body.reason, call.actor)
        return Json(await call.run(instrument_json, call.store, turned))

    turn.__doc__ = description
    return turn


for _verb, _act, _summary in (
    ("pause", steer.pause_instrument, "It claims nothing; what it runs goes on"),
    ("clear", steer.clear_instrument, "Somebody looked at it: it works again, and no held run blocks it"),
):
    router.add_api_route(
        f"/{{instrument}}/{_verb}",
        _turn(_act, _summary),
        methods=["POST"],
        name=f"{_verb}_instrument",
        summary=f"{_verb.capitalize()} an instrument",
        **says(Reason, example={"reason": "new column"}, answer=INSTRUMENT, problems=(404, 422)),
    )
