"""A claim finds its experiment in as many pages with a million finished ones behind it as with none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from services.bootstrap import SystemIds
from services.flow.claim import ClaimRequest, claim
from services.flow.define import NewCampaign, QueuePolicy, create_campaign, put_queue
from services.flow.stage import StageItem, StageRequest, stage
from services.store.postgres import PostgresStore

FINISHED = 1_000_000
PROBLEM = {
    "parameters": [{"name": "x", "kind": "continuous", "low": 0, "high": 1}],
    "outputs": [{"name": "y"}],
    "objectives": [{"output": "y", "goal": "maximize"}],
}


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    made = PostgresStore(postgres_url, 1)
    put_queue(made, "flow", QueuePolicy(), "anna")
    new = NewCampaign("pages", "flow", "anna", PROBLEM, {"method": "caller"})
    create_campaign(made, SystemIds(), new, "anna")
    items = tuple(StageItem({"x": 0.5}) for _ in range(50))
    stage(made, SystemIds(), StageRequest("pages", "batch", items), "anna")
    yield made
    made.close()


class Reader:
    """Looks at how the database does what the store asks of it."""

    def __init__(self, url: str, store: PostgresStore) -> None:
        self._database = psycopg.connect(url, autocommit=True)
        # Its pages would be counted among those of the claims, whenever it happens to come.
        self._database.execute("ALTER TABLE experiments SET (autovacuum_enabled = off)")
        self._store = store
        self._claims = 0

    def settle(self) -> None:
        self._database.execute("VACUUM ANALYZE experiments")
        # Or else what it touched itself would be counted up to a second later.
        self._database.execute("SELECT pg_stat_force_next_flush()")

    def touched(self, many: int = 10) -> dict[str, float]:
        """Pages of `experiments` and of all tables' indexes that one claim touches, over `many` of them."""
        before = self._pages()
        for _ in range(many):
            self._claims += 1
            name = str(self._claims)
            found = claim(self._store, SystemIds(), ClaimRequest("flow", f"i{name}", f"a.{name}", f"k{name}"))
            assert len(found.assignments) == 1, found.reason
        after = self._pages()
        return {name: (after[name] - before[name]) / many for name in before}

    def _pages(self) -> dict[str, int]:
        with self._store.session() as session:
            session.run("SELECT pg_stat_force_next_flush()")
        return {
            "claim index": self._one(
                "SELECT idx_blks_hit + idx_blks_read FROM pg_statio_user_indexes "
                "WHERE indexrelname = 'experiments_claim_index'"
            ),
            "experiments": self._one(
                "SELECT heap_blks_hit + heap_blks_read FROM pg_statio_user_tables WHERE relname = 'experiments'"
            ),
        }

    def fill(self, many: int) -> None:
        """So many finished experiments, like one that is staged but for its state."""
        columns = [
            row[0]
            for row in self._database.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = 'experiments' "
                "AND table_schema = 'public'"
            )
        ]
        other = {
            "id": "n + 1000", "number": "n + 1000", "code": "'old-' || n", "state": "'completed'",
            "outcome": "'measured'",
        }  # fmt: skip
        listed = ", ".join(f'"{name}"' for name in columns)
        chosen = ", ".join(other.get(name, f'"{name}"') for name in columns)
        self._database.execute(
            f"INSERT INTO experiments ({listed}) SELECT {chosen} "
            f"FROM (SELECT * FROM experiments ORDER BY id LIMIT 1) one, generate_series(1, {many}) n".encode()
        )

    def _one(self, sql: str) -> Any:
        row = self._database.execute(sql.encode()).fetchone()
        assert row is not None
        return row[0]

    def close(self) -> None:
        self._database.close()


@pytest.fixture
def reader(postgres_url: str, store: PostgresStore) -> Iterator[Reader]:
    made = Reader(postgres_url, store)
    yield made
    made.close()


@pytest.mark.timeout(300)
def test_a_million_finished_experiments_cost_a_claim_no_pages(reader: Reader) -> None:
    reader.touched(3)  # what a connection looks up only once
    reader.settle()
    without = reader.touched()
    reader.fill(FINISHED)
    reader.settle()
    behind = reader.touched()
    assert without["claim index"] > 0 and without["experiments"] > 0
    for where, pages in behind.items():
        assert pages <= max(without[where] * 1.1, without[where] + 1), (where, without, behind)
