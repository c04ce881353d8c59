"""One peer's campaigns, a seed of every problem before the next seed. For the peers' own Python.

    .bench-learning-venv/bin/python -m benchmarks.learning.peer METHOD [--problems P,..] [--seeds 20 | 3-7] [--out FILE]

Each run is one JSON line under benchmarks/results/learning; what stands there with the same versions is not run again.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import time
import warnings
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.learning import clock, points, runs
from benchmarks.learning.problems import NAMES, make

from . import METHODS
from .side import Peer

_CLASSES = {
    "optuna-tpe": ("with_optuna", "OptunaTPE"),
    "optuna-gp": ("with_optuna", "OptunaGP"),
    "botorch": ("with_botorch", "BoTorch"),
    "bofire": ("with_bofire", "BoFire"),
    "baybe": ("with_baybe", "BayBE"),
    "ax": ("with_ax", "Ax"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning.peer")
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--problems", default=",".join(NAMES), help="separated by commas")
    parser.add_argument("--seeds", type=runs.seeds, default=range(points.SEEDS))
    parser.add_argument("--out", type=Path, help="instead of the method's own file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    module, name = _CLASSES[options.method]
    kind: type[Peer] = getattr(import_module(f".{module}", __package__), name)
    installed = [f"{package} {importlib.metadata.version(package)}" for package in kind.packages]
    stamp = ", ".join([*installed, f"revision {kind.revision}"])
    out = options.out or runs.RESULTS / f"{options.method}.jsonl"
    known = {run.key for run in runs.load([out])}
    for seed in options.seeds:
        for problem_name in options.problems.split(","):
            problem = make(problem_name, seed)
            key = (options.method, problem_name, seed, stamp, runs.made(problem))
            if key in known or problem_name in kind.left_out:
                continue
            began = time.monotonic()
            campaign = clock.run(problem, kind(problem, seed, points.first(problem_name, seed)), seed)
            run = runs.summed_up(options.method, stamp, problem, seed, campaign)
            runs.append(out, run)
            said = f"{options.method} {problem_name} seed {seed}: regret {run.improved[-1][1]:.4g}"
            print(f"{said} ({time.monotonic() - began:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
