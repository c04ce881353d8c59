"""A campaign's folder: files, each replaced whole, that a program which drives the campaign keeps on the server."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from contextlib import suppress
from http.client import HTTPMessage
from pathlib import Path
from typing import Any, BinaryIO, Callable

from .backoff import Backoff
from .errors import UnavailableError
from .transport import LATER, Transport, segment


class FolderCalls:
    """The part of the client that is about these files."""

    transport: Transport

    def files(self, campaign: str) -> list[dict[str, Any]]:
        """All of them, by name."""
        answer: list[dict[str, Any]] = self.transport.request("GET", _path(campaign))["items"]
        return answer

    def put_file(
        self, campaign: str, name: str, open_file: Callable[[], BinaryIO], size: int, *,
        revision: int | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Creates a file or replaces it whole; `open_file` opens it for reading, once for each try.

        revision: only while the file has this one, 0: only where there is none; else ChangedError. Answers name,
        revision, size and sha256. Raises TooLargeError.
        """
        more = (
            {} if revision is None else {"If-Match": f'"{revision}"'} if revision else {"If-None-Match": "*"}
        )
        answer: dict[str, Any] = self.transport.upload(
            _path(campaign, name), open_file, size, retry_for=self.transport.retry_for, more=more
        )
        return answer

    def file(self, campaign: str, name: str, place: str | os.PathLike[str]) -> int:
        """Fetches a file to a local `place`, whole or not at all, its hash checked; answers its revision.

        What breaks off is begun again: it may have been replaced meanwhile. Raises NotFoundError where there is none.
        """
        return _fetch(self.transport, _path(campaign, name), Path(place))

    def drop_file(self, campaign: str, name: str, *, revision: int | None = None) -> None:
        """Deletes a file; it is no error where there is none. revision: only this one, else ChangedError."""
        more = {} if revision is None else {"If-Match": f'"{revision}"'}
        self.transport.request("DELETE", _path(campaign, name), more=more)


def _path(campaign: str, name: str | None = None) -> str:
    folder = f"/campaigns/{segment(campaign)}/files"
    return folder if name is None else f"{folder}/{segment(name)}"


def _fetch(transport: Transport, path: str, place: Path) -> int:
    ends, backoff = time.monotonic() + transport.retry_for, Backoff(most=5.0)
    beside = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        while True:
            try:
                revision = _fill(transport, path, beside)
                break
            except UnavailableError as error:
                pause = backoff.pause()
                lasting = error.status < 500 and error.status not in LATER
                if lasting or time.monotonic() + pause >= ends:
                    raise
                time.sleep(pause)
        os.replace(beside, place)
    finally:
        with suppress(OSError):
            beside.unlink()
    return revision


def _fill(transport: Transport, path: str, beside: Path) -> int:
    digest, told = hashlib.sha256(), _Told()
    with beside.open("wb") as file:
        for part in transport.parts(path, heard=told):
            file.write(part)
            digest.update(part)
        file.flush()
        os.fsync(file.fileno())
    if digest.digest() != told.digest:
        raise UnavailableError(f"The file at {path} came damaged.")
    return told.revision


class _Told:
    """What the headers say of a file: its revision (`ETag`) and its SHA-256 (`Repr-Digest`, RFC 9530)."""

    revision = 0
    digest = b""

    def __call__(self, headers: HTTPMessage) -> None:
        try:
            self.revision = int(headers["ETag"].strip('"'))
            self.digest = base64.b64decode(
                headers["Repr-Digest"].partition(":")[2].rstrip(":"), validate=True
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UnavailableError("The answer does not say which file it is: no server of ours.") from error
