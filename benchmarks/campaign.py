"""The demo's campaign on a simulated clock, as `benchmarks.snar` left it in its results; what is missing is run.

All seeds of all methods take many minutes: run `python -m benchmarks.snar` for them beforehand.
"""

from __future__ import annotations

import json
import time
import warnings
from statistics import median

from benchmarks.figures import Figure
from benchmarks.snar import METHODS, OPTIMUM, RESULTS, campaign, load
from examples.snar.optimum import load_problem

SEEDS = 20
AT = 30
SECONDS = 60.0  # spent on runs that are missing; the rest stays missing and is said


def fill(runs: dict[tuple[str, int], list[float]]) -> None:
    """Runs what is missing while there is time for it."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    problem, ends = load_problem(), time.monotonic() + SECONDS
    for seed in range(SEEDS):
        for method in METHODS:
            if (method, seed) in runs or time.monotonic() > ends:
                continue
            began = time.monotonic()
            best = runs[method, seed] = [round(each, 2) for each in campaign(method, seed, problem)]
            took = round(time.monotonic() - began, 1)
            with RESULTS.open("a", encoding="utf-8") as out:
                out.write(json.dumps({"method": method, "seed": seed, "seconds": took, "best": best}) + "\n")


def run() -> list[Figure]:
    runs = load(RESULTS)
    fill(runs)
    gaps = {
        method: [
            OPTIMUM - best[AT - 1] for (name, seed), best in runs.items() if name == method and seed < SEEDS
        ]
        for method in METHODS
    }
    ours, plain, sobol = gaps["labqueue"], gaps["botorch"], gaps["sobol"]
    beside = ", ".join(
        f"{method} {median(found):,.0f} ({min(found):,.0f} to {max(found):,.0f}, {len(found)} seeds)"
        for method, found in gaps.items()
    )
    return [
        Figure(f"gap at {AT} experiments, median", median(ours), "", most=median(plain), baseline=beside),
        Figure(f"gap at {AT} experiments, worst", max(ours), "", most=min(sobol), baseline=beside),
    ]
