"""pools: rows that may be run. A campaign keeps to the file that its pool was in when it was created."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from labqueue.errors import ConflictError, FieldError, InvalidError, NotFoundError
from labqueue.problem import ROW, Pool, Problem
from labqueue.problem.pool import SHOWN_COLUMNS
from models.domain import records as r
from models.domain.pool_file import PoolFile
from models.domain.pool_table import CATEGORY, Table
from services.ports import Blobs, Chosen, PoolRow, Store, Transaction

from .shared import check_name, strategy_of, unknown

MEDIA_TYPE = "application/vnd.labqueue.pool"


def upload(store: Store, blobs: Blobs, name: str, table: Table, actor: str) -> tuple[r.Pool, bool]:
    """The pool, and whether it is new: the same rows again under the same name are one effect, others are its next
    version. Raises InvalidError that names the faulty lines; nothing of such a table is kept."""
    check_name("pool", name)
    sha256, size, rows = _keep(blobs, table)
    columns = [each.to_json() for each in table.columns]
    pool = r.Pool(0, name, 0, sha256, size, rows, columns, actor)
    for last in (False, True):
        try:
            with store.begin() as tx:
                return _add(tx, pool, table)
        except ConflictError:
            # Somebody else uploads under this name at the same moment: theirs is the version before.
            if last:
                raise
    raise AssertionError("one of the two tries has answered")


def _keep(blobs: Blobs, table: Table) -> tuple[str, int, int]:
    file = PoolFile()
    with blobs.begin() as blob:
        blob.write(file.begin())
        for block in table.blocks():
            blob.write(file.rows(block))
        for part in file.end(table.columns):
            blob.write(part)
        return *blob.keep(), file.count


def _add(tx: Transaction, pool: r.Pool, table: Table) -> tuple[r.Pool, bool]:
    newest = tx.pools.newest(pool.name)
    if newest is not None and newest.sha256 == pool.sha256:
        return newest, False
    tx.artifacts.add(r.Artifact(pool.sha256, pool.size, MEDIA_TYPE, pool.actor))
    added = tx.pools.add(pool, _rows(table))
    data = {"name": added.name, "version": added.version, "rows": added.rows, "sha256": added.sha256}
    tx.events.add([r.Event("pool.uploaded", added.actor, data=data)])
    return added, True


def _rows(table: Table) -> Iterator[Sequence[PoolRow]]:
    """The table is read a second time: what people see of a row is more exact than what learners do."""
    place = 0
    for block in table.blocks():
        yield [
            PoolRow(place + number, key, shown[:SHOWN_COLUMNS])
            for number, (key, shown) in enumerate(zip(block.keys, block.shown, strict=True))
        ]
        place += len(block.keys)


def find(store: Store, name: str) -> list[r.Pool]:
    """Every version of a pool, the newest last. Raises NotFoundError."""
    with store.begin() as tx:
        found = tx.pools.versions(name)
        if not found:
            raise _unknown(tx, name)
    return found


def row(store: Store, name: str, key: str) -> dict[str, Any]:
    """A row of the newest version: its id and, where they are few, its features. Raises NotFoundError."""
    with store.begin() as tx:
        pool = tx.pools.newest(name)
        if pool is None:
            raise _unknown(tx, name)
        found = tx.pools.find(pool.sha256, [key]).get(key)
    if found is None:
        raise NotFoundError(f"The pool {name!r} has no row {key[:100]!r}.")
    return _point(_names(pool), found)


def features(tx: Transaction, problem: Problem, points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The features of the rows of these points that are kept beside the file: the first `SHOWN_COLUMNS`."""
    pool = problem.pool
    assert pool is not None, "a problem on a pool"
    found = tx.pools.find(pool.sha256, [each[ROW] for each in points])
    return [
        dict(zip(pool.columns, found[each[ROW]].shown or (), strict=False)) if each[ROW] in found else {}
        for each in points
    ]


def resolve(tx: Transaction, problem: Problem) -> Problem:
    """The problem with its pool's newest file, rows and columns; one that names its file keeps to it. Raises
    InvalidError where there is no such pool, or an output has the name of one of its columns."""
    if problem.pool is None:
        return problem
    wanted = problem.pool
    if wanted.sha256:
        found = tx.pools.of_file(wanted.sha256)
        if found is None:
            message = "is the file of no pool here; leave it out to use the newest."
            raise InvalidError(errors=[FieldError("problem.pool.sha256", message, wanted.sha256[:64])])
        name = wanted.name
    else:
        found = tx.pools.newest(wanted.name)
        if found is None:
            raise InvalidError(
                errors=[replace(each, field="problem.pool") for each in _unknown(tx, wanted.name).errors]
            )
        name = found.name
    return with_pool(problem, Pool(name, found.sha256, found.rows, tuple(_names(found))))


