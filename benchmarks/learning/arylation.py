"""Direct arylation, a real reaction table of which every row is measured: Labqueue alone, beside a published reference.

4 bases, 12 ligands, 4 solvents, 3 concentrations, 3 temperatures; the yield is maximized. Four arms, 50 seeds each:

    dft-batches, one-hot-batches    batches of five, each chosen with all results in, as the reference did
    dft-flight, one-hot-flight      four in flight on the simulated clock, as instruments do

`dft` gives Labqueue the quantum-chemical descriptors of the compounds that the reference used, all that are numbers;
`one-hot` the names alone. The tables are not part of this repository: `folder` holds experiment_index.csv, base_dft.csv,
ligand-boltzmann_dft.csv, solvent_dft.csv and edbo_reference_gp_ei_bs5.csv of github.com/b-shields/edbo (MIT);
measurements by Shields et al., Nature 590, 89-96 (2021).
"""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from labqueue.problem import Problem
from labqueue.strategy import Strategy
from models.surrogates import learner
from models.surrogates.values import DESIGN, Observation, Point, Snapshot

from . import clock, compare, ours, quality, runs, vocabulary
from .tables import markdown
from .vocabulary import MAXIMIZE, Aim

ARMS = ("dft-batches", "one-hot-batches", "dft-flight", "one-hot-flight")
SEEDS = 50
MARKS = (5, 10, 15, 20, 25, 30, 50)
BATCH, BUDGET = 5, 50
BEST = 100.0
_NAME = "arylation-"  # before the arm, as the problem of a run
_COMPOUNDS = {
    "base": ("Base_SMILES", "base_dft.csv"),
    "ligand": ("Ligand_SMILES", "ligand-boltzmann_dft.csv"),
    "solvent": ("Solvent_SMILES", "solvent_dft.csv"),
}
_NUMBERS = {"concentration": ("Concentration", "mol/L"), "temperature": ("Temp_C", "degC")}


@dataclass(frozen=True)
class Tables:
    """The tables in a folder. Raises FileNotFoundError, on first use, where one is missing."""

    folder: Path

    @cached_property
    def experiments(self) -> list[dict[str, str]]:
        return _rows(self.folder / "experiment_index.csv")

    @cached_property
    def yields(self) -> Mapping[tuple[object, ...], float]:
        """By base, ligand, solvent, concentration and temperature."""
        return {
            (
                *(row[column] for column, _ in _COMPOUNDS.values()),
                *(float(row[column]) for column, _ in _NUMBERS.values()),
            ): float(row["yield"])
            for row in self.experiments
        }

    @cached_property
    def reference(self) -> np.ndarray:
        """The best yield so far after each experiment of the reference's runs: (runs, experiments)."""
        with (self.folder / "edbo_reference_gp_ei_bs5.csv").open(encoding="utf-8") as file:
            body = list(csv.reader(file))[1:]
        return np.maximum.accumulate(np.array([[float(cell) for cell in row[1:]] for row in body]), axis=1)

    def problem(self, described: bool) -> Problem:
        """In Labqueue's words, with descriptors or without."""
        parameters: list[dict[str, Any]] = []
        for name, (column, file) in _COMPOUNDS.items():
            found = sorted({row[column] for row in self.experiments})
            table = {"descriptors": _descriptors(_rows(self.folder / file))} if described else {}
            parameters.append({"name": name, "kind": "categorical", "categories": found, **table})
        for name, (column, unit) in _NUMBERS.items():
            values = sorted({float(row[column]) for row in self.experiments})
            parameters.append({"name": name, "kind": "discrete", "values": values, "unit": unit})
        return Problem.from_json(
            {
                "parameters": parameters,
                "outputs": [{"name": "yield", "unit": "%"}],
                "objectives": [{"output": "yield", "goal": MAXIMIZE}],
            }
        )

    def measure(self, point: Point) -> dict[str, float]:
        names = tuple(str(point[name]) for name in _COMPOUNDS)
        numbers = tuple(float(point[name]) for name in _NUMBERS)
        return {"yield": self.yields[(*names, *numbers)]}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _descriptors(rows: list[dict[str, str]]) -> dict[str, dict[str, float]]:
    """By SMILES: every column that is a number for each compound."""
    (smiles,) = [column for column in rows[0] if column.endswith("_SMILES")]
    numbers = [column for column in rows[0] if all(_number(row[column]) for row in rows)]
    return {row[smiles]: {column: float(row[column]) for column in numbers} for row in rows}


