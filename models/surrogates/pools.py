"""The rows of a finite pool <-> rows of the cube: the crossing where a point is {"row": id}.

The file (its layout: `models/domain/pool_file.py`) is mapped into memory, so that a million rows cost what is looked
at. A number's range over the pool is scaled to [0, 1]; a category is a column for each of its values, of which one
is 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labqueue.problem import ROW, Pool
from labqueue.strategy import MAXIMIN

from .designs.maximin import farthest
from .encoding import Array
from .seeds import seed_for
from .values import LearningError, Point

Places = NDArray[np.int64]
#: Where a file that is kept under its SHA-256 lies on this machine.
Files = Callable[[str], Path]

_MAGIC = b"LABQPOOL"
_BY_CHANCE = "random"
#: So many rows are looked at in one search; of larger pools a part that differs from one search to the next.
MOST = 200_000
_NEAR = 2_000  # of those, the nearest neighbours of the best rows so far
_CENTERS = 8
_SPREAD = 4_096  # rows that a design is spread over
_CHUNK_CELLS = 1 << 18


def kind_for(asked: str) -> str | None:
    """The kind of design that a pool has: `random` and `maximin` as asked; None: spread over the pool, whatever else was."""
    return asked if asked in (_BY_CHANCE, MAXIMIN) else None


@dataclass(frozen=True)
class Column:
    """A feature and its columns of the cube: `start` and as many as it has categories, or one for a number."""

    start: int
    low: float = 0.0
    high: float = 0.0
    categories: int = 0

    @property
    def width(self) -> int:
        return self.categories or 1


@dataclass(frozen=True)
class PoolSpace:
    """A pool in memory that is shared with every process that opened it. Places are numbers of rows, from 0."""

    columns: tuple[Column, ...]
    _features: NDArray[np.float32] = field(repr=False)
    _ids: NDArray[np.uint8] = field(repr=False)
    _ends: NDArray[np.uint64] = field(repr=False)
    _hashes: NDArray[np.uint64] = field(repr=False)
    _places: NDArray[np.uint32] = field(repr=False)

    @classmethod
    def of(cls, pool: Pool, files: Files) -> PoolSpace:
        """Raises LearningError where the pool's file is missing or is not what its definition says."""
        space = _open(files(pool.sha256))
        if (space.rows, len(space.columns)) != (pool.rows, len(pool.columns)):
            raise LearningError(f"the file of the pool {pool.name} does not match its definition")
        return space

    @property
    def rows(self) -> int:
        return len(self._features)

    @property
    def size(self) -> int:
        return self.rows

    @property
    def width(self) -> int:
        return sum(each.width for each in self.columns)

    def encode(self, points: Sequence[Point]) -> Array:
        """Raises LearningError where the pool has no such row."""
        return self.features(self.places(points))

    def features(self, places: Places) -> Array:
        """These rows in the cube."""
        raw = self._features[places].astype(np.float64)
        found = np.zeros((len(raw), self.width))
        for number, each in enumerate(self.columns):
            if each.categories:
                found[np.arange(len(raw)), each.start + raw[:, number].astype(np.int64)] = 1.0
            elif each.high > each.low:
                found[:, each.start] = (raw[:, number] - each.low) / (each.high - each.low)
        return found

    def places(self, points: Sequence[Point]) -> Places:
        """The rows of points. Raises LearningError where the pool has no such row."""
        ids = [str(point.get(ROW, "")).encode() for point in points]
        digests = b"".join(blake2b(each, digest_size=8).digest() for each in ids)
        hashes = np.frombuffer(digests, dtype="<u8")
        starts = np.searchsorted(self._hashes, hashes)
        found = np.empty(len(ids), dtype=np.int64)
        for number, (start, wanted, id) in enumerate(zip(starts, hashes, ids, strict=True)):
            at = int(start)
            # Two ids may share a hash.
            while at < self.rows and self._hashes[at] == wanted and self._id(int(self._places[at])) != id:
                at += 1
            if at >= self.rows or self._hashes[at] != wanted:
                raise LearningError(f"The pool has no row {id.decode()[:100]}.")
            found[number] = self._places[at]
        return found

    def point(self, place: int) -> Point:
        return {ROW: self._id(place).decode()}

    def looked_at(self, seed: int, near: Sequence[int] = (), most: int = MOST) -> Places:
        """The rows that one search looks at: all of them where there are at most `most`; else a part that `seed`
        names, and rows near the first of `near`."""
        if self.rows <= most:
            return np.arange(self.rows)
        generator = np.random.default_rng(seed_for("look", seed))
        drawn = generator.choice(self.rows, size=most, replace=False)
        return np.unique(np.concatenate([self.neighbours(near, _NEAR), drawn]))

    def neighbours(self, centers: Sequence[int], count: int) -> Places:
        """The `count` rows that are nearest to any of the first few of these rows, the nearest first."""
        if not centers:
            return np.zeros(0, dtype=np.int64)
        rows = self.features(np.asarray(centers[:_CENTERS], dtype=np.int64))
        found, distances = np.zeros(0, dtype=np.int64), np.zeros(0)
        for part in self.parts(np.arange(self.rows)):
            found = np.concatenate([found, part])
            distances = np.concatenate([distances, _distances(self.features(part), rows).min(axis=1)])
            kept = np.argsort(distances, kind="stable")[:count]
            found, distances = found[kept], distances[kept]
        return found

    def cells(self, places: Places, count: int, seed: int) -> Places:
        """Which of `count` regions of the pool each of these rows is in."""
        centers = np.array([place for place, _ in zip(self._spread(seed), range(count), strict=False)])
        rows = self.features(centers)
        parts = [_distances(self.features(part), rows).argmin(axis=1) for part in self.parts(places)]
        return np.concatenate(parts) if parts else places[:0]

    def parts(self, places: Places) -> Iterator[Places]:
        """As many at a time as memory is no matter for."""
        size = max(1, _CHUNK_CELLS // self.width)
        for start in range(0, len(places), size):
            yield places[start : start + size]

    def design(self, kind: str, seed: int, start: int, count: int, taken: Sequence[Point]) -> list[Point]:
        """`count` rows of the sequence that `seed` names, from index `start` on, none of them in `taken`: by chance
        (`random`), each as far as can be from those before it (`maximin`), else spread over the pool. Fewer only where
        the pool holds no more."""
        gone = set(self.places(taken).tolist())
        found: list[Point] = []
        for index, place in enumerate(self._sequence(kind, seed)):
            if len(found) == count:
                break
            if index >= start and place not in gone:
                found.append(self.point(place))
                gone.add(place)
        if len(found) < count:  # what the sequence passed over may be free again
            left = (place for place in self._by_chance(seed) if place not in gone)
            found += [self.point(place) for place, _ in zip(left, range(count - len(found)), strict=False)]
        return found

    def _sequence(self, kind: str, seed: int) -> Iterator[int]:
        if kind == MAXIMIN:
            _, places, rows = self._part(seed)
            yield from (int(places[each]) for each in farthest(rows))
        elif kind != _BY_CHANCE:
            yield from self._spread(seed)
        yield from self._by_chance(seed)

    def _by_chance(self, seed: int) -> Iterator[int]:
        yield from (int(place) for place in np.random.default_rng(seed).permutation(self.rows))

    def _part(self, seed: int) -> tuple[np.random.Generator, Places, Array]:
        """What drew them, places of rows that a design is spread over, in an order by chance, and the rows themselves."""
        generator = np.random.default_rng(seed_for("spread", seed))
        places = generator.permutation(self.rows)[:_SPREAD]
        return generator, places, self.features(places)

    def _spread(self, seed: int) -> Iterator[int]:
        """Greedy k-means++ (Arthur and Vassilvitskii 2007) over a part of the rows: each is drawn with the square of
        its distance from those before it, and the best of a few draws is taken. Far rows come early, lone ones need
        not."""
        generator, places, rows = self._part(seed)
        nearest = np.full(len(rows), math.inf)
        chosen = 0  # the order is by chance: so is the first
        while True:
            yield int(places[chosen])
            nearest = np.minimum(nearest, ((rows - rows[chosen]) ** 2).sum(axis=1))
            nearest[chosen] = 0.0
            if nearest.sum() <= 0.0:
                return
            drawn = generator.choice(len(rows), size=4, p=nearest / nearest.sum())
            left = [np.minimum(nearest, ((rows - rows[each]) ** 2).sum(axis=1)).sum() for each in drawn]
            chosen = int(drawn[int(np.argmin(left))])

    def _id(self, place: int) -> bytes:
        start = int(self._ends[place - 1]) if place else 0
        return self._ids[start : int(self._ends[place])].tobytes()


def _distances(rows: Array, centers: Array) -> Array:
    """Squared, (rows, centers)."""
    square: Array = (rows**2).sum(axis=1)[:, None] - 2 * rows @ centers.T + (centers**2).sum(axis=1)
    return square


@lru_cache(maxsize=8)
def _open(path: Path) -> PoolSpace:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size - 16))
            tail = file.read(16)
            length = int.from_bytes(tail[:8], "little")
            if tail[8:] != _MAGIC or length > size:
                raise LearningError("the pool's file is damaged")
            file.seek(size - 16 - length)
            header = json.loads(file.read(length))
        return _mapped(path, header)
    except FileNotFoundError:
        raise LearningError("the pool's file is missing") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LearningError(f"the pool's file cannot be read: {error}") from error


def _mapped(path: Path, header: dict[str, Any]) -> PoolSpace:
    rows, given = int(header["rows"]), header["columns"]

    def part(name: str, kind: str, shape: int | tuple[int, int]) -> Any:
        return np.memmap(path, dtype=kind, mode="r", offset=int(header[name]), shape=shape)

    columns: list[Column] = []
    for each in given:
        start = columns[-1].start + columns[-1].width if columns else 0
        if each["kind"] == "category":
            columns.append(Column(start, categories=len(each["categories"])))
        else:
            columns.append(Column(start, float(each["low"]), float(each["high"])))
    ends = part("ends", "<u8", rows)
    return PoolSpace(
        tuple(columns),
        part("features", "<f4", (rows, len(columns))),
        part("ids", "u1", int(ends[-1])),
        ends,
        part("hashes", "<u8", rows),
        part("places", "<u4", rows),
    )
