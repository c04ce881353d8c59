"""Pools over HTTP: good ones, faulty ones, hostile ones, and uploads that break off."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from api import Client, context_for, in_process, settings_for

from models.domain import csv_rows
from services.bootstrap import Context

pytestmark = pytest.mark.anyio

CSV = "id,mass,solvent\n" + "".join(f"c{n},{n / 10},{'wt'[n % 2]}\n" for n in range(50))


async def send(client: Client, body: bytes | str, name: str = "library", **query: Any) -> Any:
    return await client.request("POST", f"/pools/{name}", content=body, params=query)


async def faults(client: Client, body: bytes | str, status: int = 422, **query: Any) -> list[Any]:
    answer = await send(client, body, **query)
    assert answer.status_code == status, answer.text
    assert (await client.ok("GET", "/pools"))["items"] == [], "nothing of it is visible"
    found: list[Any] = answer.json()["errors"]
    return found


async def test_upload_look_and_upload_again(client: Client) -> None:
    first = await send(client, CSV)
    assert first.status_code == 201
    made = first.json()
    assert (made["version"], made["rows"], made["actor"]) == (1, 50, "person:local")
    assert made["columns"][0]["high"] == 4.9 and made["columns"][1]["categories"] == ["w", "t"]
    again = await send(client, CSV)
    assert again.status_code == 200 and again.json() == made
    other = (await send(client, CSV[: CSV.index("c9,")])).json()
    assert (other["version"], other["rows"]) == (2, 9)

    shown = await client.ok("GET", "/pools/library")
    assert [each["version"] for each in shown["versions"]] == [1, 2] and shown["sha256"] == other["sha256"]
    assert (await client.ok("GET", "/pools"))["items"] == [other]
    assert await client.ok("GET", "/pools/library/rows/c3") == {"row": "c3", "mass": 0.3, "solvent": "t"}
    await client.refused(404, "not_found", "GET", "/pools/library/rows/c10")
    missing = await client.refused(404, "not_found", "GET", "/pools/libary")
    assert missing["errors"][0]["hint"] == "Did you mean library?"
    file = await client.request("GET", f"/artifacts/{made['sha256']}")
    assert file.content[:8] == b"LABQPOOL" and len(file.content) == made["size"]


async def test_ids_and_categories_are_named_in_the_query(client: Client) -> None:
    text = "name,kind,mass\nx/1,1,0.5\ny,2,0.7\n"
    assert "Say which column" in (await faults(client, text))[0]["hint"]
    made = (await send(client, text, id="name", category=["kind"])).json()
    assert made["columns"][0] == {"name": "kind", "kind": "category", "categories": ["1", "2"]}
    assert (await client.ok("GET", "/pools/library/rows/x%2F1"))["kind"] == "1"
    answer = await send(client, text, ids="name")
    assert answer.status_code == 422 and answer.json()["errors"][0]["hint"] == "Did you mean id?"


async def test_faulty_lines_are_named_and_nothing_is_kept(client: Client, context: Context) -> None:
    found = await faults(client, CSV + "c3,1,w\n")
    assert found[0]["field"] == "line 52" and "line 5" in found[0]["message"]
    found = await faults(client, CSV + "d,,w\ne,nan,w\nf,1\n")
    assert [each["field"] for each in found] == ["line 52, mass", "line 53, mass", "line 54"]
    assert await faults(client, "") and await faults(client, "id,mass\n")
    assert list(Path(context.settings.home).rglob("*.part")) == []


@pytest.mark.parametrize(
    "body",
    [
        bytes(range(256)) * 400,
        b"PAR1" + b"\0" * 500 + b"PAR1",
        gzip.compress(b"id,x\n" + b"a,1\n" * 10**6),
        b"id,x\na," + b"9" * (csv_rows.LINE_LIMIT + 5),
        b'id,x\n"' + b"a" * 200_000,
        b"id,x\n" + b"a,1\n" * 300_000,
        ("id," + ",".join(f"x{n}" for n in range(5000)) + "\n").encode(),
        b"," * 100_000 + b"\n" + b"," * 100_000,
    ],
    ids=["noise", "parquet", "gzip", "line", "quote", "repetition", "columns", "commas"],
)
async def test_hostile_bodies_are_refused_in_words(client: Client, body: bytes) -> None:
    found = await faults(client, body)
    assert 0 < len(found) <= 20 and all(len(each["message"]) < 300 for each in found)


async def test_a_body_over_the_limit(postgres_url: str, home: Path) -> None:
    with context_for(settings_for(postgres_url, home, LABQUEUE_ARTIFACT_LIMIT="20000")) as context:
        async with in_process(context) as client:
            await faults(client, CSV + "x" * 20_000, status=413)
            assert (await send(client, CSV)).status_code == 201


async def test_who_may_upload(client: Client) -> None:
    token = await client.ok("POST", "/tokens", {"name": "robot", "scopes": ["queue:flow"]})
    robot = {"Authorization": f"Bearer {token['token']}"}
    refused = await client.request("POST", "/pools/library", content=CSV, headers=robot)
    assert refused.status_code == 403
    assert (await client.request("GET", "/pools", headers=robot)).json()["items"] == []


async def test_an_upload_that_breaks_off_leaves_nothing(client: Client, context: Context) -> None:
    """Even where what had come by then is a good table."""
    parts = iter([CSV.encode(), CSV[CSV.index("c0") :].replace("c", "d").encode()])

    async def receive() -> dict[str, Any]:
        for part in parts:
            return {"type": "http.request", "body": part, "more_body": True}
        return {"type": "http.disconnect"}

    async def answered(message: Any) -> None:
        assert message.get("status", 500) >= 400

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/api/v1/pools/library",
        "raw_path": b"/api/v1/pools/library",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    await client.app(scope, receive, answered)  # type: ignore[attr-defined]
    assert (await client.ok("GET", "/pools"))["items"] == []
    assert list(Path(context.settings.home).rglob("*.part")) == []
    assert (await send(client, CSV)).json()["version"] == 1