def _number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def run(folder: Path, seeds: range, out: Path) -> None:
    """Every arm of every seed that the file does not hold yet."""
    tables = Tables(folder)
    problems = {arm: tables.problem(arm.startswith("dft")) for arm in ARMS}
    stamp = ours.fingerprint()
    known = {each.key for each in runs.load([out])}
    for seed in seeds:
        for arm, problem in problems.items():
            task = _task(tables, arm)
            if (ours.METHOD, task.name, seed, stamp, runs.made(task)) in known:
                continue
            began = time.monotonic()
            done = runs.summed_up(ours.METHOD, stamp, task, seed, _campaign(task, problem, seed))
            runs.append(out, done)
            best = BEST - quality.last(done.improved)
            print(f"{task.name} seed {seed}: yield {best:.1f} ({time.monotonic() - began:.1f} s)", flush=True)


def again(folder: Path, run: runs.Run) -> runs.Run:
    """A run once more."""
    tables, arm = Tables(folder), run.problem.removeprefix(_NAME)
    task = _task(tables, arm)
    campaign = _campaign(task, tables.problem(arm.startswith("dft")), run.seed)
    return runs.summed_up(ours.METHOD, run.stamp, task, run.seed, campaign)


def _campaign(task: vocabulary.Problem, problem: Problem, seed: int) -> clock.Campaign:
    if task.name.endswith("batches"):
        return _batches(task, problem, seed)
    return clock.run(task, ours.Labqueue(problem, seed), seed)


def _task(tables: Tables, arm: str) -> vocabulary.Problem:
    aim = Aim("yield", MAXIMIZE)
    return vocabulary.Problem(
        _NAME + arm, (), tables.measure, (aim,), BUDGET, best=-BEST, start=BEST, floor=0.0
    )


def _batches(task: vocabulary.Problem, problem: Problem, seed: int) -> clock.Campaign:
    """Five at a time, a training after each five."""
    found, strategy = clock.Campaign(), Strategy()
    rows: list[Observation] = []
    model: bytes | None = None
    designed = 0
    while len(rows) < task.budget:
        snapshot = Snapshot(
            problem, strategy, seed, len(rows) // BATCH, tuple(rows), (), designed, model, BATCH
        )
        with found.asks.of(len(rows)):
            candidates = learner.suggest(snapshot).candidates
        designed += sum(each.origin == DESIGN for each in candidates)
        rows += [Observation(each.parameters, task.measure(each.parameters)) for each in candidates]
        with found.trainings.of(len(rows)):
            model = learner.fit(problem, strategy, rows, model, seed).state
    found.results = [row.outputs for row in rows]
    return found


def text(folder: Path | None, path: Path) -> str:
    """The arms beside the reference, in Markdown; empty where there are no runs."""
    found = compare.current(runs.load([path]), {})
    best = {arm: _best(found, arm) for arm in ARMS}
    lines = [["mean best yield after", *(str(mark) for mark in MARKS), "runs"]]
    for arm, by_seed in best.items():
        if by_seed:
            lines.append([f"labqueue {arm}", *_means(np.array(list(by_seed.values()))), str(len(by_seed))])
    if len(lines) == 1:
        return ""
    if folder is not None:
        reference = Tables(folder).reference
        lines.append(["EDBO GP-EI, DFT, batches of 5", *_means(reference), str(len(reference))])
    said = [markdown(lines)]
    for kind in ("dft", "one-hot"):
        flight, batches = best[f"{kind}-flight"], best[f"{kind}-batches"]
        for mark in (25, 50):
            common = sorted(flight.keys() & batches.keys())
            if len(common) > 1:
                beside = compare.interval(
                    [float(flight[seed][mark - 1] - batches[seed][mark - 1]) for seed in common]
                )
                said.append(
                    f"{kind}, after {mark}: four in flight beside batches of five {beside.mean:+.2f} "
                    f"[{beside.low:+.2f}, {beside.high:+.2f}] of yield over {beside.seeds} seeds"
                )
    return "\n".join(said)


def _best(found: list[runs.Run], arm: str) -> dict[int, np.ndarray]:
    """By seed: the best yield so far after each experiment."""
    return {
        each.seed: BEST - np.array([quality.after(each.improved, n) for n in range(1, BUDGET + 1)])
        for each in found
        if each.problem == _NAME + arm
    }


def _means(best: np.ndarray) -> list[str]:
    return [f"{best[:, mark - 1].mean():.1f}" for mark in MARKS]
