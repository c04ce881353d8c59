"""What every table shares: the metadata, names of constraints, column shorthands, settings of hot tables.

Every column is NOT NULL unless it says otherwise; every time is the database's, in UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ARRAY,
    TIMESTAMP,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Identity,
    Integer,
    MetaData,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

METADATA = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_index",
    }
)

#: Rows that change several times: room on the page for the next version, and vacuum before the claim's index
#: fills with dead entries, however many finished rows there are.
HOT = {
    "fillfactor": 85,
    "autovacuum_vacuum_scale_factor": 0.01,
    "autovacuum_vacuum_threshold": 1000,
    "autovacuum_analyze_scale_factor": 0.02,
}

CLOCK = text("clock_timestamp()")


def words(name: str, comment: str, **options: Any) -> Column[str]:
    return Column(name, Text, nullable=options.pop("nullable", False), comment=comment, **options)


def whole(name: str, comment: str, **options: Any) -> Column[int]:
    return Column(name, Integer, nullable=options.pop("nullable", False), comment=comment, **options)


def big(name: str, comment: str, *more: Any, **options: Any) -> Column[int]:
    return Column(
        name, BigInteger, *more, nullable=options.pop("nullable", False), comment=comment, **options
    )


def real(name: str, comment: str, **options: Any) -> Column[float]:
    return Column(name, Double, nullable=options.pop("nullable", False), comment=comment, **options)


def flag(name: str, comment: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, comment=comment)


def json(name: str, comment: str, **options: Any) -> Column[Any]:
    return Column(name, JSONB, nullable=options.pop("nullable", False), comment=comment, **options)


def uuid(name: str, comment: str, **options: Any) -> Column[Any]:
    return Column(name, Uuid, nullable=options.pop("nullable", False), comment=comment, **options)


def time(name: str, comment: str, **options: Any) -> Column[Any]:
    """Null until it happened, unless a default says otherwise."""
    return Column(
        name, TIMESTAMP(timezone=True), nullable=options.pop("nullable", True), comment=comment, **options
    )


def created(comment: str = "When the row was written, by the database's clock.") -> Column[Any]:
    return time("created_at", comment, nullable=False, server_default=CLOCK)


def many(name: str, kind: Any, comment: str) -> Column[Any]:
    return Column(name, ARRAY(kind), nullable=False, comment=comment)


def serial(name: str, comment: str) -> Column[int]:
    """Given by the database in the order of insertion, not of commit: never page by it over live rows."""
    return big(name, comment, Identity(), primary_key=True)


def one_of(column: str, allowed: Iterable[str]) -> CheckConstraint:
    values = ", ".join(f"'{value}'" for value in allowed)
    return CheckConstraint(f"{column} IN ({values})", name=column)
