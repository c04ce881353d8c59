"""The demo's campaign on a simulated clock: how near to the optimum after 30 and 40 experiments.

Four workers in two speed classes (1 : 5) with log-normal durations take experiments of the SnAr reactor; results
come back out of order. Every method meets the same durations and the same eight Sobol points first.

    labqueue   the product's triggers around its pure functions: four candidates are kept staged ahead, a free
               worker takes the next one at once, a training that follows each result takes a little while, and
               when its model is ready the unclaimed candidates give way to fresh ones
    botorch    a plain loop that computes a candidate at each claim, with all results in (a worker waits for it):
               SingleTaskGP + Standardize on the score, qLogNEI with the pending points, BoTorch's usual effort
    sobol      the space filled on evenly

    python -m benchmarks.snar [--seeds 20] [--first 0] [--methods labqueue,botorch,sobol] [--out FILE]

One JSON line a run is appended to benchmarks/results/snar.jsonl; what stands there is not run again.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models.gp_regression import SingleTaskGP
from botorch.models.transforms.outcome import Standardize
from botorch.optim.optimize import optimize_acqf
from gpytorch.mlls import ExactMarginalLogLikelihood

from examples.snar.model import measure
from examples.snar.optimum import load_problem
from labqueue.problem import Problem
from labqueue.strategy import Strategy
from models.surrogates import design, learner
from models.surrogates.encoding import Encoding
from models.surrogates.seeds import seed_for
from models.surrogates.values import DESIGN, SUGGESTER, Candidate, LearningError, Observation, Point, Snapshot

OPTIMUM = 2747.30064  # examples/snar/optimum.py
RESULTS = Path(__file__).parent / "results" / "snar.jsonl"
SPEEDS = (1.0, 1.0, 5.0, 5.0)  # median duration of each worker, in units of the fast ones'
SPREAD = 0.4  # of the logarithm of a duration
TRAINING = 0.05  # from a result to the model that knows it
BUDGET = 40
MARKS = (30, 40)


@dataclass
class Staged:
    """A staged candidate. It is computed when it is first looked at: most are superseded unseen."""

    compute: Callable[[], Candidate]
    origin: str
    _made: Candidate | None = field(default=None, repr=False)

    @property
    def point(self) -> Point:
        self._made = self._made or self.compute()
        return self._made.parameters


class Labqueue:
    """The product's side of the campaign: what stands in its queue and when that changes."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self.problem, self.seed, self.strategy = problem, seed, Strategy()
        self.rows: list[Observation] = []
        self.leased: dict[int, Staged] = {}
        self.queue: list[Staged] = []
        self.model: bytes | None = None
        self.designed = 0
        self.numbers = itertools.count()
        self.refill()

    def claim(self, worker: int) -> Point:
        taken = self.leased[worker] = self.queue.pop(0)
        point = taken.point
        self.refill()
        return point

    def record(self, worker: int, row: Observation) -> None:
        del self.leased[worker]
        self.rows.append(row)

    def train(self) -> bytes | None:
        """A training starts; what it gives is handed to `ready` later."""
        try:
            return learner.fit(self.problem, self.rows, self.model, self.seed).state
        except LearningError:
            return None

    def ready(self, model: bytes | None) -> None:
        self.model = model
        self.queue = [each for each in self.queue if each.origin == DESIGN]
        self.refill()

    def refill(self) -> None:
        missing = self.strategy.depth - len(self.queue)
        if missing <= 0:
            return
        pending = [*self.leased.values(), *self.queue]
        rows, designed, number = tuple(self.rows), self.designed, next(self.numbers)
        fixed = min(missing, max(self.strategy.initial - designed, 0))
        self.designed += fixed
        model = self.model

        def compute(place: int) -> Candidate:
            # The first of several candidates does not depend on how many were asked for.
            snapshot = Snapshot(
                self.problem, self.strategy, self.seed, number, rows,
                tuple(each.point for each in pending), designed, model, place + 1,
            )  # fmt: skip
            return learner.suggest(snapshot).candidates[place]

        for place in range(missing):
            origin = DESIGN if place < fixed else SUGGESTER
            self.queue.append(Staged(partial(compute, place), origin))


class AtClaim:
    """A rival that computes each point when a worker asks for it."""

    def __init__(self, problem: Problem, seed: int, choose: Callable[..., Point]) -> None:
        self.problem, self.seed, self.choose = problem, seed, choose
        self.encoding = Encoding(problem)
        self.rows: list[Observation] = []
        self.leased: dict[int, Point] = {}
        self.claims = 0

    def claim(self, worker: int) -> Point:
        number, self.claims = self.claims, self.claims + 1
        if number < Strategy().initial:
            point = sobol(self, number)
        else:
            point = self.choose(self, number)
        self.leased[worker] = point
        return point

    def record(self, worker: int, row: Observation) -> None:
        del self.leased[worker]
        self.rows.append(row)

    def train(self) -> bytes | None:
        return None

    def ready(self, model: bytes | None) -> None:
        pass