def texts(tx: Transaction, problem: Problem) -> list[str]:
    """The columns of the problem's pool that hold texts, not numbers."""
    found = tx.pools.of_file(problem.pool.sha256) if problem.pool is not None else None
    return [] if found is None else [each["name"] for each in found.columns if each["kind"] == CATEGORY]


def with_pool(problem: Problem, pool: Pool) -> Problem:
    """The problem on this pool, read anew: now its columns are known. Raises InvalidError."""
    return Problem.from_json({**problem.to_json(), "pool": pool.to_json()})


class Points:
    """Points that somebody named, checked in their form and, of a pool, against its rows; all looked up at once."""

    def __init__(self, tx: Transaction, problem: Problem, given: Sequence[Any]) -> None:
        self._problem = problem
        self._rows: dict[str, dict[str, Any]] = {}
        pool = problem.pool
        if pool is not None:
            named = [each.get(ROW) for each in given if isinstance(each, Mapping)]
            found = tx.pools.find(pool.sha256, [each for each in named if isinstance(each, str)])
            self._rows = {key: _point(pool.columns, each) for key, each in found.items()}

    def check(self, point: Any) -> list[FieldError]:
        """Everything wrong with it; empty where it can be staged."""
        return self._check(point, self._problem.check_point(point))

    def check_run(self, point: Any) -> list[FieldError]:
        """The same of a point that was run: see `Problem.check_run`."""
        return self._check(point, self._problem.check_run(point))

    def _check(self, point: Any, errors: list[FieldError]) -> list[FieldError]:
        pool = self._problem.pool
        if errors or pool is None:
            return errors
        key = point[ROW]
        if key not in self._rows:
            rule = f"an id of the pool {pool.name}, which has {pool.rows:,} rows"
            return [FieldError(ROW, "is no row of the pool.", key[:100], rule)]
        row = self._rows[key]
        return [
            FieldError(name, f"is {row[name]} in the row {key}; leave it out.", value)
            for name, value in point.items()
            if name in row and row[name] != value
        ]

    def normal(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """As `Problem.normal` of a checked point; a row's features are filled in where they are few."""
        return self._problem.normal(self._rows.get(point[ROW], point) if self._problem.pool else point)


def check_rows(tx: Transaction, problem: Problem, candidates: Sequence[Chosen]) -> list[FieldError]:
    """What is wrong with the rows that a learner chose: not every learner has the pool at hand."""
    if problem.pool is None:
        return []
    known = Points(tx, problem, [each.parameters for each in candidates])
    return [
        replace(wrong, field=f"candidates[{number}].{wrong.field}")
        for number, each in enumerate(candidates)
        if each.staged is None
        for wrong in known.check(each.parameters)
    ]


def still_free(
    tx: Transaction, campaign: r.Campaign, problem: Problem, candidates: Sequence[Chosen]
) -> tuple[Chosen, ...]:
    """The candidates with their rows' features filled in, less those whose row somebody took while a learner was at
    work (unless replicates are wanted). The campaign must be locked."""
    if problem.pool is None:
        return tuple(candidates)
    new = [each.parameters for each in candidates if each.staged is None]
    known = Points(tx, problem, new)
    again = strategy_of(campaign).replicates
    taken = set() if again else tx.pools.taken(campaign.id, [each[ROW] for each in new])
    return tuple(
        each if each.staged is not None else replace(each, parameters=known.normal(each.parameters))
        for each in candidates
        if each.staged is not None or each.parameters[ROW] not in taken
    )


def in_vain(tx: Transaction, campaign: r.Campaign, problem: Problem) -> list[dict[str, Any]]:
    """Points that no learner should choose again, though neither the data nor what is in flight has them."""
    return [] if problem.pool is None else [{ROW: key} for key in tx.pools.spent(campaign.id)]


def _point(columns: Sequence[str], row: PoolRow) -> dict[str, Any]:
    """The row as an experiment has it; those of a wide pool stand for themselves."""
    if len(columns) > SHOWN_COLUMNS:
        return {ROW: row.key}
    return {ROW: row.key, **dict(zip(columns, row.shown or (), strict=False))}


def _names(pool: r.Pool) -> list[str]:
    return [each["name"] for each in pool.columns]


def _unknown(tx: Transaction, name: str) -> NotFoundError:
    return unknown("pool", name, (each.name for each in tx.pools.all()))
