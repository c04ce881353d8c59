"""folder: a campaign's files, named and replaced whole. For programs that drive it and must keep their own state.

New bytes are written whole under a key that no other content has; then the row names them, in one transaction; then the
old bytes are removed. A key stands in the list of loose ones before its bytes are written, and again from the moment
that a row lets go of it: whatever a crash leaves lying about is in that list, and a later change removes it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO

from labqueue.errors import (
    ChangedError,
    ConflictError,
    FieldError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from models.domain import records as r
from services.ports import Blobs, Ids, Store, Transaction

from .shared import campaign_of

NAME_LIMIT = 200
_PART = re.compile(r"[A-Za-z0-9._-]+")
#: Loose for so long, bytes are nobody's: longer than copying a file can take.
SWEPT_AFTER = timedelta(days=1)
#: So many are swept beside one change.
SWEPT_AT_ONCE = 20


@dataclass(frozen=True)
class Condition:
    """What must be true of a file before a change. revisions: it has one of these. exists: whether it is there."""

    revisions: frozenset[int] | None = None
    exists: bool | None = None

    def holds(self, revision: int | None) -> bool:
        """revision: of the file; None where there is none."""
        if self.exists is not None and self.exists is not (revision is not None):
            return False
        return self.revisions is None or revision in self.revisions


ANYTHING = Condition()


def files(store: Store, campaign: str) -> list[r.File]:
    """By name. Raises NotFoundError."""
    with store.begin() as tx:
        return tx.files.of_campaign(campaign_of(tx, campaign).id)


def fetch(store: Store, blobs: Blobs, campaign: str, name: str) -> tuple[r.File, BinaryIO]:
    """The file and its bytes, to be read and closed. Raises NotFoundError."""
    before = None
    while True:
        with store.begin() as tx:
            found = tx.files.get(campaign_of(tx, campaign).id, name)
        if found is None or found == before:
            lost = "The bytes of this file are lost." if found else "`files` lists those that there are."
            raise NotFoundError(f"The campaign {campaign!r} has no file {name[:NAME_LIMIT]!r}. {lost}")
        body = blobs.get(found.key)
        if body is not None:
            return found, body
        before = found  # it may have been replaced in between


def check(store: Store, campaign: str, name: str, condition: Condition, most: int) -> None:
    """Raises what `put` would, before anything is sent: InvalidError for a name that cannot be one, NotFoundError,
    ChangedError, ConflictError where the folder is full."""
    with store.begin() as tx:
        owner = _owner(tx, campaign, name)
        found = tx.files.get(owner.id, name)
        # The second one: it may be there already, by this very request, whose answer was lost.
        if not condition.holds(_revision(found)) and not (found and condition.holds(found.before)):
            raise _changed(name, found)
        if found is None:
            _check_room(tx, owner, most)


def put(
    store: Store, blobs: Blobs, ids: Ids, campaign: str, name: str, body: BinaryIO, actor: str, *,
    condition: Condition = ANYTHING, most: int = 1000,
) -> r.File:  # fmt: skip
    """Creates the file or replaces it. The same bytes under the same condition again are one effect. most: files of a
    campaign. Raises as `check`."""
    with store.begin() as tx:
        key = f"{_owner(tx, campaign, name).id}/{ids.uuid()}"
        tx.files.loosen([key])
    sha256, size = blobs.put(key, body)
    try:
        with store.begin() as tx:
            owner = campaign_of(tx, campaign, lock=True)
            new = r.File(owner.id, name, sha256, size, key, actor)
            kept, gone = _put(tx, owner, new, condition, most)
    except ConflictError:  # nothing was changed; after any other error, that is not known
        _remove(store, blobs, [key])
        raise
    _sweep(store, blobs, gone)
    return kept


def drop(store: Store, blobs: Blobs, campaign: str, name: str, condition: Condition = ANYTHING) -> None:
    """From now on there is no such file, whether there was one or not. Raises InvalidError, NotFoundError (campaign),
    ChangedError."""
    with store.begin() as tx:
        owner = campaign_of(tx, campaign, lock=True)
        _check_name(name)
        found = tx.files.get(owner.id, name)
        if found is None:
            return
        if not condition.holds(found.revision):
            raise _changed(name, found)
        tx.files.remove(owner.id, name)
        tx.files.loosen([found.key])
    _sweep(store, blobs, [found.key])


def _put(
    tx: Transaction, owner: r.Campaign, new: r.File, condition: Condition, most: int
) -> tuple[r.File, list[str]]:
    """The file as it is now, and the key of bytes that nobody needs any more."""
    found = tx.files.get(new.campaign_id, new.name)
    if not condition.holds(_revision(found)):
        if found is not None and found.sha256 == new.sha256 and condition.holds(found.before):
            return found, [new.key]
        raise _changed(new.name, found)
    if found is None:
        _check_room(tx, owner, most)
    if not tx.files.hold(new.key):
        raise ConflictError("The file took more than a day to be written. Send it again.")
    gone = [] if found is None else [found.key]
    tx.files.loosen(gone)
    return tx.files.put(r.File(**{**vars(new), "before": _revision(found)})), gone


def _sweep(store: Store, blobs: Blobs, keys: Sequence[str]) -> None:
    """The change is made: what cannot be removed now is removed beside a later one."""
    with suppress(UnavailableError):
        _remove(store, blobs, keys)
        with store.begin() as tx:
            left = tx.files.loose(tx.now() - SWEPT_AFTER, SWEPT_AT_ONCE)
        _remove(store, blobs, left)


def _remove(store: Store, blobs: Blobs, keys: Sequence[str]) -> None:
    if not keys:
        return
    for each in keys:
        blobs.remove(each)
    with store.begin() as tx:
        tx.files.forget(keys)


def _owner(tx: Transaction, campaign: str, name: str) -> r.Campaign:
    owner = campaign_of(tx, campaign)
    _check_name(name)
    return owner


def _check_name(name: str) -> None:
    parts = name.split("/")
    known = all(_PART.fullmatch(each) and each not in (".", "..") for each in parts)
    if not known or len(name) > NAME_LIMIT:
        rule = f"1 to {NAME_LIMIT} of A-Z a-z 0-9 . _ - and, between parts, /; no part is . or .."
        raise InvalidError(errors=[FieldError("file", f"must be {rule}.", name[:NAME_LIMIT], rule)])


def _check_room(tx: Transaction, owner: r.Campaign, most: int) -> None:
    if tx.files.count(owner.id) >= most:
        raise ConflictError(
            f"The campaign {owner.name!r} has {most:,} files, as many as it may. Delete some."
        )


def _revision(file: r.File | None) -> int | None:
    return None if file is None else file.revision


def _changed(name: str, found: r.File | None) -> ChangedError:
    if found is None:
        return ChangedError(
            f"There is no file {name!r} (any more), so it has not the revision that you know."
        )
    return ChangedError(
        f"The file {name!r} has revision {found.revision}, written by {found.actor}: not what your request expects. "
        "Read it, and decide whose is right.",
        errors=[FieldError("revision", "is another one.", None, found.revision)],
    )
