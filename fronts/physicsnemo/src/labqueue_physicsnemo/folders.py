"""A directory of its own for each attempt, also for strategies that were told only one.

A strategy that keeps its files in `working_dir/sample_0` would, called once per item by several processes, find the
files of another item there and take them for its own. So each attempt sees a `working_dir` that nobody else has.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: Names under which label strategies keep the directory that they work in.
NAMES = (
    "working_dir",
    "working_directory",
    "work_dir",
    "workdir",
    "run_dir",
    "case_dir",
    "output_dir",
    "scratch_dir",
    "root_dir",
)


@contextmanager
def own_folder(strategy: Any, folder: Path) -> Iterator[Any]:
    """The strategy, working in `folder` until the end of the block.

    Attributes of these names, and paths that lie below one of them, point there and are as before afterwards. Where
    only the constructor was told the directory (`_args`, as PhysicsNeMo's base class keeps them), another strategy is
    made with the same arguments. `folder` exists; it is removed where nothing was left in it.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    before = {name: value for name, value in _paths(strategy).items() if name in NAMES}
    try:
        if before:
            with _moved(strategy, before, folder):
                yield strategy
        else:
            yield _rebuilt(strategy, folder)
    finally:
        try:
            folder.rmdir()
        except OSError:
            pass  # it holds what the attempt left behind


@contextmanager
def _moved(strategy: Any, roots: dict[str, Any], folder: Path) -> Iterator[None]:
    everything = _paths(strategy)
    try:
        for name, value in everything.items():
            new = _below(Path(value), [Path(root) for root in roots.values()], folder)
            if new is not None and (name in roots or isinstance(value, Path)):
                # What is no directory yet may be the name of a file.
                (new if Path(value).is_dir() or name in roots else new.parent).mkdir(
                    parents=True, exist_ok=True
                )
                setattr(strategy, name, new if isinstance(value, Path) else str(new))
        yield
    finally:
        for name, value in everything.items():
            setattr(strategy, name, value)


def _below(path: Path, roots: list[Path], folder: Path) -> Path | None:
    """Where `path` lies when a root is `folder`; None where it lies under no root, or is a file there."""
    for root in roots:
        if path == root or (root in path.parents and not path.is_file()):
            return folder / path.relative_to(root)
    return None


def _paths(strategy: Any) -> dict[str, Any]:
    held = getattr(strategy, "__dict__", {})
    return {
        name: value
        for name, value in held.items()
        if isinstance(value, Path) or (name in NAMES and isinstance(value, str))
    }


def _rebuilt(strategy: Any, folder: Path) -> Any:
    known = getattr(strategy, "_args", None)
    arguments = known.get("__args__") if isinstance(known, dict) else None
    names = [
        name for name in NAMES if isinstance(arguments, dict) and isinstance(arguments.get(name), (str, Path))
    ]
    if not names or not isinstance(arguments, dict):
        return strategy
    changed = {name: folder if isinstance(arguments[name], Path) else str(folder) for name in names}
    made = type(strategy)(**{**arguments, **changed})
    made.attach(getattr(strategy, "driver", None))
    return made
