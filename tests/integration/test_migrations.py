"""The migrations make exactly the schema that the tables describe, all or nothing, from several processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from store_world import Filler

from labqueue.errors import InvalidError, UnavailableError
from models.domain import records
from models.tables import METADATA
from services.store import (
    campaigns,
    documents,
    events,
    experiments,
    files,
    learning,
    migrate,
    operations,
    pools,
    results,
    runs,
)
from services.store.engine import plain_engine
from services.store.postgres import PostgresStore
from services.store.rows import Shape

#: Everything that Postgres knows of the schema, apart from names of sequences.
CATALOG = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
            pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace""",
    "tables": """
        SELECT relname, reloptions, obj_description(oid) FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace""",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conrelid <> 0""",
}


def _catalog(url: str) -> dict[str, set[Any]]:
    with psycopg.connect(url) as connection:
        found = {
            name: {tuple(str(each) for each in row) for row in connection.execute(sql)}
            for name, sql in CATALOG.items()
        }
    return {name: {row for row in rows if row[0] != "alembic_version"} for name, rows in found.items()}


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Connection]:
    with plain_engine(postgres_url).connect() as opened:
        yield opened


def test_alembic_finds_no_difference(connection: Connection) -> None:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    assert compare_metadata(context, METADATA) == []


def test_the_catalog_is_that_of_the_tables(postgres_url: str, empty_postgres_url: str) -> None:
    """Checks, predicates and storage settings, too, which Alembic does not compare."""
    with plain_engine(empty_postgres_url).begin() as opened:
        METADATA.create_all(opened)
    assert _catalog(postgres_url) == _catalog(empty_postgres_url)


def test_every_table_and_column_says_what_it_guarantees() -> None:
    silent = [table.name for table in METADATA.sorted_tables if not table.comment]
    silent += [str(column) for table in METADATA.sorted_tables for column in table.c if not column.comment]
    assert silent == []


def test_every_record_has_a_column_for_each_field() -> None:
    modules = (campaigns, documents, events, experiments, files, learning, operations, pools, results, runs)
    shapes = [each for module in modules for each in vars(module).values() if isinstance(each, Shape)]
    kept = {shape.record for shape in shapes}
    values = {each for each in vars(records).values() if isinstance(each, type) and is_dataclass(each)}
    assert values - kept == {records.Finding, records.Renewal, records.Serving, records.TrainingRow}
    for shape in shapes:
        assert shape.fields == [field.name for field in fields(shape.record)]


def test_up_down_and_up_again_with_data(empty_postgres_url: str) -> None:
    url = empty_postgres_url
    assert migrate.current(url) is None
    migrate.upgrade(url)
    assert migrate.current(url) == migrate.head()
    before = _catalog(url)
    _fill(url)
    migrate.upgrade(url)
    with PostgresStore(url, 1).begin() as tx:
        assert [each.name for each in tx.campaigns.all()] == ["snar"]
    migrate.downgrade(url, "base")
    assert migrate.current(url) is None
    assert not any(_catalog(url).values())
    migrate.upgrade(url)
    assert _catalog(url) == before


def test_several_processes_may_migrate_at_once(empty_postgres_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(migrate.upgrade, empty_postgres_url) for _ in range(4)]:
            future.result(120)
    assert migrate.current(empty_postgres_url) == migrate.head()


def test_a_migration_that_cannot_get_its_locks_gives_up_and_changes_nothing(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "100ms")
    before = _catalog(postgres_url)
    with psycopg.connect(postgres_url) as busy:
        busy.execute("LOCK TABLE experiments IN ACCESS SHARE MODE")
        with pytest.raises(UnavailableError):
            migrate.downgrade(postgres_url, "base")
    assert _catalog(postgres_url) == before
    assert migrate.current(postgres_url) == migrate.head()


def test_a_wrong_url_and_an_absent_server_are_told_apart() -> None:
    with pytest.raises(UnavailableError):
        migrate.current("postgresql://labqueue@/labqueue?host=/no/such/folder")
    with pytest.raises(InvalidError, match="hots"):
        migrate.current("postgresql://labqueue@/labqueue?hots=/no/such/folder")


def _fill(url: str) -> None:
    """A row in every table that history depends on."""
    fill = Filler()
    store = PostgresStore(url, 1)
    with store.begin() as tx:
        campaign = fill.campaign(tx)
        tx.campaigns.add_version(campaign.id, "problem", 1, {}, "anna", "")
        staged = fill.staged(tx, campaign, 2)
        tx.attempts.add([fill.attempt(staged[0])])
        fill.accept(tx, staged[0], {"yield": 0.5})
        tx.events.number()
        tx.jobs.lock(campaign.id, "train")
        tx.instruments.lock("hplc-2")
        tx.liveness.stamp()
    store.close()
