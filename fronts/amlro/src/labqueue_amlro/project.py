"""The data files: a projection of what the server holds. What people wrote into them is taken in before."""

from __future__ import annotations

import hashlib
import uuid
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .campaign import Held
from .desk import Desk
from .files import data_files, decoded_path, read_data
from .locks import write_whole
from .scope import Scope
from .telling import elsewhere, result

Row = tuple[str, ...]


def write_data(desk: Desk, held: Held) -> None:
    """Both files, as the server has the rows, in the order in which they were accepted."""
    contents = data_files(desk.scope, [row.cells for row in held.rows])
    for path, content in zip(_paths(desk), contents):
        if not path.exists() or path.read_bytes() != content:
            write_whole(path, content)
    desk.note_written(
        {path.name: hashlib.sha256(content).hexdigest() for path, content in zip(_paths(desk), contents)}
    )


def take_in(desk: Desk) -> None:
    """Rows that somebody wrote into the files since they were written here go to the server, each once.

    Raises ValueError that names file and line; then nothing was changed.
    """
    written = desk.written()
    changed = [path for path in _paths(desk) if path.exists() and _digest(path) != written.get(path.name)]
    if not changed:
        return
    rows = _read(desk, changed)
    whole = [row for row in rows if None not in desk.scope.read_objectives(row[len(desk.scope.features) :])]
    if len(whole) < len(rows):
        warnings.warn(
            f"{desk.path} has {len(rows) - len(whole)} rows without a result: left out.", stacklevel=4
        )
    held = desk.campaign.look()
    known: Counter[object] = Counter((desk.scope.encode(row.actual), row.outputs) for row in held.rows)
    seen: Counter[object] = Counter()
    open_plans = {
        plan: one.id for plan, one in held.by_plan.items() if one.state in ("staged", "leased", "failed")
    }
    outbox = desk.slots[0].journal.outbox
    for row in whole:
        key = _key(desk.scope, row)
        seen[key] += 1
        if seen[key] <= known[key]:
            continue
        condition = desk.scope.read(row[: len(desk.scope.features)])
        id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{desk.campaign.name} {key} {seen[key]}"))
        experiment = (
            open_plans.pop(desk.scope.planned(condition), None) if desk.scope.on_grid(condition) else None
        )
        if experiment is None:
            outbox.append(elsewhere(desk.scope, condition, row, id))
        else:
            body = {**result(desk.scope, condition, row, id), "experiment": experiment}
            outbox.append({"kind": "result", "body": body})
    desk.slots[0].save()
    desk.catch_up()


def _read(desk: Desk, changed: Sequence[Path]) -> list[Row]:
    """The rows of the file that was changed; of both, those of the decoded one where it says the same."""
    encoded, decoded = _paths(desk)
    by_name = read_data(decoded, desk.scope, encoded=False) if decoded.exists() else []
    if encoded not in changed:
        return by_name
    rows = [_plain(desk.scope, row) for row in read_data(encoded, desk.scope, encoded=True)]
    if [_key(desk.scope, row) for row in rows] == [_key(desk.scope, row) for row in by_name]:
        return by_name
    return rows


def _key(scope: Scope, row: Row) -> tuple[object, ...]:
    """A row in numbers."""
    count = len(scope.features)
    return scope.encode(scope.read(row[:count])), tuple(
        None if each is None else float(each) for each in scope.read_objectives(row[count:])
    )


def _plain(scope: Scope, row: Row) -> Row:
    """As the decoded file shows it: features that are ints without their .0."""
    ints = [axis.whole and float(cell).is_integer() for axis, cell in zip(scope.continuous, row)]
    return tuple(
        str(int(float(cell))) if place < len(ints) and ints[place] else cell for place, cell in enumerate(row)
    )


def _paths(desk: Desk) -> tuple[Path, Path]:
    return desk.path, decoded_path(desk.path)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
