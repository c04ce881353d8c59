"""The rows of a pool and their features, read from the pool's file without loading it: any row at any moment.

The layout of the file is that of docs/pools.md, "How a pool is kept".
"""

from __future__ import annotations

import json
import mmap
import re
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Union, overload

from labqueue.client import Client
from labqueue.errors import InvalidError, NotFoundError, UnavailableError
from labqueue.problem import ROW, Pool, Problem

from .fetch import cache_folder, fetch

MAGIC = b"LABQPOOL"


def features(
    problem: Problem, *, url: str | None = None, token: str | None = None, folder: Path | None = None
) -> Features:
    """The pool that the problem's rows are of. Opening it takes milliseconds: nothing is read before it is needed.

    `serve_learner` has fetched its file into this user's cache before it calls a learner. Elsewhere it is fetched here
    where it is not there yet, from `url` with `token` (default LABQUEUE_URL and LABQUEUE_TOKEN). folder: instead of
    the cache. Raises InvalidError where the problem has no pool, NotFoundError where the server does not know it,
    UnavailableError where the server is away.
    """
    if problem.pool is None:
        raise InvalidError("This problem has no pool: it has parameters, and nothing to fetch.")
    with Client(url, token) as client:
        return Features(fetch_pool(client, problem.pool, folder))


def fetch_pool(client: Client, pool: Pool, folder: Path | None = None) -> Path:
    """The pool's file; of a pool that is only named, that of its newest version."""
    sha256 = pool.sha256 or str(client.pool(pool.name)["sha256"])
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise InvalidError(f"{sha256[:100]!r} is no SHA-256 of a pool.")
    return fetch(client.transport, sha256, folder or cache_folder())


@dataclass(frozen=True)
class Column:
    """A feature over the whole pool: of a number its range, mean and standard deviation; of a category all its texts."""

    name: str
    kind: str  # number, category
    categories: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0
    sd: float = 0.0


class Features:
    """A pool's file, mapped into memory: many processes share one copy, and what is not looked at costs nothing.

    columns  in order
    ids      of the rows, in order: a sequence, read as it is asked for
    values   float32, rows x columns: a memoryview that numpy.asarray takes as it is; of a category the place of its
             text in the column's `categories`
    """

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        if bytes(view[:8]) != MAGIC or bytes(view[-8:]) != MAGIC:
            raise UnavailableError(f"{path} is no pool. Delete it, so that it is fetched again.")
        length = int.from_bytes(view[-16:-8], "little")
        header = json.loads(bytes(view[-16 - length : -16]))
        self.columns = tuple(_column(each) for each in header["columns"])
        count, self._width = int(header["rows"]), len(self.columns)
        self._flat = _numbers(view, "f", header["features"], count * self._width)
        self._hashes = _numbers(view, "Q", header["hashes"], count)
        self._places = _numbers(view, "I", header["places"], count)
        ends = _numbers(view, "Q", header["ends"], count)
        self.ids: Sequence[str] = _Ids(view[header["ids"] : header["ids"] + ends[-1]], ends)
        self.values = self._flat.cast("B").cast("f", (count, self._width))

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and self._find(id) is not None

    def __iter__(self) -> Iterator[tuple[str, memoryview]]:
        """Each row's id and numbers."""
        return zip(self.ids, self.rows())

    def rows(self, ids: Iterable[str] | None = None) -> Iterator[memoryview]:
        """The numbers of these rows (all, in order), as `values` has them. Raises NotFoundError for an unknown id."""
        places = range(len(self)) if ids is None else map(self.place, ids)
        return (self._flat[place * self._width : (place + 1) * self._width] for place in places)

    def row(self, id: str) -> dict[str, Union[float, str]]:
        """{column: number, or text of a category}."""
        [numbers] = self.rows([id])
        return {
            each.name: each.categories[int(value)] if each.categories else value
            for each, value in zip(self.columns, numbers)
        }

    def place(self, id: str) -> int:
        """Where the row stands. Raises NotFoundError."""
        found = self._find(id)
        if found is None:
            raise NotFoundError(f"The pool has no row {str(id)[:100]!r}.")
        return found

    def _find(self, id: str) -> int | None:
        wanted = int.from_bytes(blake2b(id.encode(), digest_size=8).digest(), "little")
        near = bisect_left(self._hashes, wanted)
        while near < len(self._hashes) and self._hashes[near] == wanted:
            place: int = self._places[near]
            if self.ids[place] == id:
                return place
            near += 1
        return None


class _Ids(Sequence[str]):
    def __init__(self, text: memoryview, ends: memoryview) -> None:
        self._text, self._ends = text, ends

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: Union[int, slice]) -> Union[str, list[str]]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        place = range(len(self))[place]  # also from the end; IndexError beyond
        begins = self._ends[place - 1] if place else 0
        return str(self._text[begins : self._ends[place]], "utf-8")


def _numbers(view: memoryview, kind: Any, offset: int, count: int) -> Any:
    """A memoryview of the little-endian numbers at a place of the file; `kind` as in the module struct."""
    part = view[offset : offset + count * array(kind).itemsize]
    if sys.byteorder == "little":
        return part.cast(kind)
    turned = array(kind, part.tobytes())
    turned.byteswap()
    return memoryview(turned)


def _column(body: Mapping[str, Any]) -> Column:
    number = {name: float(body[name]) for name in ("low", "high", "mean", "sd") if name in body}
    return Column(str(body["name"]), str(body["kind"]), tuple(body.get("categories") or ()), **number)


def key_of(problem: Problem, point: Mapping[str, Any]) -> tuple[Any, ...]:
    """Equal for points that plan the same experiment."""
    names = [ROW] if problem.pool is not None else [each.name for each in problem.planned]
    return tuple(point.get(name) for name in names)
