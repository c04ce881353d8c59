"""The features of a pool: read from its file without loading it, and fetched once, whatever breaks meanwhile."""

from __future__ import annotations

import hashlib
import io
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from labqueue.errors import InvalidError, NotFoundError, UnavailableError
from labqueue.learning import Features, features, fetch, sample
from labqueue.learning.check import check_learner
from labqueue.learning.samples import rows
from labqueue.problem import Pool, Problem
from labqueue.transport import Transport
from models.domain.csv_rows import csv_rows
from models.domain.pool_file import PoolFile
from models.domain.pool_table import Block, Column, Table

CSV = "id,mass,solvent\ncmpd-1,0.1,water\né/2,-3e5,ethanol\ncmpd-3,7,water\n" + "".join(
    f"n{n},{n / 8},toluene\n" for n in range(500)
)


def made(text: str) -> bytes:
    """The file of a pool as the server keeps it."""
    table, file = Table(lambda: csv_rows(io.BytesIO(text.encode()))), PoolFile()
    return b"".join([file.begin(), *map(file.rows, table.blocks()), *file.end(table.columns)])


BODY = made(CSV)
NAME = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def pool(tmp_path: Path) -> Features:
    (tmp_path / NAME).write_bytes(BODY)
    return Features(tmp_path / NAME)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This user's cache is here, on any system."""
    monkeypatch.setattr("labqueue.learning.pools.cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def problem(sha256: str = NAME) -> Problem:
    body = {
        "pool": Pool("library", sha256, 503, ("mass", "solvent")).to_json(),
        "outputs": [{"name": "activity"}],
        "objectives": [{"output": "activity"}],
    }
    return Problem.from_json(body)


# Reading


def test_rows_by_id_in_order_and_as_people_see_them(pool: Features) -> None:
    assert len(pool) == len(pool.ids) == 503
    assert pool.ids[:3] == ["cmpd-1", "é/2", "cmpd-3"] and pool.ids[-1] == "n499"
    assert [each.name for each in pool.columns] == ["mass", "solvent"]
    mass, solvent = pool.columns
    assert (mass.kind, mass.low, mass.high, mass.categories) == ("number", -3e5, 62.375, ())
    assert (solvent.kind, solvent.categories) == ("category", ("water", "ethanol", "toluene"))
    assert pool.row("é/2") == {"mass": -3e5, "solvent": "ethanol"}
    assert pool.row("cmpd-1") == {"mass": np.float32(0.1), "solvent": "water"}
    assert [list(each) for each in pool.rows(["n8", "cmpd-3", "n8"])] == [[1.0, 2.0], [7.0, 0.0], [1.0, 2.0]]
    assert [id for id, _ in pool] == list(pool.ids)
    assert [each[0] for _, each in pool][3:6] == [0.0, 0.125, 0.25]
    assert all(pool.place(id) == place for place, id in enumerate(pool.ids))


def test_an_id_that_is_none(pool: Features) -> None:
    assert "n1" in pool and "n500" not in pool and 7 not in pool and "" not in pool
    for call in (pool.place, pool.row, lambda id: list(pool.rows([id]))):
        with pytest.raises(NotFoundError, match="no row 'n500'"):
            call("n500")
    with pytest.raises(IndexError):
        pool.ids[503]


def test_numpy_takes_the_numbers_as_they_lie(pool: Features) -> None:
    values = np.asarray(pool.values)
    assert values.shape == (503, 2) and values.dtype == np.float32 and not values.flags.writeable
    assert values[1].tolist() == [-3e5, 1.0]
    assert np.shares_memory(values, np.asarray(pool.values)), "nothing is copied"
    with pytest.raises(TypeError):
        next(pool.rows())[0] = 1.0


def test_two_hundred_thousand_rows_cost_no_memory(tmp_path: Path) -> None:
    wide = np.random.default_rng(1).random((200_000, 10)).astype("<f4")
    file, ids, zeros = PoolFile(), [f"c{n}" for n in range(200_000)], [0] * 200_000
    columns = [Column(f"f{n}", "number", count=1, low=0.0, high=1.0) for n in range(10)]
    parts = [file.begin(), file.rows(Block(ids, zeros, wide, [])), *file.end(columns)]
    (tmp_path / "wide").write_bytes(b"".join(parts))
    tracemalloc.start()
    pool = Features(tmp_path / "wide")
    total = 0.0
    for _, row in pool:
        total += row[3]
    last = pool.row("c199999")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1 << 20, f"{most:,} bytes"
    assert total == pytest.approx(float(wide[:, 3].astype(float).sum())) and last["f9"] == wide[-1, 9]


def test_a_file_that_is_none(tmp_path: Path) -> None:
    for body in (b"x" * 100, BODY[:-1], BODY[1:]):
        (tmp_path / "bad").write_bytes(body)
        with pytest.raises(UnavailableError, match="is no pool"):
            Features(tmp_path / "bad")


# Fetching


class Server(ThreadingHTTPServer):
    """Sends the file; `most`: so many bytes an answer before it breaks off, for the first `breaks` answers."""

    def __init__(self, body: bytes, *, most: int = 10**9, breaks: int = 0, ranges: bool = True) -> None:
        self.body, self.most, self.breaks, self.ranges = body, most, breaks, ranges
        self.asked: list[str] = []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path == "/api/v1/pools/library":
            self._send(200, f'{{"sha256": "{NAME}"}}'.encode())
            return
        asked = self.headers.get("Range", "")
        with self.server.lock:
            self.server.asked.append(asked)
            broken = len(self.server.asked) <= self.server.breaks
        first = int(asked[6:-1]) if asked and self.server.ranges else 0
        body = self.server.body[first:]
        self._send(206 if first else 200, body, body[: self.server.most] if broken else body)

    def _send(self, status: int, body: bytes, sent: bytes | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if sent is None else sent)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody waits between two tries."""
    monkeypatch.setattr(fetch.Backoff, "pause", lambda _: 0.0)
    yield


def test_it_is_fetched_once_and_lies_under_its_sha256(cache: Path) -> None:
    with Server(BODY) as server:
        for _ in range(3):
            assert len(features(problem(), url=server.url)) == 503
        assert server.asked == [""]
    assert [each.name for each in cache.iterdir()] == [NAME] and (cache / NAME).read_bytes() == BODY
    assert len(features(problem(), url="http://127.0.0.1:9")) == 503, "the server is needed no more"


@pytest.mark.parametrize("ranges", [True, False])
def test_what_breaks_off_goes_on_where_it_was(cache: Path, ranges: bool) -> None:
    """Also behind a proxy that knows no ranges and sends all of it again."""
    with Server(BODY, most=3000, breaks=3 if ranges else 1, ranges=ranges) as server:
        assert len(features(problem(), url=server.url)) == 503
        expected = ["", "bytes=3000-", "bytes=6000-", "bytes=9000-"]
        assert server.asked == (expected if ranges else expected[:2])
    assert (cache / NAME).read_bytes() == BODY


def test_a_server_that_gives_nothing_is_given_up_and_nothing_is_left(cache: Path) -> None:
    with Server(BODY, most=0, breaks=1000) as server:
        with pytest.raises(UnavailableError):
            features(problem(), url=server.url)
        assert len(server.asked) == fetch.TRIES
    assert list(cache.iterdir()) == []


def test_other_bytes_are_not_kept(cache: Path) -> None:
    with Server(BODY[:-20] + bytes(20)) as server, pytest.raises(UnavailableError, match="damaged"):
        features(problem(), url=server.url)
    assert list(cache.iterdir()) == []


def test_many_at_the_same_time_get_the_same_file(tmp_path: Path) -> None:
    with Server(BODY) as server, ThreadPoolExecutor(8) as many:
        transport = Transport(server.url)
        found = set(many.map(lambda _: fetch.fetch(transport, NAME, tmp_path / "c"), range(16)))
    assert found == {tmp_path / "c" / NAME} and list((tmp_path / "c").iterdir()) == [tmp_path / "c" / NAME]


def test_a_problem_without_a_pool_and_a_name_that_is_no_digest(cache: Path) -> None:
    line = {
        "parameters": [{"name": "x", "kind": "continuous", "low": 0, "high": 1}],
        "outputs": [{"name": "y"}],
    }
    with pytest.raises(InvalidError, match="no pool"):
        features(Problem.from_json(line))
    with pytest.raises(InvalidError, match="no SHA-256"):
        features(problem("../../secret"))


# Learners


class Heaviest:
    def suggest(self, problem: Any, rows: Any, pending: Any, count: int, state: Any, seed: int) -> Any:
        taken = {each["row"] for each in pending} | {row.parameters["row"] for row in rows}
        free = [(values[0], id) for id, values in features(problem) if id not in taken]
        best = sorted(free, reverse=True)[:count]
        return {"candidates": [{"row": id} for _, id in best], "gain": best[0][0]}


def test_samples_are_rows_that_are_left(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(BODY) as server:
        monkeypatch.setenv("LABQUEUE_URL", server.url)
        every = features(problem()).ids
        found = sample(problem(), 5, 1)
        assert found == sample(problem(), 5, 1) != sample(problem(), 5, 2)
        assert len({each["row"] for each in found} & set(every)) == 5
        but = [{"row": id, "mass": 1.0} for id in every[3:]]
        assert {each["row"] for each in sample(problem(), 9, 3, but)} == {"cmpd-1", "é/2", "cmpd-3"}
        with pytest.raises(InvalidError, match="left"):
            sample(problem(), 1, 4, [{"row": id} for id in every])
        assert rows(problem(), 1, 5)[0].parameters.keys() == {"row", "mass", "solvent"}


def test_a_learner_is_checked_on_a_pool_that_is_only_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {**problem().to_json(), "pool": "library"}
    with Server(BODY) as server:
        monkeypatch.setenv("LABQUEUE_URL", server.url)
        findings = check_learner(Heaviest, problem=body)
    assert [str(each) for each in findings if not each.passed] == []


def test_a_pool_that_is_too_small_for_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = made("id,mass\n" + "".join(f"r{n},{n}\n" for n in range(16)))
    sha256 = hashlib.sha256(body).hexdigest()
    (tmp_path / sha256).write_bytes(body)
    monkeypatch.setattr("labqueue.learning.pools.cache_folder", lambda: tmp_path)
    with pytest.raises(InvalidError, match="at least 17 rows"):
        check_learner(Heaviest, problem=problem(sha256).to_json())
