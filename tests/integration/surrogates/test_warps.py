"""Monotone maps of outputs, and the way back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from models.surrogates import warps
from models.surrogates.values import LearningError
from models.surrogates.warps import Warp

SAMPLES = {
    "positive with a long tail": np.exp(np.random.default_rng(1).normal(0, 2, 60)),
    "negative with a long tail": -np.exp(np.random.default_rng(2).normal(0, 2, 60)),
    "plain": np.random.default_rng(3).normal(5, 2, 60),
}


@pytest.mark.parametrize("values", SAMPLES.values(), ids=SAMPLES)
def test_every_map_leads_back_and_knows_its_slope(values: np.ndarray) -> None:
    for warp in warps.candidates(values):
        z = warp.forward(values)
        assert abs(z.mean()) < 1e-9 and z.std(ddof=1) == pytest.approx(1)
        assert np.all(np.diff(z[np.argsort(values)]) >= 0), "monotone"
        assert warp.back(torch.tensor(z)).numpy() == pytest.approx(values, rel=1e-6, abs=1e-9)
        step = 1e-6 * np.abs(values)
        numeric = (warp.forward(values + step) - warp.forward(values - step)) / (2 * step)
        assert warp.slope(values) == pytest.approx(numeric, rel=1e-3)
        assert Warp.from_json(warp.to_json()) == warp


@pytest.mark.parametrize("count", [1, 15, 30, 60, 300])
def test_values_next_to_nothing_are_no_reason_for_a_logarithm(count: int) -> None:
    """A solver's 6e-17 for 0, at 2 to 83 % of the rows."""
    values = np.append(np.abs(SAMPLES["plain"]), np.full(count, 6e-17))
    assert warps.LOG not in {warp.kind for warp in warps.candidates(values)}


def test_values_over_many_decades_may_be_taken_by_their_logarithms() -> None:
    for values in (10.0 ** np.linspace(-6, 3, 20), np.array([1e-9, 1e-5, 1e-2, 1.0])):
        assert warps.LOG in {warp.kind for warp in warps.candidates(values)}


def test_logarithms_are_for_positive_values_alone() -> None:
    kinds = {name: {warp.kind for warp in warps.candidates(values)} for name, values in SAMPLES.items()}
    assert warps.LOG in kinds["positive with a long tail"]
    assert warps.LOG not in kinds["negative with a long tail"]


def test_the_way_back_does_not_run_away() -> None:
    for warp in warps.candidates(SAMPLES["positive with a long tail"]):
        assert torch.isfinite(warp.back(torch.tensor([-1e9, 1e9], dtype=torch.double))).all()


@pytest.mark.parametrize("size", [1e-13, 1e-9, 1e9])
def test_how_large_values_are_does_not_matter(size: float) -> None:
    plain = SAMPLES["plain"]
    here, there = warps.candidates(plain)[0], warps.candidates(size * plain)[0]
    assert np.allclose(there.forward(size * plain), here.forward(plain))


def test_values_that_are_all_the_same_are_kept_as_they_are() -> None:
    (warp,) = warps.candidates(np.full(5, 3.0))
    assert np.all(warp.forward(np.full(5, 3.0)) == 0)


@pytest.mark.parametrize("change", [{"kind": "magic"}, {"scale": 0.0}, {"spread": float("nan")}])
def test_numbers_that_no_fit_gives_are_refused(change: dict[str, object]) -> None:
    body = dataclasses.asdict(warps.candidates(SAMPLES["plain"])[0])
    with pytest.raises(LearningError):
        Warp.from_json({**body, **change})
