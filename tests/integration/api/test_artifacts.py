"""Artifacts over HTTP: whole, in ranges, or not at all where they are known; never whole in memory."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import AsyncIterator

import pytest
from api import Client, served

from labqueue.transport import Transport
from models.domain import records as r
from services.bootstrap import Context

pytestmark = pytest.mark.anyio
BODY = bytes(range(256)) * 20
NAME = hashlib.sha256(BODY).hexdigest()
PATH = f"/artifacts/{NAME}"


@pytest.fixture
async def kept(client: Client) -> AsyncIterator[Client]:
    assert (await client.put(PATH, content=BODY)).status_code == 201
    yield client


async def test_the_whole_may_be_kept_for_ever(kept: Client) -> None:
    answer = await kept.get(PATH)
    assert answer.status_code == 200 and answer.content == BODY
    assert answer.headers["etag"] == f'"{NAME}"' and "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-length"] == str(len(BODY)) and answer.headers["accept-ranges"] == "bytes"
    again = await kept.get(PATH, headers={"If-None-Match": f'"other", "{NAME}"'})
    assert again.status_code == 304 and again.content == b"" and again.headers["etag"] == f'"{NAME}"'
    assert (await kept.get(PATH, headers={"If-None-Match": '"other"'})).content == BODY


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=17-4000", 17, 4000),
        ("bytes=5000-", 5000, 5119),
        ("bytes=9-99999", 9, 5119),
    ],
)
async def test_a_range(kept: Client, asked: str, first: int, last: int) -> None:
    for more in ({}, {"If-Range": f'"{NAME}"'}):
        answer = await kept.get(PATH, headers={"Range": asked, **more})
        assert answer.status_code == 206 and answer.content == BODY[first : last + 1]
        assert answer.headers["content-range"] == f"bytes {first}-{last}/5120"
        assert answer.headers["content-length"] == str(last + 1 - first)


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=5120-"},
        {"Range": "bytes=7-3"},
        {"Range": "bytes=-5"},
        {"Range": "bytes=0-1,5-6"},
        {"Range": "lines=1-2"},
        {"Range": "bytes=٣-"},
        {"Range": f"bytes={'9' * 30}-"},
        {"Range": "bytes=1-2", "If-Range": '"other"'},
    ],
    ids=str,
)
async def test_what_is_no_single_range_of_it_is_answered_by_the_whole(
    kept: Client, headers: dict[str, str]
) -> None:
    sent = [(name.encode(), text.encode()) for name, text in headers.items()]
    answer = await kept.get(PATH, headers=sent)
    assert answer.status_code == 200 and answer.content == BODY


async def test_nothing_at_all(client: Client) -> None:
    empty = hashlib.sha256(b"").hexdigest()
    await client.put(f"/artifacts/{empty}", content=b"")
    for headers in ({}, {"Range": "bytes=0-"}):
        answer = await client.get(f"/artifacts/{empty}", headers=headers)
        assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")


def test_a_large_one_passes_through_in_parts(context: Context) -> None:
    """Sixty megabytes; of both sides together a few are in memory at once."""
    with context.blobs.begin() as blob:
        for _ in range(60):
            blob.write(b"\0" * (1 << 20))
        sha256, size = blob.keep()
    with context.store.begin() as tx:
        tx.artifacts.add(r.Artifact(sha256, size, "application/octet-stream", "person:anna"))
    with served(context) as url:
        tracemalloc.start()
        try:
            assert sum(map(len, Transport(url).parts(f"/artifacts/{sha256}"))) == size
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert most < size / 3, f"{most:,} bytes"
