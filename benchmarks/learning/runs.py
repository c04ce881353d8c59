"""Runs as JSON lines, a file for each method, so that no two processes append to one. Standard library alone.

A line says which definition of the problem and the clock it was made with and carries the method's stamp: its versions,
or for Labqueue a fingerprint of its learning code. A run is done again when one of them has changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import clock, quality
from .vocabulary import Problem

Costs = Mapping[str, "list[float]"]

RESULTS = Path(__file__).parents[1] / "results" / "learning"


@dataclass(frozen=True)
class Run:
    """One campaign of one method.

    stamp     what the method was: runs of another stamp do not stand beside it
    made      the versions of the problem's definition and of the clock
    improved  [number of the result, regret from it on], only where the regret fell
    asks, tells, trainings   seconds of the method's calls: {"n": results in, "cpu": [...], "wall": [...]}
    """

    method: str
    problem: str
    seed: int
    stamp: str
    made: str
    improved: list[list[float]]
    asks: Costs
    tells: Costs
    trainings: Costs

    @property
    def key(self) -> tuple[str, str, int, str, str]:
        return self.method, self.problem, self.seed, self.stamp, self.made


def made(problem: Problem) -> str:
    """The versions that a run of this problem depends on, the method aside."""
    return f"problem {problem.version}, clock {clock.VERSION}"


def summed_up(method: str, stamp: str, problem: Problem, seed: int, campaign: clock.Campaign) -> Run:
    """What is kept of a campaign."""
    improved = quality.improvements(quality.trace(problem, campaign.results))
    costs = [each.to_json() for each in (campaign.asks, campaign.tells, campaign.trainings)]
    return Run(method, problem.name, seed, stamp, made(problem), improved, *costs)


def load(paths: Iterable[Path]) -> list[Run]:
    """Every run, in the order in which they were made. What is cut off at the end of a file is left aside."""
    return [run for path in paths if path.exists() for run in _read(path)]


def _read(path: Path) -> Iterator[Run]:
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        body: dict[str, Any] = json.loads(line)
        yield Run(**body)


def append(path: Path, run: Run) -> None:
    """Adds one line. A line that a killed process left half written is cut off first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as out:
        out.seek(0)
        held = out.read()
        out.truncate(held.rfind(b"\n") + 1)
        out.write(json.dumps(vars(run), ensure_ascii=False).encode() + b"\n")


def samples(path: Path, method: str, stamp: str) -> list[Run]:
    """Of the newest stamp, where that is another one, the first run of each problem."""
    found = [run for run in load([path]) if run.method == method]
    if not found or found[-1].stamp == stamp:
        return []
    firsts: dict[str, Run] = {}
    for run in found:
        if run.stamp == found[-1].stamp:
            firsts.setdefault(run.problem, run)
    return list(firsts.values())


def restamp(path: Path, problem: str, old: str, new: str) -> None:
    """The runs of a problem under another stamp; the file is there whole at every moment."""
    found = [
        replace(run, stamp=new) if (run.problem, run.stamp) == (problem, old) else run for run in load([path])
    ]
    beside = path.with_suffix(".new")
    beside.write_text(
        "".join(json.dumps(vars(run), ensure_ascii=False) + "\n" for run in found), encoding="utf-8"
    )
    beside.replace(path)


def seeds(text: str) -> range:
    """`20` is the first twenty, `3-7` those five."""
    first, dash, last = text.partition("-")
    return range(int(first), int(last) + 1) if dash else range(int(first))
