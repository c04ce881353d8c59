"""The file that a pool's rows are kept in: written once from first to last byte, mapped into memory by learners.

    LABQPOOL, then zeros up to byte 64
    features: rows x columns, little-endian float32, row after row (numbers, or the place of a category)
    ids: their UTF-8 bytes one after the other
    ends: where each id ends in there, little-endian uint64
    hashes: of the ids (BLAKE2b of 8 bytes, little-endian uint64), ascending
    places: the row of each hash, little-endian uint32
    JSON: {"rows", "columns": [{"name", "kind", ...}], and the offset of each part}
    the JSON's length, little-endian uint64; LABQPOOL

Each part begins at a multiple of 8 bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

from labqueue.errors import FieldError, InvalidError

from .pool_table import FAULT_LIMIT, Block, Column

MAGIC = b"LABQPOOL"
START = 64


class PoolFile:
    """The parts of the file, in order: `begin`, `rows` for each block, `end`."""

    def __init__(self) -> None:
        self._keys: list[bytes] = []  # a block each
        self._lengths: list[Any] = []
        self._hashes: list[Any] = []
        self._lines: list[Any] = []
        self._offset = START
        self.count = 0

    def begin(self) -> bytes:
        return MAGIC.ljust(START, b"\0")

    def rows(self, block: Block) -> bytes:
        import numpy

        raw = [key.encode() for key in block.keys]
        hashes = b"".join([blake2b(each, digest_size=8).digest() for each in raw])
        self._keys.append(b"".join(raw))
        self._lengths.append(numpy.fromiter(map(len, raw), dtype="<u8", count=len(raw)))
        self._hashes.append(numpy.frombuffer(hashes, dtype="<u8"))
        self._lines.append(numpy.array(block.lines, dtype="<u4"))
        self.count += len(raw)
        return self._counted(numpy.ascontiguousarray(block.values, dtype="<f4").tobytes())

    def end(self, columns: Sequence[Column]) -> Iterator[bytes]:
        """Raises InvalidError where two rows have one id."""
        import numpy

        ends = numpy.cumsum(numpy.concatenate(self._lengths), dtype="<u8")
        hashes = numpy.concatenate(self._hashes)
        places = numpy.argsort(hashes, kind="stable").astype("<u4")
        hashes = hashes[places]
        keys = b"".join(self._keys)
        self._check_unique(keys, ends, hashes, places)
        header: dict[str, Any] = {"rows": self.count, "columns": [each.to_json() for each in columns]}
        for name, part in (
            ("ids", keys),
            ("ends", ends.tobytes()),
            ("hashes", hashes.tobytes()),
            ("places", places.tobytes()),
        ):
            yield self._counted(b"\0" * (-self._offset % 8))
            header[name] = self._offset
            yield self._counted(part)
        yield self._counted(b"\0" * (-self._offset % 8))
        text = json.dumps({"features": START, **header}, ensure_ascii=False, allow_nan=False).encode()
        yield text + len(text).to_bytes(8, "little") + MAGIC

    def _counted(self, part: bytes) -> bytes:
        self._offset += len(part)
        return part

    def _check_unique(self, keys: bytes, ends: Any, hashes: Any, places: Any) -> None:
        import numpy

        lines = numpy.concatenate(self._lines)

        def key(place: int) -> str:
            return keys[int(ends[place - 1]) if place else 0 : int(ends[place])].decode()

        # Equal hashes stand together, in the order of their rows: those that follow another, by their rows.
        later = numpy.flatnonzero(hashes[1:] == hashes[:-1]) + 1
        faults: list[FieldError] = []
        for where in later[numpy.argsort(places[later])]:
            run = range(int(numpy.searchsorted(hashes, hashes[where])), int(where))
            own, line = key(int(places[where])), int(lines[places[where]])
            # Nearly always the first of them: other ids hardly ever have the same hash.
            same = next((place for each in run if key(place := int(places[each])) == own), None)
            if same is not None:
                message = f"has the id of line {int(lines[same])}: each row needs one of its own."
                faults.append(FieldError(f"line {line}", message, own[:100]))
            if len(faults) >= FAULT_LIMIT:
                break
        if faults:
            raise InvalidError("The pool cannot be used as it stands: ids are not unique.", errors=faults)
