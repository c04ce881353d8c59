"""Checkpoints: a folder for each point of a run, written whole or not at all; the newest is named by `latest.json`.

A point is "about to begin this phase of this step". It holds a JSON file (queues, labelled items by number, records,
configuration) and three files of tensors (model, optimizer and scheduler, random numbers). Labelled items lie beside
the points, each written once.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable

from . import states
from .disk import digest_of, sync, write

PROGRESS, LATEST, LOCK = "checkpoint.json", "latest.json", "lock"
FORMAT = 1


@dataclass
class Progress:
    """Where a run is.

    step, phase   what begins next
    pending       items on their way: experiment -> SHA-256 of the item
    appended      experiments whose labels are in the training pool, in the order in which they were appended -> SHA-256
                  of the label
    given_up      experiments that ended without a label -> why
    outbox        payloads that were chosen and not staged yet; None where there are none
    digests       SHA-256 of the items of the outbox
    chosen        how many items were chosen so far
    exhausted     the last query chose nothing
    records       of each metrology strategy, in the codec's JSON
    log_bytes     how long the log was
    point         of this point alone
    base          the server's `latest.json` before it: its revision, 0 where there was none
    """

    run_id: str
    step: int = 0
    phase: str = "training"
    pending: dict[int, str] = field(default_factory=dict)
    appended: dict[int, str] = field(default_factory=dict)
    given_up: dict[int, str] = field(default_factory=dict)
    outbox: list[dict[str, Any]] | None = None
    digests: list[str] = field(default_factory=list)
    chosen: int = 0
    exhausted: bool = False
    records: list[Any] = field(default_factory=list)
    log_bytes: int = 0
    point: str = ""
    base: int = 0

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Progress:
        given = {name: body[name] for name in cls.__dataclass_fields__}
        for name in ("pending", "appended", "given_up"):
            given[name] = {int(number): text for number, text in body[name].items()}
        return cls(**given)


class Checkpoints:
    """The points of one run below `folder`. Raises RuntimeError where another process has this run open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.labels = folder / "labels"
        self.labels.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder / LOCK)

    def close(self) -> None:
        self._lock.close()

    def path(self, step: int, phase: str) -> Path:
        return self.folder / f"step_{step}" / phase

    def latest(self) -> Path | None:
        try:
            found = json.loads((self.folder / LATEST).read_text())
            return self.folder / str(found["path"])
        except FileNotFoundError:
            return None

    def save(
        self, progress: Progress, about: Mapping[str, Any], model: Any, optimizer: Any, scheduler: Any,
        unchanged: Path | None,
    ) -> Path:  # fmt: skip
        """Writes the point and makes it the newest. unchanged: a point whose model and optimizer are still the same."""

        def fill(part: Path) -> None:
            if unchanged is None:
                states.save(part / states.MODEL, states.model_state(model))
                states.save(part / states.TRAINING, states.training_state(optimizer, scheduler))
            else:
                for name in (states.MODEL, states.TRAINING):
                    _link(unchanged / name, part / name)
            states.save(part / states.RNG, states.rng_state())
            write(part / PROGRESS, {"format": FORMAT, **asdict(progress), **about})

        final = self.take(progress.step, progress.phase, fill)
        self.name(final)
        return final

    def take(self, step: int, phase: str, fill: Callable[[Path], None]) -> Path:
        """A point whose files `fill` writes into a folder."""
        final = self.path(step, phase)
        part = final.with_name(f".{final.name}")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        fill(part)
        shutil.rmtree(final, ignore_errors=True)
        part.rename(final)
        sync(final.parent)
        return final

    def name(self, point: Path) -> None:
        """This one is the newest."""
        write(self.folder / LATEST, {"path": str(point.relative_to(self.folder))})

    def drop(self, point: Path) -> None:
        shutil.rmtree(point, ignore_errors=True)
        try:
            point.parent.rmdir()
        except OSError:
            pass  # other points of this step are kept

    def keep_label(self, experiment: int, text: str) -> None:
        write(self.labels / f"{experiment}.json", text)

    def label(self, experiment: int, sha256: str, fetch: Callable[[str], bytes]) -> str:
        """The label with this SHA-256; `fetch` brings one that is not here (any more). Raises RuntimeError."""
        place = self.labels / f"{experiment}.json"
        if not place.exists() or digest_of(place) != sha256:
            self.keep_label(experiment, fetch(sha256).decode())
            if digest_of(place) != sha256:
                raise RuntimeError(f"The label of experiment {experiment} came damaged.")
        return place.read_text(encoding="utf-8")


def read(point: Path) -> dict[str, Any]:
    """The point's JSON. Raises FileNotFoundError where there is none, ValueError where it is not one of ours."""
    found = json.loads((point / PROGRESS).read_text())
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"{point} is no checkpoint of this program; its JSON has no format {FORMAT}.")
    return found


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _locked(path: Path) -> Any:
    file = path.open("a")
    try:
        import fcntl
    except ImportError:  # Windows
        return file
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise RuntimeError(
            f"Another process runs this run_id in {path.parent.parent}. Stop it first."
        ) from None
    return file
