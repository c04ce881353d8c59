"""Ways to feed instruments, and to treat points in flight, side by side: `python -m benchmarks.learning queues`.

One JSON line a run; what stands there with the same learning code is not run again.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median

from labqueue.strategy import JOINT, PENDING, Strategy

from . import clock, compare, lab, ours, runs
from .problems import make
from .tables import markdown

FILE = runs.RESULTS / "queues.jsonl"
PROBLEMS, SEEDS = ("branin", "hartmann6"), 10
#: The product's own way with another treatment of what is in flight.
_TREATED = {f"{lab.FRESHEST}, {each}": each for each in PENDING if each != JOINT}
ARMS = (*lab.POLICIES, *_TREATED)


@dataclass(frozen=True)
class Fed:
    """One campaign: waiting in per cent of the instruments' time until the last claim; stale: results in at a claim
    that its choice did not know, on average; improved: [seconds, number of the result, regret]."""

    arm: str
    problem: str
    seed: int
    stamp: str
    made: str
    waiting: float
    stale: float
    ended: float
    improved: list[list[float]]

    def at(self, seconds: float) -> float:
        """The regret by then; the first result's where none was in."""
        known = [regret for when, _, regret in self.improved if when <= seconds]
        return known[-1] if known else self.improved[0][2]


def run(problems: Sequence[str], seeds: range, path: Path) -> None:
    """Every arm of every seed that the file does not hold yet."""
    stamp = ours.fingerprint()
    known = {(each.arm, each.problem, each.seed, each.made) for each in load(path) if each.stamp == stamp}
    for seed in seeds:
        for name in problems:
            problem = make(name, seed)
            for arm in ARMS:
                if (arm, name, seed, runs.made(problem)) in known:
                    continue
                began = time.monotonic()
                treated = _TREATED.get(arm)
                strategy = Strategy() if treated is None else Strategy(pending=treated)
                story = lab.run(lab.FRESHEST if treated else arm, problem, seed, strategy)
                done = Fed(
                    arm,
                    name,
                    seed,
                    stamp,
                    runs.made(problem),
                    round(100 * story.waited / (len(clock.SPEEDS) * story.claimed), 2),
                    round(fmean(story.stale), 2),
                    round(story.results[-1][0], 2),
                    story.improved(problem),
                )
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(asdict(done)) + "\n")
                said = f"{name} seed {seed}, {arm}: waiting {done.waiting} %, stale {done.stale}"
                print(
                    f"{said}, regret {done.improved[-1][2]:.3g} ({time.monotonic() - began:.1f} s)",
                    flush=True,
                )


def load(path: Path) -> list[Fed]:
    """What is cut off at the end of the file is left aside."""
    if not path.exists():
        return []
    return [Fed(**json.loads(line)) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def text(path: Path) -> str:
    """Two tables in Markdown; empty where there are no runs."""
    found = load(path)
    newest = [each for each in found if each.stamp == found[-1].stamp]
    by_arm = {
        (problem, arm): {each.seed: each for each in newest if (each.problem, each.arm) == (problem, arm)}
        for problem in PROBLEMS
        for arm in ARMS
    }
    fed = [
        ["problem", "fed", "waiting %", "stale", "median regret", "beside free", "at the same time", "seeds"]
    ]
    treated = [["problem", "in flight", "median regret", "beside joint", "seeds"]]
    for problem in PROBLEMS:
        free, own = by_arm[problem, lab.FREE], by_arm[problem, lab.FRESHEST]
        for arm in ARMS:
            mine = by_arm[problem, arm]
            if not mine:
                continue
            regret = f"{median(_end(each) for each in mine.values()):.3g}"
            if arm in lab.POLICIES:
                waiting = f"{fmean(each.waiting for each in mine.values()):.1f}"
                stale = f"{fmean(each.stale for each in mine.values()):.1f}"
                sooner = _beside(mine, own, own) if arm != lab.FRESHEST else ""
                beside = _beside(mine, free) if arm != lab.FREE else ""
                fed.append([problem, arm, waiting, stale, regret, beside, sooner, str(len(mine))])
            if arm == lab.FRESHEST or arm in _TREATED:
                beside = _beside(mine, own) if arm in _TREATED else ""
                treated.append([problem, _TREATED.get(arm, JOINT), regret, beside, str(len(mine))])
    if len(fed) == 1:
        return ""
    return "\n\n".join(
        [
            "Ways to feed four instruments. Beside free: mean difference of log10 regret after the last experiment to "
            "choosing at each claim in no time; at the same time: to the freshest queue when that has ended (above 0: "
            "worse)\n\n" + markdown(fed),
            "Points in flight. Beside joint: mean difference of log10 regret\n\n" + markdown(treated),
        ]
    )


def _end(each: Fed) -> float:
    return each.improved[-1][2]


def _beside(
    mine: Mapping[int, Fed], theirs: Mapping[int, Fed], until: Mapping[int, Fed] | None = None
) -> str:
    """`until`: regrets at the time when these had ended."""
    differences = []
    for seed in sorted(mine.keys() & theirs.keys()):
        if until is None:
            pair = _end(mine[seed]), _end(theirs[seed])
        else:
            pair = mine[seed].at(until[seed].ended), theirs[seed].at(until[seed].ended)
        differences.append(math.log10(pair[0]) - math.log10(pair[1]))
    if len(differences) < 2:
        return ""
    found = compare.interval(differences)
    return f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"
