"""The learning benchmark's own arithmetic: a fault here would make a wrong table look right."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.learning import clock, compare, functions, points, problems, quality, report, runs
from benchmarks.learning.vocabulary import MAXIMIZE, Aim, Names, Point, Problem, Real, Whole

ONE = Problem(
    "one", (Real("x", 0.0, 10.0),), lambda point: {"y": float(point["x"])}, (Aim("y"),), 6, 1.0, 50.0
)
TWO = replace(ONE, aims=(Aim("a", reference=4.0), Aim("b", MAXIMIZE, 0.0)), best=12.0, start=12.0)


class Counting:
    """Claims 10, 9, 8, ... and notes what happens when; trains where it is told to."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def claim(self, run: int) -> Point:
        self.told.append(f"claim {run}")
        return {"x": 10.0 - run}

    def record(self, run: int, outputs: Mapping[str, float]) -> None:
        self.told.append(f"record {run}")


class Training(Counting):
    def train(self) -> None:
        self.told.append("train")

    def ready(self) -> None:
        self.told.append("ready")


@pytest.mark.parametrize("name", problems.NAMES)
def test_no_optimum_is_at_the_centre_at_an_edge_or_at_a_first_point(name: str) -> None:
    boxes = set()
    for seed in range(points.SEEDS):
        problem = problems.make(name, seed)
        axes = [each for each in problem.parameters if isinstance(each, Real)]
        boxes.add(tuple((axis.low, axis.high) for axis in axes))
        moved = axes[-len(problem.at[0]) :] if problem.at else []
        for best in problem.at:
            shares = np.array([(x - a.low) / (a.high - a.low) for a, x in zip(moved, best, strict=True)])
            assert np.abs(shares - 0.5).max() > 0.05
            assert shares.min() > 0.02 and shares.max() < 0.98
            for point in points.first(name, seed):
                begun = [(float(point[a.name]) - a.low) / (a.high - a.low) for a in moved]
                assert np.abs(np.array(begun) - shares).max() > 2e-3
    assert len(boxes) == (1 if name in ("branin_currin", "snar") else points.SEEDS)


@pytest.mark.parametrize("name", ["branin", "hartmann6", "levy5", "rosenbrock4", "gramacy"])
def test_the_least_value_is_taken_where_it_is_said_to_be_and_nowhere_beaten(name: str) -> None:
    problem = problems.make(name, 3)
    axes = [each for each in problem.parameters if isinstance(each, Real)]
    for best in problem.at:
        outputs = problem.measure({axis.name: x for axis, x in zip(axes, best, strict=True)})
        assert outputs["y"] == pytest.approx(problem.best, abs=1e-5)
        assert all(outputs[limit] < most + 1e-5 for limit, most in problem.limits)
    rng = np.random.default_rng(0)
    for _ in range(3000):
        outputs = problem.measure({axis.name: float(rng.uniform(axis.low, axis.high)) for axis in axes})
        if all(outputs[limit] <= most for limit, most in problem.limits):
            assert problem.best - 1e-9 <= outputs["y"] <= problem.best + problem.start


def test_the_mixed_problem_hides_the_order_of_its_names() -> None:
    first, second = problems.make("mixed", 0), problems.make("mixed", 1)
    point = dict(points.first("mixed", 0)[0])
    values = set()
    for each in first.parameters:
        if isinstance(each, Names):
            values |= {first.measure({**point, each.name: name})["y"] for name in each.values}
    assert len(values) == len(functions_of(first)) - 1, "the point itself is met once for each kind of name"
    assert any(isinstance(each, Whole) for each in first.parameters)
    assert first.measure(point)["y"] != second.measure(point)["y"]


def functions_of(problem: Problem) -> list[str]:
    return [name for each in problem.parameters if isinstance(each, Names) for name in each.values]


def test_the_least_value_of_the_mixed_problem() -> None:
    solvents, ligands = problems.SOLVENTS, problems.LIGANDS
    at = functions.HARTMANN6_AT[0]
    near = [
        functions.hartmann6([at[0], solvent, at[2], cycles / 10, ligand, at[5]])
        for solvent, cycles, ligand in itertools.product(solvents, range(-3, 14), ligands)
    ]
    best = problems.make("mixed", 0).best
    assert best <= min(near) < best + 1e-3, "polishing the real inputs gains little"


def test_the_hypervolume_of_known_points() -> None:
    assert quality.hypervolume([], (4, 4)) == 0
    assert quality.hypervolume([(1, 3), (3, 1), (3, 3), (5, 0), (2, 4)], (4, 4)) == 3 * 1 + 1 * 2
    assert quality.hypervolume([(2, 2), (2, 2), (2, 3)], (4, 4)) == 4


