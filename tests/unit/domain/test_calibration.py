"""Stored expectations against what came."""

from __future__ import annotations

import math
import random

import pytest

from models.domain.calibration import Calibration, calibration


def test_an_honest_model_is_called_so() -> None:
    generator = random.Random(1)
    values = [(mean, 2.0, generator.gauss(mean, 2.0)) for mean in range(4000)]
    found = calibration(values)
    assert found.n == 4000
    assert found.coverage50 == pytest.approx(0.5, abs=0.03)
    assert found.coverage95 == pytest.approx(0.95, abs=0.015)
    assert found.z_mean == pytest.approx(0.0, abs=0.06)
    assert found.z_sd == pytest.approx(1.0, abs=0.05)
    assert found.rmse == pytest.approx(2.0, abs=0.1)


def test_a_model_too_sure_of_itself_is_found_out() -> None:
    generator = random.Random(2)
    found = calibration([(0.0, 0.5, generator.gauss(0.3, 1.0)) for _ in range(2000)])
    assert found.coverage95 is not None and found.coverage95 < 0.75
    assert found.z_mean == pytest.approx(0.6, abs=0.15)
    assert found.z_sd == pytest.approx(2.0, abs=0.15)


def test_figures_of_three_values() -> None:
    found = calibration([(1.0, 1.0, 2.0), (1.0, 1.0, 1.0), (1.0, 0.25, 0.0)])
    assert found == Calibration(3, 1 / 3, 2 / 3, pytest.approx(-1.0), pytest.approx(math.sqrt(7)), pytest.approx(math.sqrt(2 / 3)))  # fmt: skip


def test_what_cannot_be_judged_is_left_out() -> None:
    assert calibration([(math.nan, 1.0, 1.0), (1.0, -1.0, 1.0)]) == Calibration(
        0, None, None, None, None, None
    )
    exact = calibration([(2.0, 0.0, 2.0), (2.0, 0.0, 3.0)])
    assert (exact.coverage95, exact.z_mean, exact.z_sd) == (0.5, None, None)
