"""artifacts: bytes under their own SHA-256."""

from __future__ import annotations

import hashlib

import pytest
from fake_blobs import FakeBlobs
from flow_lab import PERSON, Lab

from labqueue.errors import InvalidError, NotFoundError
from services.flow import artifacts

BODY = b"retention time;area\n"
NAME = hashlib.sha256(BODY).hexdigest()


def test_bytes_are_kept_once_and_come_back(lab: Lab) -> None:
    blobs = FakeBlobs()
    first, created = artifacts.keep(lab.store, blobs, NAME, BODY, "text/csv", PERSON)
    assert created and (first.size, first.media_type) == (len(BODY), "text/csv")
    again, created = artifacts.keep(lab.store, blobs, NAME, BODY, "text/plain", "person:ben")
    assert not created and again.actor == PERSON
    with artifacts.fetch(lab.store, blobs, NAME)[1] as file:
        assert file.read() == BODY


def test_bytes_that_are_not_what_their_name_says_are_refused(lab: Lab) -> None:
    blobs = FakeBlobs()
    with pytest.raises(InvalidError, match="do not match"):
        artifacts.keep(lab.store, blobs, NAME, BODY + b"!", "text/csv", PERSON)
    assert blobs.bytes == {}


def test_unknown_and_lost_ones(lab: Lab) -> None:
    blobs = FakeBlobs()
    with pytest.raises(NotFoundError):
        artifacts.fetch(lab.store, blobs, NAME)
    artifacts.keep(lab.store, blobs, NAME, BODY, "text/csv", PERSON)
    with pytest.raises(NotFoundError):
        artifacts.fetch(lab.store, FakeBlobs(), NAME)