def test_the_greatest_hypervolume_of_the_quarter_circle() -> None:
    problem = problems.make("dtlz2", 0)
    best = dict(zip(["x1", "x2", "x3", "x4", "x5"], problem.at[0], strict=True))
    outputs = [problem.measure({"x0": share, **best}) for share in np.linspace(0, 1, 2001)]
    assert quality.trace(problem, outputs)[-1] == pytest.approx(0, abs=1e-3)


def test_nondominated_rows() -> None:
    values = np.array([[3.0, 1.0], [1.0, 3.0], [3.0, 3.0], [1.0, 4.0], [2.0, 2.0], [2.0, 2.0]])
    kept = values[quality.nondominated(values)]
    assert kept.tolist() == [[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]]


def test_regret_falls_to_the_floor_and_never_rises() -> None:
    ys = [5.0, 7.0, 2.0, 1.0, 3.0]
    assert quality.trace(ONE, [{"y": y} for y in ys]) == [4, 4, 1, ONE.floor, ONE.floor]


def test_what_breaks_a_limit_does_not_count() -> None:
    limited = replace(ONE, limits=(("c", 0.0),))
    results = [{"y": 2.0, "c": 0.1}, {"y": 9.0, "c": 0.0}, {"y": 1.5, "c": 1.0}, {"y": 3.0, "c": -1.0}]
    assert quality.trace(limited, results) == [50, 8, 8, 2]


def test_regret_of_two_aims_is_the_missing_hypervolume() -> None:
    results = [{"a": 5.0, "b": 9.0}, {"a": 2.0, "b": 2.0}, {"a": 1.0, "b": 1.0}]
    assert quality.trace(TWO, results) == [12, 12 - 4, 12 - 5]


def test_improvements_keep_the_whole_trace() -> None:
    regrets = [4.0, 4.0, 1.0, 1.0, 0.25]
    kept = quality.improvements(regrets)
    assert kept == [[1, 4], [3, 1], [5, 0.25]]
    assert [quality.after(kept, number) for number in range(1, 6)] == regrets
    assert quality.last(kept) == 0.25
    tiny = [1 / 3, 1 / 3 - 1e-12]
    assert len(quality.improvements(tiny)) == 1, "no improvement that rounding hides"


def test_durations_are_those_of_the_seed_whatever_the_method_does() -> None:
    again = [clock.duration(3, worker, 2) for worker in range(4)]
    assert again == [clock.duration(3, worker, 2) for worker in range(4)]
    assert clock.duration(3, 0, 2) != clock.duration(4, 0, 2) != clock.duration(4, 0, 3)
    drawn = np.log([[clock.duration(seed, worker, 0) for worker in range(4)] for seed in range(400)])
    assert drawn.mean(axis=0) == pytest.approx(np.log(clock.SPEEDS), abs=0.1)
    assert drawn.std(axis=0) == pytest.approx(clock.SPREAD, abs=0.05)


def test_four_runs_are_in_flight_and_fast_workers_finish_more() -> None:
    side = Counting()
    found = clock.run(replace(ONE, budget=20), side, 0)
    assert len(found.results) == 20
    flying, most = 0, 0
    for what in side.told:
        flying += 1 if what.startswith("claim") else -1
        most = max(most, flying)
    assert most == 4
    order = [what for what in side.told if what.startswith("record")]
    assert order != sorted(order, key=lambda what: int(what.split()[1])), "results come out of order"
    # At each claim all earlier results are in: the n of an ask counts them.
    assert found.asks.n == [0, 0, 0, 0, *range(1, 20)]
    assert found.trainings.n == []


def test_a_worker_begins_its_next_run_when_the_last_one_ends() -> None:
    side = Counting()
    clock.run(replace(ONE, budget=20), side, 2)
    spans = []
    for worker in range(4):
        took = [clock.duration(2, worker, number) for number in range(30)]
        ends = np.cumsum(took)
        spans += [(end - each, worker, end) for end, each in zip(ends, took, strict=True)]
    by_end = sorted((end, run) for run, (_, _, end) in enumerate(sorted(spans)))
    order = [int(what.split()[1]) for what in side.told if what.startswith("record")]
    assert order == [run for _, run in by_end[:19]]  # the last result ends the campaign


def test_the_same_runs_end_in_the_same_order_for_every_method() -> None:
    plain, training = Counting(), Training()
    clock.run(ONE, plain, 5)
    clock.run(ONE, training, 5)
    assert plain.told == [what for what in training.told if what not in ("train", "ready")]


