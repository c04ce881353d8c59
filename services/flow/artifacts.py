"""artifacts: bytes that belong to results, and the files of pools, kept under their SHA-256."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from labqueue.errors import FieldError, InvalidError, NotFoundError
from models.domain import records as r
from services.ports import Blobs, Store


def keep(
    store: Store, blobs: Blobs, sha256: str, body: bytes, media_type: str, actor: str
) -> tuple[r.Artifact, bool]:
    """The artifact, and whether it is new. Raises InvalidError where the bytes are not what their name says."""
    found = hashlib.sha256(body).hexdigest()
    if found != sha256:
        raise InvalidError(
            "The bytes do not match their SHA-256.",
            errors=[FieldError("sha256", "is not that of the body.", sha256[:64], found)],
        )
    with store.begin() as tx:
        known = tx.artifacts.get(sha256)
    if known is not None:
        return known, False
    blobs.write(sha256, body)  # before the row: a row's bytes are there
    artifact = r.Artifact(sha256, len(body), media_type, actor)
    with store.begin() as tx:
        tx.artifacts.add(artifact)
    return artifact, True


def fetch(store: Store, blobs: Blobs, sha256: str) -> tuple[r.Artifact, BinaryIO]:
    """The artifact and its bytes, to be read and closed. Raises NotFoundError."""
    with store.begin() as tx:
        artifact = tx.artifacts.get(sha256)
    file = blobs.open(sha256) if artifact is not None else None
    if artifact is None or file is None:
        raise NotFoundError(f"There is no artifact {sha256[:64]}.")
    return artifact, file
