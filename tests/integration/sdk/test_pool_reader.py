"""A pool's file of which every byte is written here, as docs/pools.md describes it, read by the standard library alone."""

from __future__ import annotations

import json
import struct
from hashlib import blake2b
from pathlib import Path

import pytest

from labqueue.errors import NotFoundError, UnavailableError
from labqueue.learning import Features

IDS, ROWS = ["a-1", "é/2", "c"], [(0.5, 1.0), (-2.0, 0.0), (8.0, 1.0)]
COLUMNS = [
    {"name": "mass", "kind": "number", "low": -2.0, "high": 8.0, "mean": 2.2, "sd": 5.2},
    {"name": "solvent", "kind": "category", "categories": ["water", "ethanol"]},
]


def written() -> bytes:
    hashes = [int.from_bytes(blake2b(id.encode(), digest_size=8).digest(), "little") for id in IDS]
    order = sorted(range(3), key=hashes.__getitem__)
    texts = [id.encode() for id in IDS]
    ends = [sum(map(len, texts[: place + 1])) for place in range(3)]
    body, header = b"LABQPOOL", {"rows": 3, "columns": COLUMNS}
    for name, part in (
        ("features", struct.pack("<6f", *[value for row in ROWS for value in row])),
        ("hashes", struct.pack("<3Q", *[hashes[place] for place in order])),
        ("places", struct.pack("<3I", *order)),
        ("ids", b"".join(texts)),
        ("ends", struct.pack("<3Q", *ends)),
    ):
        header[name] = len(body)
        body += part
    last = json.dumps(header).encode()
    return body + last + struct.pack("<Q", len(last)) + b"LABQPOOL"


def test_every_row_is_read_by_place_and_by_id(tmp_path: Path) -> None:
    (tmp_path / "pool").write_bytes(written())
    pool = Features(tmp_path / "pool")
    assert list(pool.ids) == IDS and len(pool) == 3
    assert [tuple(row) for row in pool.rows()] == ROWS
    assert [tuple(row) for row in pool.rows(["c", "a-1"])] == [ROWS[2], ROWS[0]]
    assert pool.row("é/2") == {"mass": -2.0, "solvent": "water"}
    assert pool.values.shape == (3, 2) and pool.values[2, 0] == 8.0
    with pytest.raises(NotFoundError, match="no row 'b'"):
        pool.place("b")


def test_what_is_no_pool_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "pool").write_bytes(written()[:-1] + b"!")
    with pytest.raises(UnavailableError, match="Delete it"):
        Features(tmp_path / "pool")
