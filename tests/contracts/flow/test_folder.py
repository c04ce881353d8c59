"""folder: a campaign's files, replaced whole, by compare-and-set; whatever a crash leaves is swept."""

from __future__ import annotations

import hashlib
import io
from datetime import timedelta
from typing import Any, BinaryIO

import pytest
from fake_blobs import FakeBlobs
from flow_lab import PERSON, Lab

from labqueue.errors import (
    ChangedError,
    ConflictError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from models.domain import records as r
from services.flow import artifacts, folder
from services.flow.folder import Condition

NEW = Condition(exists=False)


class Dies(Exception):
    """The process ends here."""


class Blobs(FakeBlobs):
    """Dies in one of its calls, before or after it is done."""

    def __init__(self) -> None:
        super().__init__()
        self.dies: tuple[str, bool] | None = None

    def put(self, key: str, body: BinaryIO) -> tuple[str, int]:
        self._before("put")
        found = super().put(key, body)
        self._after("put")
        return found

    def remove(self, key: str) -> None:
        self._before("remove")
        super().remove(key)
        self._after("remove")

    def _before(self, call: str) -> None:
        if self.dies == (call, False):
            raise Dies

    def _after(self, call: str) -> None:
        if self.dies == (call, True):
            raise Dies


@pytest.fixture
def blobs() -> Blobs:
    return Blobs()


@pytest.fixture
def snar(lab: Lab) -> Lab:
    lab.campaign("snar")
    return lab


def put(lab: Lab, blobs: Blobs, name: str, body: bytes, **more: Any) -> r.File:
    return folder.put(lab.store, blobs, lab.ids, "snar", name, io.BytesIO(body), PERSON, **more)


def read(lab: Lab, blobs: Blobs, name: str) -> bytes:
    found, file = folder.fetch(lab.store, blobs, "snar", name)
    with file:
        body = file.read()
    assert (found.size, found.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    return body


def is_(revision: int | None) -> Condition:
    return Condition(revisions=frozenset({revision or 0}))


def loose(lab: Lab) -> list[str]:
    with lab.store.begin() as tx:
        return tx.files.loose(tx.now() + timedelta(hours=1), 100)


def test_a_file_is_replaced_and_its_old_bytes_are_gone(snar: Lab, blobs: Blobs) -> None:
    first = put(snar, blobs, "state/latest.json", b"one")
    assert first.before is None and read(snar, blobs, "state/latest.json") == b"one"
    second = put(snar, blobs, "state/latest.json", b"two!")
    assert second.before == first.revision and second.actor == PERSON
    assert read(snar, blobs, "state/latest.json") == b"two!"
    put(snar, blobs, "a", b"")
    assert [each.name for each in folder.files(snar.store, "snar")] == ["a", "state/latest.json"]
    assert sorted(blobs.own.values()) == [b"", b"two!"] and loose(snar) == []
    folder.drop(snar.store, blobs, "snar", "state/latest.json")
    folder.drop(snar.store, blobs, "snar", "state/latest.json")
    with pytest.raises(NotFoundError, match="no file"):
        folder.fetch(snar.store, blobs, "snar", "state/latest.json")
    assert list(blobs.own.values()) == [b""] and loose(snar) == []


def test_an_artifact_with_the_same_bytes_is_never_touched(snar: Lab, blobs: Blobs) -> None:
    name = hashlib.sha256(b"same").hexdigest()
    artifacts.keep(snar.store, blobs, name, b"same", "text/plain", PERSON)
    put(snar, blobs, "a", b"same")
    put(snar, blobs, "b", b"same")
    folder.drop(snar.store, blobs, "snar", "a")
    assert read(snar, blobs, "b") == b"same"
    with artifacts.fetch(snar.store, blobs, name)[1] as file:
        assert file.read() == b"same"


def test_compare_and_set(snar: Lab, blobs: Blobs) -> None:
    with pytest.raises(ChangedError, match="There is no file"):
        put(snar, blobs, "a", b"x", condition=Condition(exists=True))
    first = put(snar, blobs, "a", b"one", condition=NEW)
    second = put(snar, blobs, "a", b"two", condition=is_(first.revision))
    for condition in (NEW, is_(first.revision), is_(second.revision + 1)):
        with pytest.raises(ChangedError, match=f"revision {second.revision}"):
            put(snar, blobs, "a", b"three", condition=condition)
        with pytest.raises(ChangedError):
            folder.check(snar.store, "snar", "a", is_(second.revision + 1), 10)
        with pytest.raises(ChangedError):
            folder.drop(snar.store, blobs, "snar", "a", condition)
    assert read(snar, blobs, "a") == b"two"
    assert list(blobs.own.values()) == [b"two"] and loose(snar) == [], "what was refused is removed at once"
    folder.drop(snar.store, blobs, "snar", "a", is_(second.revision))
    with pytest.raises(ChangedError, match="any more"):
        put(snar, blobs, "a", b"three", condition=is_(second.revision))
    again = put(snar, blobs, "a", b"three", condition=NEW)
    assert again.revision > second.revision


def test_the_same_request_again_is_one_effect(snar: Lab, blobs: Blobs) -> None:
    """Its answer was lost: it is not refused for what it did itself."""
    first = put(snar, blobs, "a", b"one", condition=NEW)
    folder.check(snar.store, "snar", "a", NEW, 10)
    assert put(snar, blobs, "a", b"one", condition=NEW) == first
    second = put(snar, blobs, "a", b"two", condition=is_(first.revision))
    assert put(snar, blobs, "a", b"two", condition=is_(first.revision)) == second
    with pytest.raises(ChangedError):
        put(snar, blobs, "a", b"one", condition=NEW)  # somebody else has changed it since
    assert list(blobs.own.values()) == [b"two"] and loose(snar) == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/../b", "/a", "a/", "a//b", "a b", "a\\b", "ä", "a\n", "x" * 201]
)
def test_names_that_are_refused(snar: Lab, blobs: Blobs, name: str) -> None:
    with pytest.raises(InvalidError, match="file"):
        put(snar, blobs, name, b"x")
    with pytest.raises(InvalidError):
        folder.check(snar.store, "snar", name, folder.ANYTHING, 10)
    assert blobs.own == {} and loose(snar) == []


def test_names_that_are_taken(snar: Lab, blobs: Blobs) -> None:
    for name in ("x" * 200, "..a", "a.b-c_D/0", ".hidden/..."):
        put(snar, blobs, name, name.encode())
    assert read(snar, blobs, ".hidden/...") == b".hidden/..."


def test_unknown_campaigns_and_lost_bytes(snar: Lab, blobs: Blobs) -> None:
    with pytest.raises(NotFoundError, match="campaign"):
        folder.put(snar.store, blobs, snar.ids, "snra", "a", io.BytesIO(), PERSON)
    for call in (lambda: folder.files(snar.store, "x"), lambda: folder.drop(snar.store, blobs, "x", "a")):
        with pytest.raises(NotFoundError):
            call()
    put(snar, blobs, "a", b"x")
    blobs.own.clear()
    with pytest.raises(NotFoundError, match="lost"):
        folder.fetch(snar.store, blobs, "snar", "a")


def test_a_folder_may_be_full(snar: Lab, blobs: Blobs) -> None:
    put(snar, blobs, "a", b"1", most=2)
    put(snar, blobs, "b", b"1", most=2)
    with pytest.raises(ConflictError, match="as many as it may"):
        put(snar, blobs, "c", b"1", most=2)
    with pytest.raises(ConflictError):
        folder.check(snar.store, "snar", "c", folder.ANYTHING, 2)
    put(snar, blobs, "b", b"22", most=2)
    assert sorted(blobs.own.values()) == [b"1", b"22"] and loose(snar) == []


@pytest.mark.parametrize(
    ("dies", "then"),
    [
        (("put", False), b"old"),
        (("put", True), b"old"),
        (("remove", False), b"new"),
        (("remove", True), b"new"),
    ],
)
def test_a_crash_leaves_a_whole_file_and_its_rest_is_swept(
    snar: Lab, blobs: Blobs, monkeypatch: pytest.MonkeyPatch, dies: tuple[str, bool], then: bytes
) -> None:
    put(snar, blobs, "a", b"old")
    blobs.dies = dies
    with pytest.raises(Dies):
        put(snar, blobs, "a", b"new")
    blobs.dies = None
    assert read(snar, blobs, "a") == then
    put(snar, blobs, "b", b"-")
    assert len(loose(snar)) == 1, "it may be another request's, still under way"
    monkeypatch.setattr(folder, "SWEPT_AFTER", timedelta(seconds=-60))
    put(snar, blobs, "b", b"--")
    assert loose(snar) == [] and sorted(blobs.own.values()) == sorted([then, b"--"])
    assert read(snar, blobs, "a") == then


def test_a_crash_while_deleting(snar: Lab, blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    put(snar, blobs, "a", b"old")
    blobs.dies = ("remove", False)
    with pytest.raises(Dies):
        folder.drop(snar.store, blobs, "snar", "a")
    blobs.dies = None
    monkeypatch.setattr(folder, "SWEPT_AFTER", timedelta(seconds=-60))
    put(snar, blobs, "b", b"-")
    assert list(blobs.own.values()) == [b"-"] and loose(snar) == []


def test_bytes_that_were_swept_meanwhile_become_no_file(snar: Lab, blobs: Blobs) -> None:
    """A copy that took longer than a day: rather an error than a file without bytes."""

    class Slow(Blobs):
        def put(self, key: str, body: BinaryIO) -> tuple[str, int]:
            found = super().put(key, body)
            self.remove(key)
            with snar.store.begin() as tx:
                tx.files.forget([key])
            return found

    with pytest.raises(ConflictError, match="Send it again"):
        put(snar, Slow(), "a", b"x")
    assert folder.files(snar.store, "snar") == []


def test_a_store_of_bytes_that_goes_away(snar: Lab, blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The change is made, so it is answered; what could not be removed is found later."""
    put(snar, blobs, "a", b"old")

    def away(_key: str) -> None:
        raise UnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr(blobs, "remove", away)
        put(snar, blobs, "a", b"new")
    assert sorted(blobs.own.values()) == [b"new", b"old"]
    monkeypatch.setattr(folder, "SWEPT_AFTER", timedelta(seconds=-60))
    put(snar, blobs, "b", b"-")
    assert sorted(blobs.own.values()) == [b"-", b"new"]


def test_a_file_that_is_replaced_while_it_is_opened(snar: Lab, blobs: Blobs) -> None:
    first = put(snar, blobs, "a", b"one")

    class Behind(Blobs):
        def get(self, key: str) -> BinaryIO | None:
            if key == first.key:
                put(snar, self, "a", b"two")
            return super().get(key)

    behind = Behind()
    behind.own = blobs.own
    assert read(snar, behind, "a") == b"two"
