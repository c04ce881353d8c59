"""A claim with a million finished experiments behind it against one with none, after VACUUM.

The two databases stand on one server and are asked in turns. The million have an attempt and an event each.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import psycopg

from benchmarks.figures import Figure
from benchmarks.flow import Flow
from benchmarks.place import POINT, postgres
from services.bootstrap import SystemIds
from services.flow.claim import ClaimRequest, claim
from services.flow.stage import StageItem, StageRequest, stage
from services.settings import postgres_url
from services.store.migrate import upgrade
from services.store.postgres import PostgresStore

FINISHED = 1_000_000
CLAIMS = 300
#: Columns that differ from row to row; all others are those of one experiment that was lived.
FILL = {
    "experiments": {"id": "n + 1000", "number": "n + 1000", "code": "'old-' || n"},
    "attempts": {"id": "gen_random_uuid()", "experiment_id": "n + 1000"},
    "events": {"id": "n + 10000", "number": "n", "experiment_id": "n + 1000"},
}


class Side:
    """One database: a store with one connection, and a reader."""

    def __init__(self, url: str) -> None:
        self.store = PostgresStore(url, 1)
        self._reader = psycopg.connect(url, autocommit=True)
        self._next = 0
        Flow(self.store).live(1)

    def fill(self, many: int) -> None:
        """`many` finished experiments with all that a claim's tables would hold of them."""
        for table, changing in FILL.items():
            listed = ", ".join(f'"{name}"' for name in self._columns(table))
            chosen = ", ".join(changing.get(name, f'"{name}"') for name in self._columns(table))
            self._reader.execute(
                f"INSERT INTO {table} ({listed}) SELECT {chosen} FROM (SELECT * FROM {table} LIMIT 1) one, "
                f"generate_series(1, {many}) n".encode()
            )

    def _columns(self, table: str) -> list[str]:
        rows = self._reader.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND table_schema = 'public'",
            [table],
        )
        return [row[0] for row in rows]

    def settle(self) -> None:
        """Stages what will be claimed, vacuums, and warms what a first claim has to look up."""
        items = tuple(StageItem(POINT) for _ in range(CLAIMS + 10))
        stage(self.store, SystemIds(), StageRequest("flow", "pages", items), "local")
        self._reader.execute("VACUUM ANALYZE")
        self._reader.execute("CHECKPOINT")
        self.store.close()  # a backend that has been idle beside the filling is slower at everything (seen: x 2)
        for _ in range(10):
            self.claim()

    def claim(self) -> float:
        """Seconds that the next claim takes."""
        self._next += 1
        began = time.perf_counter()
        found = claim(
            self.store, SystemIds(), ClaimRequest("flow", f"i{self._next}", "a.1", f"p{self._next}")
        )
        took = time.perf_counter() - began
        assert len(found.assignments) == 1, found.reason
        return took

    def touched(self) -> int:
        """Buffers of our tables and their indexes that were touched so far."""
        with self.store.session() as session:
            session.run("SELECT pg_stat_force_next_flush()")
        return self._number(
            "SELECT sum(heap_blks_hit + heap_blks_read + coalesce(idx_blks_hit + idx_blks_read, 0))::bigint "
            "FROM pg_statio_user_tables"
        )

    def picked(self) -> int:
        """Buffers that finding the next experiment touches."""
        plan = self._one(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT e.* FROM experiments e WHERE e.queue = 'flow' AND "
            "e.state = 'staged' AND e.ready ORDER BY e.priority DESC, e.tag, e.id LIMIT 1"
        )[0]["Plan"]
        return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])

    def _number(self, sql: str) -> int:
        return int(self._one(sql))

    def _one(self, sql: str) -> Any:
        row = self._reader.execute(sql.encode()).fetchone()
        assert row is not None
        return row[0]

    def close(self) -> None:
        self._reader.close()
        self.store.close()


def run() -> list[Figure]:
    with postgres() as server:
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET autovacuum = off")  # it would come in between, in one of the two
            admin.execute("SELECT pg_reload_conf()")
            admin.execute("CREATE DATABASE much")
        url = postgres_url(server.sockets, "much")
        upgrade(url)
        none, much = Side(server.url), Side(url)
        much.fill(FINISHED)
        for side in (none, much):
            side.settle()
        picked = much.picked() / none.picked()
        before = none.touched(), much.touched()
        seconds = [(none.claim(), much.claim()) for _ in range(CLAIMS)]
        few, many = none.touched() - before[0], much.touched() - before[1]
        without, behind = (median(each) * 1000 for each in zip(*seconds, strict=True))
        none.close()
        much.close()
    pages = f"{few / CLAIMS:.0f} pages a claim with none, {many / CLAIMS:.0f} with {FINISHED:,}"
    return [
        Figure("buffers of a whole claim, ratio", many / few, "x", most=1.1, baseline=pages),
        Figure("buffers to find the next experiment, ratio", picked, "x", most=1.1, baseline=pages),
        Figure(
            "claim p50, ratio", behind / without, "x", most=1.2,
            baseline=f"{without:.2f} ms with none, {behind:.2f} ms with {FINISHED:,}",
        ),
    ]  # fmt: skip
