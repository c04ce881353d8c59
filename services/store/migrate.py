"""Brings a database to the schema that this code needs, and back. Safe to start in several processes at once."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from .engine import plain_engine
from .errors import connecting

#: Any number that nobody else uses: whoever migrates holds it until the migration is committed.
MIGRATING = 0x1AB_0001
LOCK_TIMEOUT = "10s"
STATEMENT_TIMEOUT = "10min"


def upgrade(url: str, revision: str = "head") -> None:
    """All or nothing, in one transaction; others wait and then find nothing left to do.

    A migration that cannot get its locks within 10 s gives up with UnavailableError instead of blocking the lab.
    """
    _run(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str) -> None:
    """Back to `revision` ("base": nothing is left)."""
    _run(url, lambda config: command.downgrade(config, revision))


def current(url: str) -> str | None:
    """The revision that the database is at; None where it was never migrated."""
    with connecting(), plain_engine(url).connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The revision that this code needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None  # the folder ships with at least one
    return revision


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    return config


def _run(url: str, change: Callable[[Config], Any]) -> None:
    with connecting(), plain_engine(url).begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATING})
        # Only now: waiting for another migration is no fault.
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
        change(_config(connection))