def test_one_training_at_a_time_and_none_for_nothing() -> None:
    side = Training()
    clock.run(replace(ONE, budget=40), side, 1)
    steps = [what for what in side.told if what in ("train", "ready")]
    assert steps == ["train", "ready"] * (len(steps) // 2) + ["train"] * (len(steps) % 2)
    news = 0
    for what in side.told:
        news += what.startswith("record")
        if what == "train":
            assert news > 0, "a model that nothing asked for"
            news = 0


def test_the_bootstrap_of_known_differences() -> None:
    same = compare.interval([0.5] * 7)
    assert (same.mean, same.low, same.high, same.verdict) == (0.5, 0.5, 0.5, compare.BEHIND)
    around = compare.interval([-1.0, 1.0] * 10)
    assert around.verdict == compare.LEVEL and around.low < -0.2 and around.high > 0.2
    assert compare.interval([-0.9, -1.1, -1.0, -0.8]).verdict == compare.AHEAD
    rng = np.random.default_rng(1)
    values = rng.normal(0.3, 1.0, size=200)
    beside = compare.interval(values.tolist())
    half = 1.96 * values.std() / math.sqrt(200)
    assert beside.low == pytest.approx(values.mean() - half, abs=0.02)
    assert beside.high == pytest.approx(values.mean() + half, abs=0.02)


def test_methods_are_compared_over_common_seeds_alone() -> None:
    beside = compare.compare({0: 0.1, 1: 0.01, 7: 1e9}, {0: 1.0, 1: 1.0, 3: 1e-9})
    assert beside is not None
    assert (beside.seeds, beside.mean, beside.verdict) == (2, -1.5, compare.AHEAD)
    assert compare.compare({0: 0.1, 7: 0.1}, {0: 1.0, 1: 1.0}) is None


def made_run(method: str, seed: int, regret: float, stamp: str = "v1", made: str = "m") -> runs.Run:
    costs = {"n": [8, 25], "cpu": [0.5, 1.5], "wall": [1.0, 2.0]}
    return runs.Run(method, "branin", seed, stamp, made, [[1, regret]], costs, costs, costs)


def test_only_the_newest_stamp_and_the_present_definition_count() -> None:
    old, new = made_run("a", 0, 1.0), made_run("a", 0, 2.0, stamp="v2")
    other, stale = made_run("b", 0, 3.0), made_run("b", 1, 4.0, made="earlier")
    assert compare.current([old, other, stale, new], {"branin": "m"}) == [other, new]


def test_runs_are_kept_and_found_again(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "a.jsonl"
    runs.append(file, made_run("a", 0, 1.0))
    with file.open("a") as torn:
        torn.write('{"method": "a", "problem": "bra')  # its writer was killed here
    assert runs.load([file, tmp_path / "none.jsonl"]) == [made_run("a", 0, 1.0)]
    runs.append(file, made_run("a", 1, 2.0))
    assert [run.seed for run in runs.load([file])] == [0, 1]


def test_runs_of_older_code_are_sampled_by_problem_and_stamped_anew(tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    oldest = replace(made_run("labqueue", 7, 1.0), stamp="oldest")
    old = [replace(made_run("labqueue", seed, 1.0), stamp="old") for seed in range(3)]
    other = replace(made_run("labqueue", 0, 1.0), stamp="old", problem="levy5")
    for run in (oldest, *old, other):
        runs.append(file, run)
    assert runs.samples(file, "labqueue", "new") == [old[0], other]
    assert runs.samples(file, "labqueue", "old") == [] == runs.samples(tmp_path / "none", "labqueue", "new")
    runs.restamp(file, "branin", "old", "new")
    found = runs.load([file])
    assert [run.stamp for run in found] == ["oldest", "new", "new", "new", "old"]
    assert [replace(run, stamp="old") for run in found[1:]] == [*old, other], "nothing else is changed"
    assert [each.name for each in tmp_path.iterdir()] == ["own.jsonl"]


@pytest.mark.parametrize(("text", "found"), [("3", [0, 1, 2]), ("3-5", [3, 4, 5]), ("7-7", [7])])
def test_seeds_as_they_are_asked_for(text: str, found: list[int]) -> None:
    assert list(runs.seeds(text)) == found


def test_the_report_says_who_is_ahead(tmp_path: Path) -> None:
    made = runs.made(problems.make("branin", 0))
    for seed, (own, peer) in enumerate([(0.01, 0.1), (0.02, 0.3), (0.03, 0.1)]):
        runs.append(tmp_path / "own", made_run("labqueue", seed, own, made=made))
        runs.append(tmp_path / "peer", made_run("ax", seed, peer, made=made))
    text = report.text([tmp_path / "own", tmp_path / "peer"])
    assert "0.02 (0.03; 3)" in text and "ahead -0.90 [" in text and "1 of 1" in text
    assert "0.50 / 0.50 (1.00 / 1.00)" in text, "what an ask costs"
    assert "no runs" in report.text([tmp_path / "none"])
