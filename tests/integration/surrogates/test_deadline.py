"""What a deadline ends, and that no work is done twice. Clocks count what is valued; none measures time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from surrogate_problems import HILL, hill_rows, snapshot
from torch import Tensor

from labqueue.problem import Problem
from labqueue.strategy import Strategy
from models.surrogates import acquisition, design, fitting, learner, likelihood
from models.surrogates.acquisition import Situation, Worth, front
from models.surrogates.acquisition.worth import CHUNK
from models.surrogates.encoding import Encoding
from models.surrogates.search import Effort, ranked
from models.surrogates.values import Observation

ENCODING = Encoding(HILL)
ROWS = hill_rows(design.points(ENCODING, 11, 0, 12))


@dataclass
class Counted:
    """A hill in the cube that counts the rows it was asked for."""

    rows: int = 0

    def __call__(self, inputs: Tensor) -> Tensor:
        self.rows += len(inputs)
        return -(inputs - 0.3).square().sum(dim=(-2, -1))

    def worth(self) -> Worth:
        return Worth("log_ei", self, "cpu")


def after(calls: int) -> Callable[[], bool]:
    left = iter([False] * calls)
    return lambda: next(left, True)


@pytest.mark.parametrize("chunks", [1, 3])
def test_what_is_not_valued_by_the_deadline_counts_as_nothing(chunks: int) -> None:
    counted, rows = Counted(), torch.rand(10 * CHUNK, 2, dtype=torch.double)
    found = counted.worth().of(rows, after(chunks - 1))
    assert counted.rows == chunks * CHUNK, "one chunk is always valued"
    assert torch.equal(found[: counted.rows], counted.worth().of(rows)[: chunks * CHUNK])
    assert bool((found[chunks * CHUNK :] == -math.inf).all())


def test_every_row_is_valued_whatever_their_number() -> None:
    for count in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK + 9):
        found = Counted().worth().of(torch.rand(count, 2, dtype=torch.double))
        assert len(found) == count and bool(found.isfinite().all())


def test_a_search_values_no_more_than_the_deadline_leaves_time_for() -> None:
    counted = Counted()
    effort = Effort(lambda: 1.5 * CHUNK - counted.rows)
    found = ranked(counted.worth(), ENCODING, [], 1, effort)
    assert effort.cut and counted.rows <= 2 * CHUNK
    assert np.isfinite(found.values).sum() == counted.rows
    valued = found.rows[: counted.rows]
    assert valued.min() < 0.1 and valued.max() > 0.9, "what is valued is of everywhere"
    assert len(found.points) > 500, "the others can still fill places"


def test_a_search_values_the_points_it_looks_at_once() -> None:
    counted, climbed = Counted(), Counted()
    effort = Effort(lambda: None)
    ranked(counted.worth(), ENCODING, [], 1, effort)
    few = Effort(lambda: effort.raw - climbed.rows)  # no time is left for a climb
    ranked(climbed.worth(), ENCODING, [], 1, few)
    assert climbed.rows == few.raw == effort.raw
    assert counted.rows < 2 * effort.raw


def test_the_draws_of_a_front_fall_with_its_objectives(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a", "b", "c", "d"]
    rows = [
        Observation(point, {name: math.sin(float(point["x"]) + k) for k, name in enumerate(names)})
        for point in design.points(ENCODING, 5, 0, 8)
    ]
    seen: dict[int, int] = {}
    real = front.Drawn.of

    def counted(given: Situation, points: Tensor, draws: int, least: int, places: int) -> Any:
        seen[len(given.surrogate.outputs)] = draws
        return real(given, points, draws, least, places)

    monkeypatch.setattr(front.Drawn, "of", counted)
    for count in (2, 3, 4):
        wanted = Problem.from_json(
            {
                "parameters": [each.to_json() for each in HILL.parameters],
                "outputs": [{"name": name} for name in names[:count]],
                "objectives": [{"output": name} for name in names[:count]],
            }
        )
        state = fitting.fit(wanted, Strategy(), rows).state
        surrogate = fitting.restore(wanted, Strategy(), Encoding(wanted), rows, state)
        given = Situation.of(surrogate, rows, [], Strategy(), 1)
        value = acquisition.made("log_nehvi", given).of(torch.rand(5, 2, dtype=torch.double))
        assert bool(value.isfinite().all())
    assert seen[2] == 64 and seen[3] == 16 and seen[4] == 4


def densities(monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object]) -> int:
    """How often a posterior density was worked out meanwhile."""
    asked = 0
    real = likelihood.density_of

    def counted(task: likelihood.Task) -> Any:
        density = real(task)

        def noted(position: Tensor) -> Any:
            nonlocal asked
            asked += 1
            return density(position)

        return noted

    with monkeypatch.context() as patch:
        patch.setattr(likelihood, "density_of", counted)
        ask()
    return asked


def test_the_fit_of_an_ask_ends_with_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10**6))
    given = snapshot(HILL, ROWS, deadline_seconds=20.0)
    whole = densities(monkeypatch, lambda: learner.suggest(snapshot(HILL, ROWS)))
    found = []
    cut = densities(
        monkeypatch, lambda: found.append(learner.suggest(given, clock=lambda: float(next(ticks))))
    )
    assert cut < whole / 3
    assert found[0].effort["cut"] and "No model" not in found[0].candidates[0].reason


@pytest.mark.parametrize(
    "kind", ["gp", "saas", "robust", "variational", "ensemble", "forest", "multi_output"]
)
def test_a_fit_without_time_still_finds_a_model(kind: str) -> None:
    strategy = Strategy(surrogate=kind)
    state = fitting.hurried(HILL, strategy, ENCODING, ROWS, 0, "cpu", lambda: True)
    mean, spread = fitting.restore(HILL, strategy, ENCODING, ROWS, state).predict(
        ENCODING.encode([ROWS[0].parameters])
    )
    assert np.isfinite(mean).all() and np.isfinite(spread).all()
    patient = fitting.hurried(HILL, strategy, ENCODING, ROWS, 0, "cpu", lambda: False)
    assert patient == fitting.fit(HILL, strategy, ROWS).state
    assert (state == patient) == (kind == "forest"), "a forest is not climbed"
