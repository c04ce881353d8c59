"""One transaction on one connection: the only place that sends statements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from .driver import Driver, Parameters, Row
from .errors import FAULTS, translate
from .rows import Shape, T

#: Read together with BEGIN: one round trip. In microseconds, so that no setting changes its text.
_CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: What a prepared statement meets after a migration or a reset: its connection is of no more use.
_STALE = ("0A000", "26000")


class Session:
    """Statements between BEGIN and COMMIT. `settings`: SQL for this transaction only."""

    def __init__(self, driver: Driver, settings: str = "") -> None:
        self._driver = driver
        self._opening = f"BEGIN;{settings};{_CLOCK}".encode()
        self._began = _EPOCH
        self._fault: BaseException | None = None
        self._stale = False

    def open(self) -> None:
        try:
            clock = self._driver.simple(self._opening).get_value(0, 0)
        except FAULTS as error:
            raise self._translated(error) from error
        self._began = _EPOCH + timedelta(microseconds=int(clock or 0))

    def began(self) -> datetime:
        """The database's clock when the transaction began, UTC."""
        return self._began

    def commit(self) -> None:
        """Raises the first fault again where the block went on after one: Postgres would roll back silently."""
        if self._fault is not None:
            raise self._fault
        try:
            self._driver.simple(b"COMMIT")
        except FAULTS as error:
            raise self._translated(error) from error

    def undo(self) -> bool:
        """Rolls back what is open. False where the connection is of no more use."""
        try:
            if self._driver.status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
                self._driver.simple(b"ROLLBACK")
        except FAULTS:
            return False
        return self._driver.status is TransactionStatus.IDLE and not self._stale

    def run(self, sql: str, parameters: Parameters = ()) -> int:
        """How many rows were touched."""
        try:
            return self._driver.execute(sql, parameters).command_tuples or 0
        except FAULTS as error:
            raise self._translated(error) from error

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        try:
            return self._driver.rows(self._driver.execute(sql, parameters))
        except FAULTS as error:
            raise self._translated(error) from error

    def row(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row; None where there is none."""
        rows = self.rows(sql, parameters)
        return rows[0] if rows else None

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """The first column of the first row; None where there is no row."""
        row = self.row(sql, parameters)
        return None if row is None else row[0]

    def all_of(self, shape: Shape[T], sql: str, parameters: Parameters = ()) -> list[T]:
        return shape.load_all(self.rows(sql, parameters))

    def one_of(self, shape: Shape[T], sql: str, parameters: Parameters = ()) -> T | None:
        row = self.row(sql, parameters)
        return None if row is None else shape.load(row)

    def insert(self, shape: Shape[T], records: Sequence[T]) -> None:
        if len(records) == 1:
            self.run(shape.insert_one, shape.values(records[0], shape.inserted))
        elif records:
            self.run(shape.insert_many, [shape.document(records, shape.inserted)])

    def _translated(self, error: BaseException) -> BaseException:
        better = translate(error)
        self._fault = self._fault or better
        self._stale = self._stale or (isinstance(error, psycopg.Error) and error.sqlstate in _STALE)
        return better
