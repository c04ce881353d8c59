"""The file of a pool's features: what is written is what its layout says, and ids are unique."""

from __future__ import annotations

import io
import json

import numpy
import pytest

from labqueue.errors import InvalidError
from models.domain import pool_file
from models.domain.csv_rows import csv_rows
from models.domain.pool_file import PoolFile
from models.domain.pool_table import FAULT_LIMIT, Table


def written(text: str) -> bytes:
    file = PoolFile()
    read = Table(lambda: csv_rows(io.BytesIO(text.encode())))
    parts = [file.begin(), *(file.rows(block) for block in read.blocks())]
    return b"".join([*parts, *file.end(read.columns)])


def test_the_layout() -> None:
    keys = [f"r\u00f6w {place}" for place in range(300)]
    body = written("id,x,color\n" + "".join(f"{key},{n / 8},{'rgb'[n % 3]}\n" for n, key in enumerate(keys)))
    assert body[:8] == body[-8:] == b"LABQPOOL"
    length = int.from_bytes(body[-16:-8], "little")
    header = json.loads(body[-16 - length : -16])
    assert header["rows"] == 300 and [each["name"] for each in header["columns"]] == ["x", "color"]

    features = numpy.frombuffer(body, "<f4", 600, header["features"]).reshape(300, 2)
    assert features[:, 0].tolist() == [n / 8 for n in range(300)]
    assert features[:, 1].tolist() == [n % 3 for n in range(300)]
    ends = numpy.frombuffer(body, "<u8", 300, header["ends"])
    starts = [0, *ends[:-1].tolist()]
    ids = body[header["ids"] : header["ends"]]
    assert [ids[a:b].decode() for a, b in zip(starts, ends.tolist(), strict=True)] == keys
    hashes = numpy.frombuffer(body, "<u8", 300, header["hashes"])
    places = numpy.frombuffer(body, "<u4", 300, header["places"])
    assert bool((hashes[1:] > hashes[:-1]).all()) and sorted(places.tolist()) == list(range(300))
    assert all(header[part] % 8 == 0 for part in ("features", "ids", "ends", "hashes", "places"))


def test_equal_rows_make_equal_bytes() -> None:
    assert written("id,x\na,1\nb,2\n") == written('"id";"x"\r\n"a";"1.0"\r\nb;2e0\r\n')
    assert written("id,x\na,1\nb,2\n") != written("id,x\nb,2\na,1\n")


def test_every_further_row_of_an_id_is_named_with_the_line_of_the_first() -> None:
    with pytest.raises(InvalidError) as refused:
        written("id,x\na,1\nb,2\na,3\n\na,4\n")
    assert [each.field for each in refused.value.errors] == ["line 4", "line 6"]
    assert all("line 2" in each.message for each in refused.value.errors)


def test_the_first_of_many_ids_that_stand_twice_are_named_by_their_lines() -> None:
    rows = [f"{each},1\n" for each in range(100)]
    with pytest.raises(InvalidError) as refused:
        written("id,x\n" + "".join(rows + rows[::-1]))
    faults = [(each.field, each.message.split(":")[0], each.value) for each in refused.value.errors]
    assert faults == [
        (f"line {102 + n}", f"has the id of line {101 - n}", str(99 - n)) for n in range(FAULT_LIMIT)
    ]


def test_ids_that_share_a_hash_are_two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    class Same:
        def digest(self) -> bytes:
            return b"12345678"

    monkeypatch.setattr(pool_file, "blake2b", lambda *_, **__: Same())
    written("id,x\na,1\nb,2\nc,3\n")
    with pytest.raises(InvalidError) as refused:
        written("id,x\na,1\nb,2\na,3\nb,4\n")
    assert [each.message.split(":")[0] for each in refused.value.errors] == [
        "has the id of line 2",
        "has the id of line 3",
    ]
