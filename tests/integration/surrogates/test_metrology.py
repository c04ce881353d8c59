"""The figures of a model's quality, against figures worked out by hand and against what samples of a process must give."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from models.surrogates import gp, metrology
from models.surrogates.data import Data
from models.surrogates.kinds.folds import by_strangers, held_out, parts, unseen
from models.surrogates.kinds.gp import Exact
from models.surrogates.kinds.kind import Foretold
from models.surrogates.likelihood import MATERN
from models.surrogates.warps import IDENTITY, Warp

PLAIN = Warp(IDENTITY, 0.0, 1.0, 1.0, 0.0, 2.0, -3.0, 3.0)


def test_figures_of_three_rows() -> None:
    data = Data.of(np.zeros((3, 1)), np.array([2.0, 4.0, 9.0]))
    foretold = Foretold.of(data, PLAIN, np.array([1.0, 1.5, 1.0]), np.array([0.01, 1.0, 1.0]))
    figures = metrology.of_numbers(foretold, data)
    assert figures["rmse"] == pytest.approx(math.sqrt((0 + 1 + 49) / 3))
    assert figures["r2"] == pytest.approx(1 - (50 / 3) / np.var([2, 4, 9]))
    assert (figures["coverage50"], figures["coverage95"]) == (2 / 3, 2 / 3)
    density = [norm(2, 0.2).logpdf(2), norm(3, 2).logpdf(4), norm(2, 2).logpdf(9)]
    assert figures["nll"] == pytest.approx(-np.mean(density)), "in lab units"
    assert figures["rank"] == pytest.approx(0.0)


def test_what_has_no_spread_has_no_rank_and_no_r2() -> None:
    data = Data.of(np.zeros((3, 1)), np.full(3, 5.0))
    figures = metrology.of_numbers(Foretold.of(data, PLAIN, np.full(3, 2.5), np.ones(3)), data)
    assert figures["r2"] is None and figures["rank"] is None and figures["rmse"] == 0


def test_figures_of_labels() -> None:
    data = Data.of(np.zeros((3, 1)), np.array([0.0, 1.0, 1.0]), classes=2)
    figures = metrology.of_labels(np.array([[0.8, 0.2], [0.6, 0.4], [0.0, 1.0]]), data)
    assert figures["accuracy"] == pytest.approx(2 / 3)
    assert figures["nll"] == pytest.approx(-(math.log(0.8) + math.log(0.4)) / 3)
    impossible = metrology.of_labels(np.array([[0.0, 1.0]] * 3), data)
    assert math.isfinite(impossible["nll"])


def test_coverage_is_nominal_on_samples_of_a_process() -> None:
    generator = np.random.default_rng(5)
    hyper = gp.Hyper(Warp(IDENTITY, 0, 1, 1, 0, 1, -4, 4), MATERN, (0.3, 0.3), 1.0, 0.04, 0.0, 0.0)
    found = []
    for _ in range(12):
        inputs = generator.random((60, 2))
        model = gp.build(Data.of(inputs, np.zeros(60)), hyper, "cpu")
        with torch.no_grad():
            matrix = model.layered.covar_module(torch.as_tensor(inputs)).to_dense().numpy() + 0.04 * np.eye(
                60
            )
        data = Data.of(inputs, np.linalg.cholesky(matrix) @ generator.standard_normal(60))
        found.append(metrology.of_numbers(Exact((hyper,)).foretell(data, 0, "cpu"), data))
    assert np.mean([each["coverage95"] for each in found]) == pytest.approx(0.95, abs=0.03)
    assert np.mean([each["coverage50"] for each in found]) == pytest.approx(0.5, abs=0.06)


def test_each_row_is_foretold_by_those_that_left_it_out() -> None:
    inputs = np.random.default_rng(2).random((40, 3))
    inputs[7] = inputs[3]
    left = unseen(8, inputs)
    assert (left.sum(axis=0) == 2).all() and np.array_equal(left[:, 7], left[:, 3]), "twins go together"
    assert np.array_equal(parts(inputs[:20]), parts(inputs)[:20]), "whatever else there is"
    values = np.where(left[..., None], 1.0, 99.0)
    assert by_strangers(values, left) == pytest.approx(np.ones((40, 1)))
    data = Data.of(inputs, np.arange(40.0))

    def foretold(seen: Data, others: Data) -> np.ndarray:
        assert not set(seen.values) & set(others.values)
        return others.values[:, None]

    assert held_out(data, foretold)[:, 0].tolist() == data.values.tolist()
