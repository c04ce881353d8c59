"""The whole grid as a table, decoded and encoded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .scope import Scope, Value


def decoded(scope: Scope) -> Any:
    """Every condition, the last feature varying fastest: exact numbers and category names. A pandas.DataFrame."""
    columns: list[Any] = [np.array(each.exact) for each in scope.continuous]
    columns += [np.array(each.values, dtype=object) for each in scope.categorical]
    return _product(scope, columns)


def encoded(scope: Scope) -> Any:
    """The same in floats: exact numbers, and the index of each category. A pandas.DataFrame."""
    columns = [np.array(each.exact, dtype=float) for each in scope.continuous]
    columns += [np.arange(len(each.values), dtype=float) for each in scope.categorical]
    return _product(scope, columns)


def places(scope: Scope, table: Any) -> Any:
    """The places in the grid nearest to encoded conditions, of shape (rows, features)."""
    found = np.zeros(len(table), dtype=np.int64)
    for column, axis in enumerate(scope.continuous):
        values = np.array(axis.values, dtype=float)
        between = (values[1:] + values[:-1]) / 2
        found = found * len(values) + np.searchsorted(between, table[:, column])
    for column, choice in enumerate(scope.categorical, len(scope.continuous)):
        found = found * len(choice.values) + table[:, column].astype(np.int64)
    return found


def encoded_at(scope: Scope, at: Any) -> Any:
    """The conditions at these places as programs are handed them, encoded. Shape (places, features)."""
    columns = []
    values = [np.array(axis.values, dtype=float) for axis in scope.continuous]
    values += [np.arange(len(choice.values), dtype=float) for choice in scope.categorical]
    for each in values[::-1]:
        at, index = np.divmod(at, len(each))
        columns.append(each[index])
    return np.stack(columns[::-1], axis=1)


def condition(scope: Scope, place: int) -> tuple[Value, ...]:
    """The condition at a place: numbers and labels."""
    row = encoded_at(scope, np.array([place]))[0].tolist()
    rest = row[len(scope.continuous) :]
    return (
        *row[: len(scope.continuous)],
        *(choice.labels[int(index)] for choice, index in zip(scope.categorical, rest)),
    )


def _product(scope: Scope, columns: list[Any]) -> Any:
    size, repeat, table = scope.size, scope.size, {}
    for name, values in zip(scope.features, columns):
        repeat //= len(values)
        table[name] = np.tile(np.repeat(values, repeat), size // (repeat * len(values)))
    return pd.DataFrame(table)