def sobol(side: AtClaim, number: int) -> Point:
    return design.points(side.encoding, seed_for("design", side.seed), number, 1)[0]


def botorch(side: AtClaim, number: int) -> Point:
    torch.manual_seed(seed_for("plain", side.seed, number))
    inputs = torch.as_tensor(side.encoding.encode([row.parameters for row in side.rows]))
    scores = torch.tensor([[row.score] for row in side.rows], dtype=torch.double)
    model = SingleTaskGP(inputs, scores, outcome_transform=Standardize(1))
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    pending = torch.as_tensor(side.encoding.encode(list(side.leased.values())))
    worth = qLogNoisyExpectedImprovement(model, inputs, X_pending=pending if len(pending) else None)
    box = torch.stack([torch.zeros(side.encoding.width), torch.ones(side.encoding.width)]).double()
    found, _ = optimize_acqf(worth, box, q=1, num_restarts=10, raw_samples=512)
    point = side.encoding.decode(found[0].numpy())
    assert point is not None, "there are no constraints"
    return point


METHODS: dict[str, Callable[[Problem, int], Labqueue | AtClaim]] = {
    "labqueue": Labqueue,
    "botorch": lambda problem, seed: AtClaim(problem, seed, botorch),
    "sobol": lambda problem, seed: AtClaim(problem, seed, sobol),
}


def campaign(method: str, seed: int, problem: Problem) -> list[float]:
    """The best score after each completed experiment, in the order in which they complete."""
    side = METHODS[method](problem, seed)
    ready: tuple[float, int, str, int] = (0.0, 0, "", 0)
    ties = itertools.count()
    events: list[tuple[float, int, str, int]] = []
    running: dict[int, Point] = {}
    training: bytes | None = None
    busy = due = False
    best: list[float] = []

    def start(worker: int, now: float) -> None:
        running[worker] = side.claim(worker)
        noise = np.random.default_rng(seed_for("duration", seed, started[worker], worker)).standard_normal()
        started[worker] += 1
        took = SPEEDS[worker] * float(np.exp(SPREAD * noise))
        heapq.heappush(events, (now + took, next(ties), "result", worker))

    started = dict.fromkeys(range(len(SPEEDS)), 0)
    for worker in started:
        start(worker, 0.0)
    while len(best) < BUDGET:
        ready = heapq.heappop(events)
        now, _, kind, worker = ready
        if kind == "result":
            point = running.pop(worker)
            outputs = measure(point)
            score = problem.score(outputs)
            assert score is not None
            side.record(worker, Observation(point, score, outputs))
            best.append(max(score, best[-1] if best else score))
            start(worker, now)
            due = True
        else:
            side.ready(training)
            busy = False
        if due and not busy:  # one training at a time; what arrives meanwhile is coalesced into one more
            training, busy, due = side.train(), True, False
            heapq.heappush(events, (now + TRAINING, next(ties), "model", 0))
    return best


def summary(runs: dict[tuple[str, int], list[float]]) -> str:
    lines = [f"gap to the optimum ({OPTIMUM:.1f}): median, worst, best", ""]
    for method in METHODS:
        found = [best for (name, _), best in sorted(runs.items()) if name == method]
        if not found:
            continue
        parts = []
        for mark in MARKS:
            gaps = [OPTIMUM - best[mark - 1] for best in found]
            parts.append(f"@{mark}: {median(gaps):8.1f} {max(gaps):8.1f} {min(gaps):8.1f}")
        lines.append(f"{method:9s} {len(found):3d} seeds   " + "   ".join(parts))
    return "\n".join(lines)


def load(path: Path) -> dict[tuple[str, int], list[float]]:
    if not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return {(line["method"], line["seed"]): line["best"] for line in lines}


def main() -> None:
    parser = argparse.ArgumentParser(description="SnAr campaigns on a simulated clock.")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--methods", default=",".join(METHODS), help="separated by commas")
    parser.add_argument(
        "--out", type=Path, default=RESULTS, help="JSON lines; runs that it holds are skipped"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    problem = load_problem()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    runs = load(options.out)
    for seed in range(options.first, options.first + options.seeds):
        for method in options.methods.split(","):
            if (method, seed) in runs:
                continue
            began = time.monotonic()
            best = [round(each, 2) for each in campaign(method, seed, problem)]
            runs[method, seed] = best
            line = {
                "method": method,
                "seed": seed,
                "seconds": round(time.monotonic() - began, 1),
                "best": best,
            }
            with options.out.open("a", encoding="utf-8") as out:
                out.write(json.dumps(line) + "\n")
            gaps = ", ".join(f"{OPTIMUM - best[mark - 1]:.1f} @{mark}" for mark in MARKS)
            print(f"{method} seed {seed}: gap {gaps} ({line['seconds']} s)", flush=True)
    print(summary(runs))


if __name__ == "__main__":
    main()
