"""The tables: how far from the best each method ends, who is ahead, and what an ask costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from . import compare, runs, tables
from .problems import NAMES, make

OWN = "labqueue"
#: Results in when an ask is made: below, and from there on.
_STAGES = ((8, 20), (20, 35), (35, 1000))


def text(paths: Iterable[Path]) -> str:
    """Everything that the files hold of the newest versions, in Markdown."""
    made = {name: runs.made(make(name, 0)) for name in NAMES}
    found = compare.current(runs.load(paths), made)
    if not found:
        return "There are no runs yet: python -m benchmarks.learning run makes them."
    methods = sorted({run.method for run in found}, key=lambda name: (name != OWN, name))
    problems = [name for name in NAMES if any(run.problem == name for run in found)]
    parts = [
        "Versions\n\n" + _stamps(found, methods),
        "Median regret at the end of a campaign (worst; seeds)\n\n" + _medians(found, methods, problems),
        "Labqueue beside each peer: mean difference of log10 regret over common seeds, with its 95 % bootstrap "
        "interval (below 0: Labqueue is nearer to the best)\n\n" + _verdicts(found, methods, problems),
        "CPU seconds (wall in brackets) of an ask, and of learning results, p50 and p95 by how many results "
        "were in\n\n" + _costs(found, methods),
    ]
    return "\n\n".join(parts)


def _stamps(found: Sequence[runs.Run], methods: Sequence[str]) -> str:
    stamp = {run.method: run.stamp for run in found}
    return "\n".join(f"- {method}: {stamp[method]}" for method in methods)


def _medians(found: Sequence[runs.Run], methods: Sequence[str], problems: Sequence[str]) -> str:
    regrets = compare.final(found)
    rows = [["problem", *methods]]
    for problem in problems:
        cells = []
        for method in methods:
            values = list(regrets.get((method, problem), {}).values())
            cells.append(f"{median(values):.3g} ({max(values):.3g}; {len(values)})" if values else "")
        rows.append([f"{problem} @{make(problem, 0).budget}", *cells])
    return tables.markdown(rows)


def _verdicts(found: Sequence[runs.Run], methods: Sequence[str], problems: Sequence[str]) -> str:
    regrets = compare.final(found)
    peers = [method for method in methods if method != OWN]
    rows = [["problem", *peers]]
    nearer = dict.fromkeys(peers, 0)
    shared = dict.fromkeys(peers, 0)
    for problem in problems:
        own = regrets.get((OWN, problem), {})
        cells = []
        for peer in peers:
            theirs = regrets.get((peer, problem), {})
            beside = compare.compare(own, theirs)
            if beside is None:
                cells.append("")
                continue
            common = own.keys() & theirs.keys()
            shared[peer] += 1
            nearer[peer] += median(own[seed] for seed in common) < median(theirs[seed] for seed in common)
            cells.append(f"{beside.verdict} {beside.mean:+.2f} [{beside.low:+.2f}, {beside.high:+.2f}]")
        rows.append([problem, *cells])
    rows.append(["median ahead on", *(f"{nearer[peer]} of {shared[peer]}" for peer in peers)])
    return tables.markdown(rows)


def _costs(found: Sequence[runs.Run], methods: Sequence[str]) -> str:
    titles = [f"n {low} to {high - 1}" if high < 1000 else f"n from {low}" for low, high in _STAGES]
    rows = [["method", "call", *titles]]
    for method in methods:
        mine = [run for run in found if run.method == method]
        for call, costs in (
            ("ask", [run.asks for run in mine]),
            ("learn", [costs for run in mine for costs in (run.tells, run.trainings)]),
        ):
            cells = [_quantiles(costs, low, high) for low, high in _STAGES]
            rows.append([method, call, *cells])
    return tables.markdown(rows)


def _quantiles(costs: Sequence[runs.Costs], low: int, high: int) -> str:
    picked = [
        (cpu, wall)
        for each in costs
        for n, cpu, wall in zip(each["n"], each["cpu"], each["wall"], strict=True)
        if low <= n < high
    ]
    if not picked:
        return ""
    (cpu50, wall50), (cpu95, wall95) = np.percentile(np.array(picked), [50, 95], axis=0)
    return f"{cpu50:.2f} / {cpu95:.2f} ({wall50:.2f} / {wall95:.2f})"
