"""Labqueue's side of the learning benchmark runs as the product does, on the points that its peers are given."""

from __future__ import annotations

import csv
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.learning import arylation, clock, ours, points, problems, quality, runs
from benchmarks.learning.__main__ import adopt_runs
from benchmarks.learning.vocabulary import Aim, Point, Problem, Real
from labqueue.strategy import Strategy


@pytest.mark.parametrize("name", problems.NAMES)
def test_the_first_points_of_all_are_the_first_that_labqueue_claims(name: str) -> None:
    problem = problems.make(name, 0)
    side = ours.Labqueue(ours.translated(problem), 0)
    first = [side.claim(run) for run in range(Strategy().initial)]
    assert first == points.first(name, 0)


def test_the_file_of_first_points_is_what_the_design_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = points.FILE.read_text(encoding="utf-8")
    monkeypatch.setattr(points, "FILE", tmp_path / "first.json")
    ours.write_first_points()
    assert points.FILE.read_text(encoding="utf-8") == kept


def test_every_problem_is_said_in_labqueues_own_words() -> None:
    for name in problems.NAMES:
        theirs = problems.make(name, 1)
        own = ours.translated(theirs)
        outputs = theirs.measure(points.first(name, 1)[0])
        assert set(own.output_names) == set(outputs) == set(theirs.outputs)
        assert own.pareto == (len(theirs.aims) == 2)
        for aim, objective in zip(theirs.aims, own.objectives, strict=True):
            assert objective.value(outputs[aim.output]) == -aim.sign * outputs[aim.output]
            assert (objective.reference_value is None) == (aim.reference is None)
        assert own.admissible(outputs) == all(outputs[limit] <= most for limit, most in theirs.limits)


def test_a_short_campaign_learns_and_repeats() -> None:
    def measure(point: Point) -> dict[str, float]:
        return {"y": (float(point["x"]) - 3.3) ** 2}

    valley = Problem("valley", (Real("x", 0.0, 10.0),), measure, (Aim("y"),), 12, 0.0)
    sides = [ours.Labqueue(ours.translated(valley), 0) for _ in range(2)]
    found = [clock.run(valley, side, 0) for side in sides]
    assert found[0].results == found[1].results
    regrets = quality.trace(valley, found[0].results)
    assert regrets[-1] < 0.1 * regrets[7], "what it chose is better than the design"
    assert len(sides[0].queue) == 4 and sides[0].model is not None
    assert len(found[0].trainings.n) > 10, "each training, and each change of the queue after it"


def test_a_changed_source_of_the_learning_code_is_another_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("surrogates", "space"):
        (tmp_path / folder).mkdir()
    (tmp_path / "surrogates" / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(ours.surrogates, "__path__", [str(tmp_path / "surrogates")])
    before = ours.fingerprint()
    assert before == ours.fingerprint()
    (tmp_path / "surrogates" / "a.py").write_text("x = 2\n")
    assert ours.fingerprint() != before


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A made-up table of the same form: the second base and the third ligand are best."""
    folder = tmp_path / "tables"
    folder.mkdir()
    compounds = {"base": "AB", "ligand": "CDEF", "solvent": "GH"}
    files = {"base": "base_dft.csv", "ligand": "ligand-boltzmann_dft.csv", "solvent": "solvent_dft.csv"}
    for kind, names in compounds.items():
        rows = [
            [f"{kind}_SMILES", f"{kind}_atom", f"{kind}_size"],
            *([n, "C", ord(n) ** 2] for n in names),
        ]
        write(folder / files[kind], rows)
    head = ["entry", "Base_SMILES", "Ligand_SMILES", "Solvent_SMILES", "Concentration", "Temp_C", "yield"]
    every = itertools.product("AB", "CDEF", "GH", (0.1, 0.2), (90, 105, 120))
    body = [
        [number, *row, 10 * (row[0] == "B") + 5 * "CFDE".index(row[1])] for number, row in enumerate(every)
    ]
    write(folder / "experiment_index.csv", [head, *body])
    write(folder / "edbo_reference_gp_ei_bs5.csv", [["", *range(50)], [0, *range(50)], [1, *([7.0] * 50)]])
    return folder


def write(path: Path, rows: list[list[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def test_the_arylation_in_batches_and_in_flight(
    tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(arylation, "BUDGET", 15)
    monkeypatch.setattr(arylation, "MARKS", (5, 15))
    described = arylation.Tables(tables).problem(described=True)
    assert described.to_json()["parameters"][1]["descriptors"]["C"] == {"ligand_size": ord("C") ** 2}
    out = tmp_path / "runs.jsonl"
    arylation.run(tables, range(1), out)
    found = runs.load([out])
    assert [run.problem for run in found] == [f"arylation-{arm}" for arm in arylation.ARMS]
    assert {tuple(run.asks["n"]) for run in found if "batches" in run.problem} == {(0, 5, 10)}
    assert min(quality.last(run.improved) for run in found) == 100 - 25
    arylation.run(tables, range(1), out)
    assert runs.load([out]) == found, "what stands there is not run again"
    text = arylation.text(tables, out)
    (reference,) = [line for line in text.splitlines() if "EDBO" in line]
    assert [cell.strip() for cell in reference.split("|")][2:5] == ["5.5", "10.5", "2"]


def test_runs_are_adopted_only_where_they_come_out_the_same(
    tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(arylation, "BUDGET", 10)
    out = tmp_path / "runs.jsonl"
    monkeypatch.setattr(ours, "fingerprint", lambda: "before")
    arylation.run(tables, range(1), out)
    made = runs.load([out])
    monkeypatch.setattr(ours, "fingerprint", lambda: "after")
    assert adopt_runs(None, out) == 0 and runs.load([out]) == made, "without the tables nothing is known"
    assert adopt_runs(tables, out) == 0
    assert runs.load([out]) == [replace(run, stamp="after") for run in made]
    out.unlink()
    for run in (replace(made[0], improved=[[1, 50.0]]), *made[1:]):
        runs.append(out, run)
    assert adopt_runs(tables, out) == 1
    assert [run.stamp for run in runs.load([out])] == ["before", "after", "after", "after"]
    assert "not the same" in capsys.readouterr().out
