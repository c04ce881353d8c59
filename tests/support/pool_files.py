"""Pools in a file of their own, as learners find them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from labqueue.problem import Pool
from models.domain.csv_rows import csv_rows
from models.domain.pool_file import PoolFile
from models.domain.pool_table import Table

Files = Callable[[str], Path]


def pool_of(folder: Path, columns: Mapping[str, Sequence[Any]], ids: Sequence[str] | None = None) -> Pool:
    """A pool with these columns whose file lies in `folder`; its ids are r0, r1, ... unless given."""
    count = len(next(iter(columns.values())))
    keys = [f"r{place}" for place in range(count)] if ids is None else ids
    lines = [",".join(["id", *columns])]
    lines += [",".join(map(str, row)) for row in zip(keys, *columns.values(), strict=True)]
    body = "\n".join(lines).encode()
    table, file = Table(lambda: csv_rows(io.BytesIO(body))), PoolFile()
    parts = [file.begin(), *(file.rows(block) for block in table.blocks()), *file.end(table.columns)]
    name = f"pool{len(list(folder.iterdir()))}"
    (folder / name).write_bytes(b"".join(parts))
    return Pool("library", name, count, tuple(columns))


def files_in(folder: Path) -> Files:
    return lambda sha256: folder / sha256
