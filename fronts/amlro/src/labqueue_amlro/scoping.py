"""get_reaction_scope: the grid, and the training set drawn from it; in a folder, one training set for all copies."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import grid
from .desk import STATE
from .files import write_scope
from .locks import take, write_whole
from .sampling import sample
from .scope import Scope, read_scope


def get_reaction_scope(
    config: Mapping[str, Any], sampling: str = "random", training_size: int = 20, write_files: bool = False,
    exp_dir: Any = None,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """The whole grid, the same encoded, and the training set: three tables of pandas.

    With write_files they are written into exp_dir; called again there with the same arguments, by this program after
    a restart or by another copy of it, it answers the training set that was drawn first. Raises ValueError.
    """
    scope = read_scope(config)
    if write_files and exp_dir is None:
        raise ValueError("exp_dir: is needed where files are to be written.")
    full, encoded = grid.decoded(scope), grid.encoded(scope)
    if not write_files:
        return full, encoded, full.iloc[sample(scope, sampling, training_size)].reset_index(drop=True)
    folder = Path(os.path.realpath(exp_dir))
    (folder / STATE).mkdir(parents=True, exist_ok=True)
    lock = take(folder / STATE / "scope.lock", wait=True)
    assert lock is not None, "waited for"
    with lock:
        places = _drawn_once(folder / STATE / "scope.json", scope, sampling, training_size)
        training = full.iloc[places].reset_index(drop=True)
        write_scope(folder, full, encoded, training)
    return full, encoded, training


def _drawn_once(path: Path, scope: Scope, sampling: str, count: int) -> list[int]:
    """The sample that these arguments got the first time."""
    words = json.dumps([scope.problem()["parameters"], sampling, count], default=int)
    digest = hashlib.sha256(words.encode()).hexdigest()
    if path.exists():
        known = json.loads(path.read_text())
        if known["arguments"] == digest:
            places: list[int] = known["places"]
            return places
    places = sample(scope, sampling, count)
    write_whole(path, json.dumps({"arguments": digest, "places": places}).encode())
    return places
