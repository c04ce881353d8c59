"""The pool of database connections: SQLAlchemy's, with psycopg 3 under it."""

from __future__ import annotations

import select
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.pool import NullPool

from labqueue.errors import FieldError, InvalidError

#: What every session of ours runs under. Nothing waits for ever and names mean the same everywhere.
SESSION = {
    "search_path": "public",
    "timezone": "UTC",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
}

#: Seconds that a transaction waits for a connection of the pool.
POOL_TIMEOUT = 10.0


def database_url(url: str) -> URL:
    """`url` as psycopg 3 is told it. Raises InvalidError where it is no Postgres URL."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        # Not chained: the cause's text repeats the URL, password and all.
        raise _wrong_url() from None
    if parsed.drivername.split("+")[0] not in ("postgres", "postgresql"):
        raise _wrong_url()
    return parsed.set(drivername="postgresql+psycopg")


def make_engine(url: str, *, pool_size: int, prepared: bool, name: str = "labqueue") -> Engine:
    """A pool of at most `pool_size` connections. Connects to nothing yet.

    `prepared` false: behind a pooler that hands connections out by transaction. No statement is prepared and
    no start-up option is sent; `session_sql` then belongs at the head of each transaction.
    """
    arguments: dict[str, Any] = {
        "autocommit": True,  # transactions are opened by hand: one round trip less than the driver's own
        "application_name": name,
        "connect_timeout": 5,
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
    if prepared:
        arguments["options"] = " ".join(f"-c {key}={value}" for key, value in SESSION.items())
    engine = create_engine(
        database_url(url),
        connect_args=arguments,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT,
        pool_use_lifo=True,
        pool_reset_on_return=None,  # every transaction ends itself, or its connection is thrown away
        skip_autocommit_rollback=True,
    )
    event.listen(engine, "checkout", _drop_closed)
    return engine


def plain_engine(url: str) -> Engine:
    """One connection at a time, none kept: for what is done once."""
    return create_engine(database_url(url), poolclass=NullPool, connect_args={"connect_timeout": 5})


def session_sql() -> str:
    """The session's settings for one transaction only."""
    return ";".join(f"SET LOCAL {key} = '{value}'" for key, value in SESSION.items())


def _drop_closed(connection: Any, record: Any, proxy: Any) -> None:
    """An idle connection has nothing to say: if it does, the server has closed it. Costs no round trip."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    if connection.closed or poll.poll(0):
        raise DisconnectionError("The server has closed this connection.")


def _wrong_url() -> InvalidError:
    text = "The database URL cannot be used."
    return InvalidError(
        text,
        errors=[
            FieldError(
                "LABQUEUE_DATABASE_URL",
                "is no Postgres URL.",
                allowed="postgresql://user:password@host:port/database",
            )
        ],
    )
