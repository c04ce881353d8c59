"""How well Labqueue learns, beside its peers, on a simulated clock.

    python -m benchmarks.learning run [--methods M,..] [--problems P,..] [--seeds 20 | 3-7] [--out FILE]
    python -m benchmarks.learning arylation --tables FOLDER [--seeds 50 | 3-7] [--out FILE]
    python -m benchmarks.learning queues [--seeds 10 | 3-7] [--out FILE]
    python -m benchmarks.learning adopt [--tables FOLDER] [--out FILE]
    python -m benchmarks.learning report [--tables FOLDER] [--out FILE]
    python -m benchmarks.learning points        writes the file of first points again

`queues` compares ways to feed instruments and treatments of points in flight (lab.py, queues.py).

`adopt`: Labqueue's runs belong to the code that made them, by a fingerprint. Where a change of the code does not change
what is chosen, a run of each problem is made again, and where it comes out the same to the last digit, the problem's runs
are kept as those of the present code.

Methods are `labqueue` and the peers, which run in an environment of their own, .bench-learning-venv (`make
bench-learning` makes it). Each run is one JSON line under benchmarks/results/learning, a file for each method; what
stands there with the same versions is not run again. With --out the lines of Labqueue go to a file of your own.

The tables of the direct arylation (benchmarks/learning/arylation.py says which) are looked for in --tables, else where
BENCH_ARYLATION says.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from . import arylation, clock, ours, points, queues, report, runs
from .peer import METHODS as PEERS
from .problems import NAMES, make

ROOT = Path(__file__).parents[2]
PEERS_PYTHON = ROOT / ".bench-learning-venv" / "bin" / "python"


def main() -> int:
    options, parser = _options()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if options.what == "points":
        ours.write_first_points()
        return 0
    if options.what == "arylation":
        return run_arylation(options.tables, options.seeds or range(arylation.SEEDS), options.out)
    if options.what == "queues":
        file = options.out or queues.FILE
        queues.run(queues.PROBLEMS, options.seeds or range(queues.SEEDS), file)
        print(queues.text(file))
        return 0
    if options.what == "adopt":
        return adopt_runs(options.tables, options.out)
    own = options.out or runs.RESULTS / f"{ours.METHOD}.jsonl"
    status = 0
    if options.what == "run":
        chosen, problems = options.methods.split(","), options.problems.split(",")
        if wrong := sorted({*chosen} - {ours.METHOD, *PEERS} | {*problems} - {*NAMES}):
            known = ", ".join((ours.METHOD, *PEERS, *NAMES))
            parser.error(f"there is no {', '.join(wrong)}; there are {known}")
        seeds = options.seeds or range(points.SEEDS)
        if ours.METHOD in chosen:
            run_ours(problems, seeds, own)
        status = run_peers([each for each in chosen if each != ours.METHOD], problems, seeds)
    print(report.text([own, *(runs.RESULTS / f"{peer}.jsonl" for peer in PEERS)]))
    print(arylation.text(options.tables, _arylation_file(options.out)))
    print(queues.text(queues.FILE))
    return status


def _options() -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.learning",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("run", "arylation", "queues", "adopt", "report", "points"))
    parser.add_argument("--methods", default=",".join((ours.METHOD, *PEERS)), help="separated by commas")
    parser.add_argument("--problems", default=",".join(NAMES), help="separated by commas")
    parser.add_argument("--seeds", type=runs.seeds, help="how many, or the first and the last")
    named = os.environ.get("BENCH_ARYLATION")
    parser.add_argument("--tables", type=Path, default=Path(named) if named else None, help="their folder")
    parser.add_argument("--out", type=Path, help="Labqueue's runs are kept and read here instead")
    return parser.parse_args(), parser


def run_ours(problems: Sequence[str], seeds: range, out: Path) -> None:
    stamp = ours.fingerprint()
    known = {run.key for run in runs.load([out])}
    for seed in seeds:
        for name in problems:
            problem = make(name, seed)
            if (ours.METHOD, name, seed, stamp, runs.made(problem)) in known:
                continue
            began = time.monotonic()
            campaign = clock.run(problem, ours.Labqueue(ours.translated(problem), seed), seed)
            run = runs.summed_up(ours.METHOD, stamp, problem, seed, campaign)
            runs.append(out, run)
            said = f"{ours.METHOD} {name} seed {seed}: regret {run.improved[-1][1]:.4g}"
            print(f"{said} ({time.monotonic() - began:.1f} s)", flush=True)


def adopt_runs(tables: Path | None, out: Path | None) -> int:
    """1 where a problem came out differently; its runs stay those of the older code."""
    stamp, status = ours.fingerprint(), 0

    def again(run: runs.Run) -> runs.Run:
        if run.problem in NAMES:
            problem = make(run.problem, run.seed)
            campaign = clock.run(problem, ours.Labqueue(ours.translated(problem), run.seed), run.seed)
            return runs.summed_up(ours.METHOD, stamp, problem, run.seed, campaign)
        assert tables is not None, "asked for below"
        return arylation.again(tables, run)

    paths = [out] if out else [runs.RESULTS / f"{ours.METHOD}.jsonl", _arylation_file(None)]
    for path in paths:
        samples = runs.samples(path, ours.METHOD, stamp)
        if tables is None and any(each.problem not in NAMES for each in samples):
            print(f"{path.name} is left as it is: name the tables by --tables or BENCH_ARYLATION.")
            continue
        for sample in samples:
            same = again(sample).improved == sample.improved
            print(
                f"{sample.problem} seed {sample.seed}: {'the same' if same else 'not the same'}", flush=True
            )
            status = status if same else 1
            if same:
                runs.restamp(path, sample.problem, sample.stamp, stamp)
    return status


def run_peers(methods: Sequence[str], problems: Sequence[str], seeds: range) -> int:
    """Each peer by its own program in its own environment. The exit status of the last that failed."""
    if methods and not PEERS_PYTHON.exists():
        print(f"The peers need {PEERS_PYTHON.parents[1]}: make bench-learning makes it.", file=sys.stderr)
        return 1
    options = ["--problems", ",".join(problems), "--seeds", f"{seeds.start}-{seeds.stop - 1}"]
    status = 0
    for method in methods:
        command = [str(PEERS_PYTHON), "-m", "benchmarks.learning.peer", method, *options]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode or status
    return status


def run_arylation(tables: Path | None, seeds: range, out: Path | None) -> int:
    if tables is None or not tables.is_dir():
        where = "no folder was named" if tables is None else f"{tables} is no folder"
        print(f"Direct arylation is skipped: {where}. Name one by --tables or BENCH_ARYLATION.")
        return 0
    file = _arylation_file(out)
    arylation.run(tables, seeds, file)
    print(arylation.text(tables, file))
    return 0


def _arylation_file(out: Path | None) -> Path:
    return out or runs.RESULTS / "arylation.jsonl"


if __name__ == "__main__":
    sys.exit(main())
