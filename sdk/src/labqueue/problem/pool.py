"""A finite pool: rows that may be run, of which each is one candidate, in a file kept under its SHA-256."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labqueue.errors import FieldError

from .numbers import shown

#: The name under which a point of a pool carries its row's id.
ROW = "row"
#: Pools with more columns than this are wide: their experiments carry the row's id alone, and what they cost can be
#: reckoned from so many first columns.
SHOWN_COLUMNS = 32


@dataclass(frozen=True)
class Pool:
    """`name`: the uploaded pool; `sha256`: of its file, which never changes; `columns`: features, in order.

    A point of a pool is {"row": id}, with the columns of that row beside it where there are few.
    """

    name: str
    sha256: str = ""
    rows: int = 0
    columns: tuple[str, ...] = ()

    @property
    def wide(self) -> bool:
        return len(self.columns) > SHOWN_COLUMNS

    def check(self, point: Mapping[str, Any]) -> list[FieldError]:
        """Whether the row exists is for who has the pool to say."""
        errors = [
            FieldError(str(name), "is no column of this pool.", shown(point[name]), ROW)
            for name in point
            if name != ROW and name not in self.columns
        ]
        if not isinstance(point.get(ROW), str) or not point[ROW].strip():
            errors.append(FieldError(ROW, "must be the id of a row of the pool.", shown(point.get(ROW))))
        return errors

    def to_json(self) -> dict[str, Any]:
        if not self.sha256:
            return {"name": self.name}
        return {
            "name": self.name,
            "sha256": self.sha256,
            "rows": self.rows,
            "columns": list(self.columns),
        }
