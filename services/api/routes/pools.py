"""Pools: tables of rows that may be run, uploaded whole and chosen from by campaigns."""

from __future__ import annotations

import tempfile
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Query, Response

from models.domain import records as r
from models.domain.csv_rows import csv_rows
from models.domain.pool_table import Table
from services.api import shapes
from services.api.answers import Json, page
from services.api.body import spool
from services.api.call import Admitted
from services.api.names import Named
from services.api.schemas import NAME_LIMIT
from services.api.spec import says
from services.flow import pools
from services.ports import Blobs, Store
from services.store.parquet import SIGN, parquet_rows

router = APIRouter(prefix="/pools", tags=["pools"])

Column = Annotated[str, Query(max_length=NAME_LIMIT, description="the column of the ids")]
Categories = Annotated[
    list[str],
    Query(max_length=4096, description="a column of categories, whatever it looks like; may be given again"),
]

ANSWER = {
    "name": "library",
    "version": 1,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "rows": 200_000,
    "columns": [
        {"name": "mass", "kind": "number", "low": 30.1, "high": 480.9, "mean": 251.3, "sd": 71.2},
        {"name": "solvent", "kind": "category", "categories": ["water", "ethanol"]},
    ],
    "size": 20_912_704,
    "actor": "person:anna",
    "created_at": "2026-01-31T12:00:00Z",
}
_DESCRIBED: dict[str, Any] = says(answer=ANSWER, status=201, problems=(413, 422))
_DESCRIBED["openapi_extra"] = {
    "requestBody": {
        "required": True,
        "content": {"text/csv": {"example": "id,mass,solvent\ncmpd-17,188.2,water\n"}},
    }
}


@router.post("/{pool}", summary="Upload a pool", **_DESCRIBED)
async def upload_pool(
    pool: Named,
    call: Admitted,
    id: Column = "id",
    category: Categories = [],  # noqa: B006 FastAPI copies it
) -> Response:
    """A table as CSV (UTF-8, with a header) or Parquet, the file itself as the body. 201 for a new version, 200 where
    the newest has the same rows. Nothing is kept of a table with a fault; the faulty lines are named."""
    call.caller.must_administer()
    with tempfile.TemporaryFile() as file:
        limit = call.context.settings.artifact_limit
        await spool(call.request, limit, lambda part: call.run(file.write, part))
        made, created = await call.act(
            _upload, call.store, call.context.blobs, pool, file, id, category, call.actor
        )
    return Json(shapes.pool(made), 201 if created else 200)


@router.get("", summary="All pools", **says(answer={"items": [ANSWER], "next": None}))
async def list_pools(call: Admitted) -> Response:
    """The newest version of each."""
    return page([shapes.pool(each) for each in await call.run(_all, call.store)], None)


@router.get(
    "/{pool}",
    summary="A pool and its versions",
    **says(answer={**ANSWER, "versions": [ANSWER]}, problems=(404,)),
)
async def show_pool(pool: Named, call: Admitted) -> Response:
    """Its newest version; `versions` has all of them, the newest last."""
    found = [shapes.pool(each) for each in await call.run(pools.find, call.store, pool)]
    return Json({**found[-1], "versions": found})


@router.get(
    "/{pool}/rows/{row}",
    summary="A row of a pool",
    **says(answer={"row": "cmpd-17", "mass": 188.2, "solvent": "water"}, problems=(404,)),
)
async def show_row(pool: Named, row: Named, call: Admitted) -> Response:
    """Its features, where the pool has at most 32 of them."""
    return Json(await call.run(pools.row, call.store, pool, row))


def _upload(
    store: Store, blobs: Blobs, name: str, file: BinaryIO, id: str, categories: list[str], actor: str
) -> tuple[r.Pool, bool]:
    file.seek(0)
    rows = parquet_rows if file.read(len(SIGN)) == SIGN else csv_rows
    return pools.upload(store, blobs, name, Table(lambda: rows(file), id, categories), actor)


def _all(store: Store) -> list[r.Pool]:
    with store.begin() as tx:
        return tx.pools.all()
