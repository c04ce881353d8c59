"""A model of a whole problem: which rows teach which output, which kind serves, and what comes back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from surrogate_problems import HILL, MIXED, hill, mixed_outputs

from labqueue.problem import LEARN, Continuous, Objective, OutcomeConstraint, Output, Problem
from labqueue.strategy import Strategy
from models.surrogates import fitting
from models.surrogates.data import Data, datasets, groups
from models.surrogates.encoding import Encoding
from models.surrogates.kinds.registry import EXACT_ROWS, kind_for
from models.surrogates.likelihood import KERNELS
from models.surrogates.process import Conditioned
from models.surrogates.surrogate import Surrogate
from models.surrogates.values import LearningError, Observation, Point

STRATEGY = Strategy()
POINTS = [
    {"x": float(x), "y": float(10**y)}
    for x, y in zip(
        np.random.default_rng(1).uniform(-5, 10, 24), np.random.default_rng(2).uniform(-3, 1, 24), strict=True
    )
]
ROWS = tuple(Observation(point, {"height": hill(point)}) for point in POINTS)
PURE = Problem(
    (Continuous("x", 0, 1), Continuous("z", 0, 1)),
    (
        Output("yield", "%"),
        Output("purity", "%", noise=0.5),
        Output("phase", classes=("a", "b")),
        Output("spare"),
    ),
    (Objective("yield"), Objective("phase", LEARN)),
    outcome_constraints=(OutcomeConstraint("purity", ">=", 95.0),),
)


def restored(problem: Problem, rows: Sequence[Observation], strategy: Strategy = STRATEGY) -> Surrogate:
    found = fitting.fit(problem, strategy, rows)
    return fitting.restore(problem, strategy, fitting.space_of(problem, rows), rows, found.state)


def pure_rows(count: int = 30) -> list[Observation]:
    found = []
    for x, z in np.random.default_rng(3).random((count, 2)):
        outputs = {"yield": 50 + 40 * x, "purity": 99 - 9 * z, "phase": float(x > z), "spare": 1.0}
        found.append(Observation({"x": float(x), "z": float(z)}, outputs))
    return found


def test_the_model_tells_every_wanted_output_in_lab_units() -> None:
    surrogate = restored(PURE, pure_rows())
    assert surrogate.outputs == ("yield", "purity") and list(surrogate.labels) == ["phase"]
    at = np.array([[0.2, 0.9], [0.7, 0.1]])
    means, spreads = surrogate.predict(at)
    assert means == pytest.approx(np.array([[58, 90.9], [78, 98.1]]), abs=0.6)
    assert (spreads > 0).all() and spreads.max() < 2
    assert surrogate.probabilities("phase", at).argmax(axis=1).tolist() == [0, 1]
    assert surrogate.smooth
    posterior = surrogate.joint.posterior(surrogate.tensor(at)[:, None])
    assert surrogate.lab(posterior.mean.detach()).squeeze(1).numpy() == pytest.approx(means, abs=0.3)


def test_a_partial_row_teaches_the_outputs_that_it_has() -> None:
    rows = pure_rows()
    rows[4] = replace(rows[4], outputs={"purity": 97.0})
    rows[5] = replace(rows[5], outputs={"yield": 60.0, "phase": math.nan})
    data = datasets(PURE, Encoding(PURE), rows)
    assert {name: len(each) for name, each in data.items()} == {"yield": 29, "phase": 28, "purity": 29}
    assert fitting.fit(PURE, STRATEGY, rows).metrics["outputs"]["purity"]["n"] == 29


def test_noise_comes_from_the_result_or_else_the_problem_and_replicates_are_rows() -> None:
    rows = pure_rows(4)
    rows[1] = replace(
        rows[1], noise={"purity": 2.0}, replicates={"purity": (97.5, math.inf), "yield": (51.0,)}
    )
    rows.append(replace(rows[0], outcome="infeasible"))
    data = datasets(PURE, Encoding(PURE), rows)
    assert data["purity"].noise.tolist() == [0.5, 2.0, 2.0, 0.5, 0.5]
    assert data["purity"].values[2] == 97.5 and np.array_equal(
        data["purity"].inputs[1], data["purity"].inputs[2]
    )
    assert len(data["yield"]) == 5 and np.isnan(data["yield"].noise).all()


def test_too_few_results_are_said_plainly() -> None:
    rows = [replace(each, outputs={"purity": 1.0, "phase": 0.0}) for each in pure_rows(3)]
    with pytest.raises(LearningError, match="fewer than 2 results with yield are in"):
        fitting.fit(PURE, STRATEGY, rows)
    with pytest.raises(LearningError, match="no objective"):
        fitting.fit(replace(HILL, objectives=()), STRATEGY, ROWS)


def test_one_hot_columns_are_one_group() -> None:
    space = Encoding(MIXED)
    assert groups(space) == (*range(space.width - 3), *[space.width - 3] * 3)
    points: list[Point] = [
        {
            "a": 0.2,
            "b": 0.3,
            "c": 0.5,
            "rate": 5.0,
            "cycles": 5 + k,
            "stages": 1,
            "size": 1.0,
            "solvent": name,
        }
        for k in range(8)
        for name in ("water", "ethanol", "DMSO")
    ]
    rows = [Observation(each, mixed_outputs(each)) for each in points]
    lengths = fitting.fit(MIXED, STRATEGY, rows).metrics["outputs"]["yield"]["lengthscales"]
    assert len(set(lengths[-3:])) == 1 and len(lengths) == space.width


@pytest.mark.parametrize(
    ("rows", "columns", "classes", "asked", "kind"),
    [
        (50, 6, 0, "auto", "gp"),
        (EXACT_ROWS + 1, 6, 0, "auto", "variational"),
        (50, 30, 0, "auto", "saas"),
        (1_500, 30, 0, "auto", "gp"),
        (50, 6, 3, "auto", "variational"),
        (50, 6, 3, "gp", "variational"),
        (50, 6, 3, "forest", "forest"),
        (50, 6, 0, "robust", "robust"),
    ],
)
def test_the_kind_suits_the_rows(rows: int, columns: int, classes: int, asked: str, kind: str) -> None:
    assert kind_for(asked, Data.of(np.zeros((rows, columns)), np.zeros(rows), classes=classes)) == kind


@pytest.mark.parametrize("surrogate", ["gp", "robust", "forest"])
def test_the_strategy_names_the_kind(surrogate: str) -> None:
    assert (
        fitting.fit(HILL, Strategy(surrogate=surrogate), ROWS).metrics["outputs"]["height"]["kind"]
        == surrogate
    )


def test_the_same_rows_give_the_same_state_and_rows_seen_later_count() -> None:
    first, again = (fitting.fit(HILL, STRATEGY, ROWS[:20], seed=4) for _ in range(2))
    assert first.state == again.state
    space = Encoding(HILL)
    last = space.encode([POINTS[-1]])
    before, after = (
        fitting.restore(HILL, STRATEGY, space, rows, first.state).predict(last)[1]
        for rows in (ROWS[:20], ROWS)
    )
    assert after[0, 0] < 0.1 * before[0, 0]


def test_a_fit_goes_on_from_the_last_one_until_the_rows_have_grown() -> None:
    generator = np.random.default_rng(8)
    points: list[Point] = [
        {"x": float(x), "y": float(10**y)}
        for x, y in zip(generator.uniform(-5, 10, 130), generator.uniform(-3, 1, 130), strict=True)
    ]
    rows = [Observation(each, {"height": hill(each) + float(generator.normal(0, 0.05))}) for each in points]
    first = fitting.fit(HILL, STRATEGY, rows[:100])
    warm = fitting.fit(HILL, STRATEGY, rows[:110], first.state)
    assert first.metrics["refit"] and not warm.metrics["refit"]
    afresh = fitting.fit(HILL, STRATEGY, rows[:110])
    quality = [each.metrics["outputs"]["height"]["nll"] for each in (warm, afresh)]
    assert quality[0] == pytest.approx(quality[1], abs=0.02)
    assert fitting.fit(HILL, STRATEGY, rows, first.state).metrics["refit"], "grown by a quarter"
    assert fitting.fit(HILL, Strategy(surrogate="gp"), rows[:110], first.state).metrics["refit"], (
        "another kind"
    )
    assert fitting.fit(HILL, STRATEGY, rows[:110], b"nonsense").metrics["refit"]


def test_many_points_are_told_in_pieces() -> None:
    surrogate = restored(HILL, ROWS)
    inputs = np.random.default_rng(1).random((9_000, 2))
    means, spreads = surrogate.predict(inputs)
    some = surrogate.predict(inputs[8_990:])
    assert means[8_990:] == pytest.approx(some[0]) and spreads[8_990:] == pytest.approx(some[1])


def test_a_graphics_card_is_for_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert fitting.device_for(fitting.GPU_ROWS - 1) == "cpu"
    assert fitting.device_for(fitting.GPU_ROWS) == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert fitting.device_for(100_000) == "cpu"


@pytest.mark.parametrize("surrogate", ["auto", "gp", "multi_output", "robust"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_named_kernel_is_the_only_one(surrogate: str, kernel: str) -> None:
    found = fitting.fit(HILL, Strategy(surrogate=surrogate, kernel=kernel), ROWS[:12])
    assert found.metrics["outputs"]["height"]["kernel"] == kernel
    restored = fitting.restore(HILL, STRATEGY, fitting.space_of(HILL, ROWS), ROWS[:12], found.state)
    views = [view.model for part in restored.parts for view in (part, *part.others)]
    assert all(isinstance(each, Conditioned) and each.kernel == kernel for each in views)


@pytest.mark.parametrize("surrogate", ["gp", "multi_output"])
def test_a_fit_with_another_kernel_is_no_start(surrogate: str) -> None:
    points = [{"x": float(x), "y": 1.0} for x in np.linspace(-5, 10, 70)]
    rows = tuple(Observation(point, {"height": hill(point)}) for point in points)
    first = fitting.fit(HILL, Strategy(surrogate=surrogate, kernel="rbf"), rows)
    other = fitting.fit(HILL, Strategy(surrogate=surrogate, kernel="matern12"), rows, first.state)
    assert other.metrics["outputs"]["height"]["kernel"] == "matern12"
