"""Mixtures of acquisition functions: what each share chooses, and what is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from surrogate_problems import HILL, hill_rows, snapshot

from labqueue.strategy import Share, StopRules, Strategy
from models.surrogates import design, learner
from models.surrogates.acquisition.mixture import pick
from models.surrogates.encoding import Encoding
from models.surrogates.feasible import Feasibility
from models.surrogates.values import Observation, Point, Snapshot, Suggestion

ENCODING = Encoding(HILL)
POINTS = design.points(ENCODING, 11, 0, 16)
ROWS = hill_rows(POINTS[:12])
MODEL = learner.fit(HILL, Strategy(), ROWS).state
BY_CHANCE = (Share("random"),)
SHARES = (Share("auto", 0.6), Share("random", 0.4))
MIXED = Strategy(acquisition=SHARES)


def ask(rows: tuple[Observation, ...] = tuple(ROWS), **changes: Any) -> Snapshot:
    return snapshot(HILL, rows, **{"model": MODEL, "count": 0, **changes})


def points_of(suggestion: Suggestion) -> list[Point]:
    return [each.parameters for each in suggestion.candidates]


BEST = tuple(points_of(learner.suggest(ask(count=3))))


@pytest.mark.parametrize("number", range(4))
def test_what_is_drawn_by_chance_is_drawn_though_better_points_are_staged(number: int) -> None:
    asked = ask(strategy=MIXED, number=number, staged=BEST[:2])
    found = learner.suggest(asked).candidates
    names = [pick(SHARES, asked.seed, number, place) for place in range(2)]
    for name, each in zip(names, found, strict=True):
        by_chance = each.reason.startswith("Drawn by chance")
        assert by_chance == (name == "random")
        assert not (by_chance and each.parameters in BEST)


def test_a_mixture_chooses_both_in_these_asks() -> None:
    names = {pick(SHARES, ask().seed, number, place) for number in range(4) for place in range(2)}
    assert names == {"auto", "random"}, "the test above sees both"


def drawn(rows: tuple[Observation, ...] = tuple(ROWS), **strategy: Any) -> list[Point]:
    asked = Strategy(acquisition=BY_CHANCE, **strategy)
    return [
        point
        for number in range(12)
        for point in points_of(learner.suggest(ask(rows, strategy=asked, number=number, count=3)))
    ]


def test_chance_asks_for_no_price() -> None:
    assert drawn(cost="1 + 1000 * max(0, x - 2)") == drawn()


def test_chance_goes_everywhere_but_where_runs_are_likely_to_be_impossible() -> None:
    impossible = tuple(
        Observation({"x": x, "y": y}, {}, outcome="infeasible")
        for x in (8.5, 9.0, 9.5)
        for y in (2.0, 5.0, 8.0)
    )
    avoided = Feasibility(*(_inputs([each.parameters for each in rows]) for rows in (ROWS, impossible)))
    spread = drawn((*ROWS, *impossible))
    chances = avoided.log_probability(_inputs(spread)).exp()
    assert chances.min() > 0.5 > avoided.log_probability(_inputs(drawn())).exp().min()
    assert _shares(spread).std(axis=0).min() > 0.2, "0.29 where it is even"


def _inputs(points: Sequence[Point]) -> torch.Tensor:
    return torch.as_tensor(ENCODING.encode(points))


def _shares(points: list[Mapping[str, Any]]) -> np.ndarray[Any, Any]:
    return np.clip(ENCODING.encode(points), 0, 1)


@pytest.mark.parametrize("other", ["uncertainty", "random", "thompson"])
def test_a_rule_that_waits_for_nothing_more_to_gain_is_told_of_the_best_point(other: str) -> None:
    auto = learner.suggest(ask(count=1)).gain
    stop = StopRules(gain=1e-6)
    found = learner.suggest(ask(count=1, strategy=Strategy(acquisition=(Share(other),), stop=stop))).gain
    assert auto is not None and found == pytest.approx(auto, rel=0.05)
