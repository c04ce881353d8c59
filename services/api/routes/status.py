"""Status: what needs a person, and then everything at a glance."""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.api.answers import Json
from services.api.call import Admitted
from services.api.listings import overview
from services.api.spec import says

router = APIRouter(prefix="/status", tags=["operation"])

ANSWER = {
    "attention": [
        {
            "kind": "held",
            "title": "snar-17 is held",
            "what": "hplc-2 fell silent",
            "do": "labqueue decide snar-17 run_again|complete|give_up --reason '...'",
            "link": "/api/v1/experiments/17",
        }
    ],
    "queues": [],
    "instruments": [],
    "campaigns": [],
    "workers": [],
    "version": "0.1.0",
}


@router.get("", summary="What needs a person, and everything at a glance", **says(answer=ANSWER))
async def show_status(call: Admitted) -> Response:
    return Json(await call.run(overview, call.store, call.caller.sees))
