"""The Blobs port: in memory, on this disk, and elsewhere."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fake_blobs import FakeBlobs

from labqueue.errors import NotFoundError, UnavailableError
from services.ports import Blobs
from services.store.blobs import FsspecBlobs

BODY = b"retention time;area\n" * 1000
NAME = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(params=["fake", "disk", "elsewhere"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "fake":
        (tmp_path / "near").mkdir()
        return FakeBlobs(tmp_path / "near")
    url = f"file://{tmp_path}/kept" if request.param == "disk" else f"memory://{uuid4()}"
    return FsspecBlobs(url, tmp_path / "cache")


def parts(body: bytes, size: int = 777) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def read(blobs: Blobs) -> bytes | None:
    file = blobs.open(NAME)
    if file is None:
        return None
    with file:
        return file.read()


def test_whole_and_in_parts_the_same_bytes_are_one(blobs: Blobs) -> None:
    with blobs.begin() as blob:
        for part in parts(BODY):
            blob.write(part)
        assert read(blobs) is None, "not before all of it is there"
        assert blob.keep() == (NAME, len(BODY))
    assert read(blobs) == BODY
    blobs.write(NAME, BODY)
    with blobs.begin() as blob:
        blob.write(BODY)
        assert blob.keep() == (NAME, len(BODY))
    assert read(blobs) == BODY


def test_from_any_place(blobs: Blobs) -> None:
    blobs.write(NAME, BODY)
    file = blobs.open(NAME)
    assert file is not None
    with file:
        file.seek(len(BODY) - 5)
        assert file.read(100) == BODY[-5:]
        file.seek(14)
        assert file.read(5) == BODY[14:19]


def test_what_is_not_kept_leaves_nothing(blobs: Blobs, tmp_path: Path) -> None:
    with blobs.begin() as blob:
        blob.write(BODY)
    with pytest.raises(ValueError, match="halfway"), blobs.begin() as blob:
        blob.write(BODY)
        raise ValueError("halfway")
    assert read(blobs) is None
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


def test_as_a_file(blobs: Blobs) -> None:
    with pytest.raises(NotFoundError):
        blobs.path(NAME)
    blobs.write(NAME, BODY)
    assert Path(blobs.path(NAME)).read_bytes() == BODY
    assert blobs.path(NAME) == blobs.path(NAME)


def test_a_file_from_elsewhere_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = FsspecBlobs(f"memory://{uuid4()}", tmp_path / "cache")
    blobs.write(NAME, BODY)
    first = blobs.path(NAME)
    system: Any = blobs._root()[0]
    monkeypatch.setattr(type(system), "get_file", None)
    assert blobs.path(NAME) == first


def test_a_store_that_is_away(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    blobs = FsspecBlobs(f"file://{tmp_path}/file/below", tmp_path)
    with pytest.raises(UnavailableError), blobs.begin() as blob:
        blob.write(BODY)


def test_keys_of_somebodys_own(blobs: Blobs, tmp_path: Path) -> None:
    """Beside what lies by SHA-256, and never the same as it."""
    blobs.write(NAME, BODY)
    assert blobs.get("7/a") is None
    assert blobs.put("7/a", io.BytesIO(BODY)) == (NAME, len(BODY))
    assert blobs.put("7/b", io.BytesIO(b""))[1] == 0
    file = blobs.get("7/a")
    assert file is not None
    with file:
        assert file.read() == BODY
    for _ in range(2):
        blobs.remove("7/a")
        blobs.remove("8/never")
    assert blobs.get("7/a") is None and read(blobs) == BODY
    left = blobs.get("7/b")
    assert left is not None
    left.close()
    blobs.remove(NAME)
    assert read(blobs) == BODY
