"""What is said of a chosen point."""

from __future__ import annotations

from typing import Any

import pytest

from labqueue.problem import Problem
from models.surrogates.reasons import Sentences


@pytest.mark.parametrize(
    ("goal", "best", "said"),
    [
        ({"goal": "window", "low": 9, "high": 10}, -0.0, "the best so far is in the window from 9 to 10"),
        ({"goal": "window", "low": 9, "high": 10}, -0.5, "is 0.5 away from the window from 9 to 10"),
        ({"goal": "target", "target": 7}, 0.0, "the best so far is at the target of 7"),
        ({"goal": "target", "target": 7}, -0.25, "is 0.25 away from the target of 7"),
        ({"goal": "minimize"}, -3.0, "the best so far is 3 ("),
    ],
)
def test_the_best_so_far_in_words(goal: dict[str, Any], best: float, said: str) -> None:
    problem = Problem.from_json(
        {
            "parameters": [{"name": "x", "kind": "continuous", "low": 0, "high": 1}],
            "outputs": [{"name": "height"}],
            "objectives": [{"output": "height", **goal}],
        }
    )
    expected = {"height": (9.5, 0.1), "score": (best - 0.1, 0.2)}
    assert said in Sentences(problem, best).chosen("log_nei", expected, [], 0)
