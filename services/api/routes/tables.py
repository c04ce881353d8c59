"""Tables: what a person keeps in a spreadsheet, read in and given out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from models.domain.pairing import Reading
from services.api.answers import Json
from services.api.body import read_raw
from services.api.call import Admitted
from services.api.names import Named, find_campaign
from services.api.spec import says
from services.api.tables import csv_answer, whole_csv
from services.flow.importing import FILE_LIMIT, NAME_LIMIT, Imported, import_table

router = APIRouter(tags=["results"])

DryRun = Annotated[bool, Query(description="say what would become of each row, and do nothing")]
File = Annotated[str, Query(max_length=NAME_LIMIT, description="the file's name, for the record")]

ANSWER = {
    "dry_run": False,
    "counts": {"new": 0, "recorded": 1, "changed": 0, "unchanged": 0, "pending": 0, "refused": 0},
    "rows": [
        {
            "line": 2,
            "verdict": "recorded",
            "experiment": 17,
            "code": "snar-17",
            "outputs": {"yield": 0.87},
            "actual": {},
            "message": "",
            "errors": [],
        }
    ],
    "ignored": ["note"],
    "encoded": [],
    "delimiter": ";",
    "decimal": ",",
}
_DESCRIBED: dict[str, Any] = says(answer=ANSWER, problems=(404, 413, 422))
_DESCRIBED["openapi_extra"] = {
    "requestBody": {
        "required": True,
        "content": {"text/csv": {"example": "tau;solvent;yield;note\n0,5;water;0,87;clear\n"}},
    }
}


@router.post("/campaigns/{campaign}/import", summary="Import a table of results", **_DESCRIBED)
async def import_campaign(
    campaign: Named, call: Admitted, dry_run: DryRun = False, file: File = ""
) -> Response:
    """CSV out of a spreadsheet of any language, the file itself as the body: columns in any order, categories by name
    or by number, outputs blank or `PENDING` where nothing was measured yet. Rows are paired with experiments by `code`,
    else by their point. What cannot be read is refused with its row; the same table again changes nothing."""
    call.caller.must_own(campaign)
    data = await read_raw(call.request, FILE_LIMIT)
    found = await call.act(
        import_table, call.store, call.context.ids, campaign, data, file, call.actor, dry=dry_run
    )
    return Json(_shown(found))


@router.get(
    "/campaigns/{campaign}/export",
    summary="A campaign as a table",
    **says(kind="text/csv", problems=(404,)),
)
async def export_campaign(campaign: Named, call: Admitted) -> Response:
    """A row per experiment: code, state, parameters as they really were, outputs. Edited, it can be imported again."""
    found = await call.run(find_campaign, call.store, campaign)
    call.caller.must_see(found.name, found.queue)
    return csv_answer(whole_csv(call.store, found), campaign)


def _shown(found: Imported) -> dict[str, Any]:
    return {
        "dry_run": found.dry,
        "counts": found.counts,
        "rows": [_row(each) for each in found.rows],
        "ignored": list(found.columns.ignored),
        "encoded": sorted(found.columns.encoded),
        "delimiter": found.table.delimiter,
        "decimal": "".join(sorted(found.table.decimal)),
    }


def _row(each: Reading) -> dict[str, Any]:
    return {
        "line": each.line,
        "verdict": each.verdict,
        "experiment": each.id,
        "code": each.code,
        "outputs": dict(each.outputs),
        "actual": dict(each.actual),
        "message": each.message,
        "errors": [error.to_json() for error in each.errors],
    }
