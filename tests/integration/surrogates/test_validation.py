"""Rows foretold by models that have not seen them: the same as a model's own figures, and as models without the row."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from labqueue.problem import Problem
from labqueue.strategy import Strategy
from models.surrogates import fitting, validation
from models.surrogates.learner import predict
from models.surrogates.values import LearningError, Observation

PROBLEM = Problem.from_json(
    {
        "parameters": [
            {"name": "x", "kind": "continuous", "low": 0, "high": 1},
            {"name": "cat", "kind": "categorical", "categories": ["A", "B"]},
        ],
        "outputs": [{"name": "y"}, {"name": "z"}],
        "objectives": [{"output": "y"}, {"output": "z"}],
    }
)


def rows(count: int, noise: float = 0.05) -> list[Observation]:
    luck = np.random.default_rng(4)
    found = []
    for place in range(count):
        x, cat = float(luck.random()), "AB"[place % 2]
        y = math.sin(6 * x) + (cat == "B") + noise * float(luck.standard_normal())
        found.append(Observation({"x": x, "cat": cat}, {"y": y, "z": 3.0 + x * x}))
    return found


def test_what_is_foretold_makes_the_models_own_figures() -> None:
    data = rows(20)
    fitted = fitting.fit(PROBLEM, Strategy(), data)
    found = validation.held_out(PROBLEM, Strategy(), data, fitted.state)
    for name in ("y", "z"):
        (whole,) = found[name]
        assert whole.rows == 20 and whole.observed == tuple(each.outputs[name] for each in data)
        error = np.array(whole.predicted) - np.array(whole.observed)
        assert math.sqrt(np.mean(error**2)) == pytest.approx(fitted.metrics["outputs"][name]["rmse"])
        assert min(whole.sd) > 0


def test_a_row_is_foretold_as_by_a_model_without_it() -> None:
    data = rows(16)
    fitted = fitting.fit(PROBLEM, Strategy(), data)
    whole = validation.held_out(PROBLEM, Strategy(), data, fitted.state)["y"][0]
    for place in (0, 7):
        others = data[:place] + data[place + 1 :]
        mean, _ = predict(PROBLEM, others, fitted.state, [data[place].parameters])[0]["y"]
        assert whole.predicted[place] == pytest.approx(mean, abs=0.05)


def test_spreads_hold_the_values_about_as_often_as_they_say() -> None:
    data = [
        replace(each, outputs={"y": 100 * each.outputs["y"], "z": 1.0 + place})
        for place, each in enumerate(rows(60, noise=0.3))
    ]
    fitted = fitting.fit(PROBLEM, Strategy(), data)
    whole = validation.held_out(PROBLEM, Strategy(), data, fitted.state)["y"][0]
    scores = (np.array(whole.observed) - np.array(whole.predicted)) / np.array(whole.sd)
    assert 0.7 < float(scores.std()) < 1.4


def test_first_rows_have_models_of_their_own() -> None:
    data = [*rows(12), Observation({"x": 0.5, "cat": "A"}, {}, outcome="infeasible")]
    fitted = fitting.fit(PROBLEM, Strategy(), data)
    found = validation.held_out(PROBLEM, Strategy(), data, fitted.state, sizes=[1, 6, 12, 13])
    assert [each.rows for each in found["y"]] == [12, 6, 12], (
        "of one row there is no model, and there are no 13"
    )
    assert found["y"][1].observed == found["y"][0].observed[:6]
    alone = fitting.fit(PROBLEM, Strategy(), data[:6])
    assert found["y"][1] == validation.held_out(PROBLEM, Strategy(), data[:6], alone.state)["y"][0]


@pytest.mark.parametrize("surrogate", ["multi_output", "forest", "variational"])
def test_every_kind_of_model_foretells(surrogate: str) -> None:
    data, strategy = rows(16), Strategy(surrogate=surrogate)
    fitted = fitting.fit(PROBLEM, strategy, data)
    found = validation.held_out(PROBLEM, strategy, data, fitted.state)
    error = np.array(found["y"][0].predicted) - np.array(found["y"][0].observed)
    assert math.sqrt(np.mean(error**2)) == pytest.approx(fitted.metrics["outputs"]["y"]["rmse"])


def test_a_state_of_another_problem_is_refused() -> None:
    data = rows(8)
    other = Problem.from_json({**PROBLEM.to_json(), "objectives": [{"output": "y"}]})
    fitted = fitting.fit(other, Strategy(), data)
    with pytest.raises(LearningError, match="another problem"):
        validation.held_out(PROBLEM, Strategy(), data, fitted.state)
