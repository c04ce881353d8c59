"""Where benchmarks run: servers with their data on disk, and the raw commits that every figure stands beside."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.figures import percentile
from services.embedded.postgres import Postgres
from services.embedded.stack import Stack
from services.settings import Settings, load
from services.store.migrate import upgrade

PROBLEM: dict[str, Any] = {
    "parameters": [
        {"name": "temperature", "kind": "continuous", "low": 20, "high": 120, "unit": "degC"},
        {"name": "tau", "kind": "continuous", "low": 0.1, "high": 10, "unit": "min"},
    ],
    "outputs": [{"name": "yield", "unit": "%"}],
    "objectives": [{"output": "yield", "goal": "maximize"}],
}
STRATEGY: dict[str, Any] = {"method": "caller"}
POINT = {"temperature": 80.0, "tau": 1.5}


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder on disk, with a path short enough for sockets; removed afterwards."""
    made = Path(tempfile.mkdtemp(prefix="lq-bench-")).resolve()
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def settings_for(home: Path, **more: str) -> Settings:
    """The defaults of one machine, on any free port."""
    return load({"LABQUEUE_HOME": str(home), "PORT": "0", **more})


@contextmanager
def stack(*parts: str, **settings: str) -> Iterator[Stack]:
    """A Labqueue of these parts beside its servers, ready."""
    with folder() as home, Stack(settings_for(home, **settings), parts) as running:
        yield running


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A Postgres alone, migrated."""
    with folder() as home:
        server = Postgres(home, home / "run")
        try:
            server.start()
            upgrade(server.url)
            yield server
        finally:
            server.stop()


class Commits:
    """Commits of one small row in a raw psycopg loop: how fast this disk is at this moment."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute("CREATE TABLE IF NOT EXISTS raw_commits (id bigserial PRIMARY KEY, t text)")
        self.seconds: list[float] = []

    def sample(self, count: int = 1) -> None:
        for _ in range(count):
            began = time.perf_counter()
            self._connection.execute("INSERT INTO raw_commits (t) VALUES ('a row')")
            self.seconds.append(time.perf_counter() - began)

    def p(self, share: float) -> float:
        """A percentile of all commits so far, in milliseconds."""
        return percentile(self.seconds, share) * 1000

    @property
    def rate(self) -> float:
        """Commits per second of one connection."""
        return len(self.seconds) / sum(self.seconds)

    def __str__(self) -> str:
        return f"raw commits: {self.rate:,.0f}/s, p50 {self.p(0.5):.2f} ms, p99 {self.p(0.99):.2f} ms"

    def close(self) -> None:
        self._connection.close()
