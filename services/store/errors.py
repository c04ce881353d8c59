"""What Postgres and its driver complain of, in Labqueue's words. Nowhere else are driver errors caught."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg
from sqlalchemy.exc import DBAPIError, TimeoutError

from labqueue.errors import ConflictError, InvalidError, UnavailableError

#: Everything that Postgres, its driver or the pool may raise.
FAULTS = (psycopg.Error, DBAPIError, TimeoutError)

#: InternalErrors by class, but the fault of the moment: trying again later may work.
_PASSING = (pg.ReadOnlySqlTransaction, pg.IdleInTransactionSessionTimeout, pg.TransactionTimeout)


def translate(error: BaseException) -> BaseException:
    """The error to raise instead, `from` the given one; the given one itself where it is a fault of ours."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(cause, pg.UniqueViolation):
        return ConflictError(f"{_named(cause)} is taken already.")
    if isinstance(cause, pg.UndefinedTable):
        return UnavailableError("The database lacks a table. Run `labqueue-server migrate`.")
    if isinstance(cause, TimeoutError):
        return UnavailableError("Every database connection of this process is busy. Try again soon.")
    if isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError, *_PASSING)):
        return UnavailableError("The database does not answer at present. Try again soon.")
    if isinstance(cause, psycopg.DataError):
        return InvalidError(f"The database cannot hold this value: {_first_line(cause)}")
    return error


@contextmanager
def connecting() -> Iterator[None]:
    """What is done on a new connection; an option of the URL that the driver does not know is the URL's fault."""
    try:
        yield
    except FAULTS as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, psycopg.ProgrammingError) and cause.sqlstate is None:
            raise InvalidError(f"The database URL cannot be used: {_first_line(cause)}.") from None
        better = translate(error)
        if better is error:
            raise
        raise better from error


def _named(error: pg.UniqueViolation) -> str:
    return error.diag.constraint_name or "This name"


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
