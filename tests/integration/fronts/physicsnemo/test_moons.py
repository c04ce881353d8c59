"""The example: a whole run on the real stack."""

from __future__ import annotations

from pathlib import Path

from whole import Whole


def test_a_classifier_learns_the_moons(lab: Whole, tmp_path: Path) -> None:
    import run

    driver = run.driver_for("uncertainty", "smoke", tmp_path, steps=3)
    driver(train_step_fn=run.training_step)
    [f1] = driver.metrology_strategies or []
    assert [each["num_train_samples"] for each in f1.records] == [20, 30, 40]
    assert len(driver.training_pool) == 50 and driver.outstanding == 0
