"""A campaign's folder over HTTP and through the SDK: compare-and-set, limits, streams, lost answers."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from api import PROBLEM, Client, Lab, context_for, in_process, served, settings_for
from proxy import Proxy

from labqueue import client as sdk
from labqueue.errors import (
    ChangedError,
    InvalidError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
)
from services.bootstrap import Context

BODY = bytes(range(256)) * 20
FILES = "/campaigns/lab/files"


@pytest.mark.anyio
async def test_a_file_is_written_read_and_deleted(client: Client, lab: Lab) -> None:
    path = f"{FILES}/state/model.pt"
    made = await client.put(path, content=BODY)
    assert made.status_code == 201
    file = made.json()
    assert file.keys() == {"name", "revision", "size", "sha256", "changed_at"}
    assert (file["name"], file["size"]) == ("state/model.pt", len(BODY))
    assert file["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert made.headers["etag"] == f'"{file["revision"]}"'
    for spelt in (path, f"{FILES}/state%2Fmodel.pt"):
        read = await client.get(spelt)
        assert (
            read.status_code == 200 and read.content == BODY and read.headers["etag"] == made.headers["etag"]
        )
        assert (
            read.headers["content-length"] == str(len(BODY)) and "no-store" in read.headers["cache-control"]
        )
        assert read.headers["content-disposition"] == 'attachment; filename="model.pt"'
    again = await client.put(path, content=b"")
    assert again.status_code == 200 and again.json()["revision"] > file["revision"]
    assert (await client.get(path)).content == b""
    await client.put(f"{FILES}/a", content=b"a")
    listed = (await client.ok("GET", FILES))["items"]
    assert [each["name"] for each in listed] == ["a", "state/model.pt"] and listed[1] == again.json()
    for _ in range(2):
        assert (await client.delete(path)).status_code == 204
    await client.refused(404, "not_found", "GET", path)
    await client.refused(404, "not_found", "GET", "/campaigns/nothing/files")
    await client.refused(422, "invalid", "PUT", f"{FILES}/a/%2e%2e/b")
    await client.refused(404, "not_found", "DELETE", "/campaigns/nothing/files/a")


@pytest.mark.anyio
async def test_conditions_of_http(client: Client, lab: Lab) -> None:
    async def put(body: bytes, **headers: str) -> Any:
        names = {name.replace("_", "-"): text for name, text in headers.items()}
        return await client.put(f"{FILES}/a", content=body, headers=names)

    assert (await put(b"0", If_Match="*")).status_code == 412
    first = await put(b"1", If_None_Match="*")
    assert first.status_code == 201
    refused = await put(b"2", If_None_Match="*")
    assert refused.status_code == 412 and refused.json()["code"] == "changed"
    assert refused.json()["errors"][0]["allowed"] == first.json()["revision"]
    second = await put(b"2", If_Match=first.headers["etag"])
    assert second.status_code == 200
    assert (await put(b"3", If_Match=first.headers["etag"])).status_code == 412
    assert (await put(b"3", If_Match=f'"1234567", {second.headers["etag"]}')).status_code == 200
    assert (await put(b"4", If_Match="*")).status_code == 200
    for wrong in ({"If_Match": "3"}, {"If_Match": 'W/"3"'}, {"If_None_Match": '"3"'}, {"If_Match": '"x"'}):
        answer = await put(b"5", **wrong)
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"].startswith("If-")
    both = await put(b"5", If_Match="*", If_None_Match="*")
    assert both.status_code == 422
    gone = await client.delete(f"{FILES}/a", headers={"If-Match": first.headers["etag"]})
    assert gone.status_code == 412
    now = (await client.get(f"{FILES}/a")).headers["etag"]
    assert (await client.delete(f"{FILES}/a", headers={"If-Match": now})).status_code == 204


@pytest.mark.anyio
async def test_limits(postgres_url: str, redis_url: str, home: Path) -> None:
    more = {"LABQUEUE_FILE_LIMIT": "2000", "LABQUEUE_FILES_LIMIT": "2"}
    with context_for(settings_for(postgres_url, home, redis_url, **more)) as context:
        async with in_process(context) as client:
            await Lab.make(client)
            large = await client.put(f"{FILES}/a", content=b"x" * 2001)
            assert large.status_code == 413 and "2,000 bytes" in large.json()["detail"]
            for name in ("a", "b", "a"):
                assert (await client.put(f"{FILES}/{name}", content=b"x" * 2000)).status_code in (200, 201)
            full = await client.put(f"{FILES}/c", content=b"x")
            assert full.status_code == 409 and "as many as it may" in full.json()["detail"]


# -- through the SDK


@pytest.fixture
def url(context: Context) -> Iterator[str]:
    with served(context) as found:
        client = sdk.Client(found)
        client.put_queue("bench")
        client.create_campaign("lab", queue="bench", problem=PROBLEM, strategy={"method": "caller"})
        yield found


def opened(body: bytes) -> Any:
    return lambda: io.BytesIO(body)


def test_the_client_keeps_files(url: str, tmp_path: Path) -> None:
    client = sdk.Client(url)
    first = client.put_file("lab", "state/a", opened(BODY), len(BODY), revision=0)
    place = tmp_path / "a"
    assert client.file("lab", "state/a", place) == first["revision"] and place.read_bytes() == BODY
    with pytest.raises(ChangedError, match=f"revision {first['revision']}"):
        client.put_file("lab", "state/a", opened(b"x"), 1, revision=0)
    second = client.put_file("lab", "state/a", opened(b"x"), 1, revision=first["revision"])
    with pytest.raises(ChangedError):
        client.drop_file("lab", "state/a", revision=first["revision"])
    assert client.files("lab") == [second]
    client.drop_file("lab", "state/a", revision=second["revision"])
    client.drop_file("lab", "state/a")
    with pytest.raises(NotFoundError):
        client.file("lab", "state/a", place)
    with pytest.raises(InvalidError):
        client.put_file("lab", "../a", opened(b"x"), 1)
    assert place.read_bytes() == BODY and list(tmp_path.iterdir()) == [place]


def test_a_lost_answer_is_no_change_of_somebody_elses(url: str, context: Context) -> None:
    """The server has done it, and is asked again under the same condition."""
    port = urlsplit(url).port
    assert port is not None
    for revision, body in ((0, b"one"), (None, b"two")):
        with Proxy(port) as proxy:
            sender = sdk.Client(proxy.url, retry_for=60.0, timeout=5.0)
            known = revision if revision is not None else sender.files("lab")[0]["revision"]
            opens = 0

            def open_file(body: bytes = body, proxy: Proxy = proxy) -> Any:
                nonlocal opens
                opens += 1
                if opens == 1:
                    proxy.cut("after")
                else:
                    proxy.heal()
                return io.BytesIO(body)

            kept = sender.put_file("lab", "a", open_file, len(body), revision=known)
            assert opens >= 2 and proxy.cuts >= 1
        assert sdk.Client(url).files("lab") == [kept] and kept["sha256"] == hashlib.sha256(body).hexdigest()
    with context.store.begin() as tx:
        [file] = tx.files.of_campaign(1)
    folder = Path(context.settings.artifacts.removeprefix("file://")) / "files"
    assert [f"1/{each.name}" for each in folder.rglob("*") if each.is_file()] == [file.key]


def test_damaged_bytes_are_not_taken(url: str, context: Context, tmp_path: Path) -> None:
    client = sdk.Client(url, retry_for=0.5)
    client.put_file("lab", "a", opened(BODY), len(BODY))
    folder = Path(context.settings.artifacts.removeprefix("file://")) / "files"
    [kept] = [each for each in folder.rglob("*") if each.is_file()]
    kept.write_bytes(BODY[:-1] + b"!")
    with pytest.raises(UnavailableError, match="damaged"):
        client.file("lab", "a", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_what_is_too_large_says_so(postgres_url: str, redis_url: str, home: Path) -> None:
    settings = settings_for(postgres_url, home, redis_url, LABQUEUE_FILE_LIMIT="2000")
    with context_for(settings) as context, served(context) as url:
        client = sdk.Client(url)
        client.put_queue("bench")
        client.create_campaign("lab", queue="bench", problem=PROBLEM, strategy={"method": "caller"})
        with pytest.raises(TooLargeError, match="2,000 bytes"):
            client.put_file("lab", "a", opened(b"x" * 5_000_000), 5_000_000)
        assert client.files("lab") == []


def test_a_large_one_passes_through_in_parts(url: str, tmp_path: Path) -> None:
    """Sixty megabytes each way; of both sides together a few are in memory at once."""
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(60 << 20)
    client = sdk.Client(url)
    tracemalloc.start()
    try:
        client.put_file("lab", "large", lambda: large.open("rb"), 60 << 20)
        client.file("lab", "large", tmp_path / "back")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "back").stat().st_size == 60 << 20 and most < 20 << 20, f"{most:,} bytes"
