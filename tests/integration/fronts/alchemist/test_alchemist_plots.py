"""Numbers for plots: the model over two variables, and how well it foretells."""

from __future__ import annotations

from typing import Any

import pytest
from alchemist_lab import CATEGORY, POINTS, Program

from services.fronts.alchemist.learning.heldout import HeldOut

X, Y = ({"name": name, "type": "real", "min": 0.0, "max": 2.0} for name in "xy")
WHOLE = {"name": "n", "type": "integer", "min": 1, "max": 4}
LIST = {"name": "d", "type": "discrete", "allowed_values": [1, 2, 5]}
HUMID = {"name": "humidity", "type": "real", "min": 0, "max": 100, "role": "observed"}
VARIABLES = (X, Y, WHOLE, LIST, CATEGORY, HUMID)
GETS = ("parity", "metrics", "qq-plot", "calibration-curve", "hyperparameters")


def row(place: int) -> dict[str, Any]:
    x, y = (place * 7 % 20) / 10, (place * 3 % 20) / 10
    inputs = {"x": x, "y": y, "n": place % 4 + 1, "d": (1, 2, 5)[place % 3]}
    inputs |= {"catalyst": CATEGORY["categories"][place % 3], "humidity": 10.0 * (place % 5)}
    bonus = 0.5 if inputs["catalyst"] == "Pt" else 0.0
    return {"inputs": inputs, "output": 3 - (x - 1.2) ** 2 - (y - 0.6) ** 2 + bonus + 0.02 * (place % 2)}


def trained(program: Program, rows: int = 20) -> None:
    program.begin(*VARIABLES)
    program.ok("POST", "experiments/batch", {"experiments": [row(place) for place in range(rows)]})
    program.ok("POST", "model/train", {"backend": "botorch", "kernel": "Matern"})


def test_without_a_model_there_is_nothing_to_draw(program: Program) -> None:
    program.begin()
    for path in ("contour", "surface"):
        body = {"x_var": "temperature", "y_var": "stirring"}
        assert "trained" in program.refused(400, "POST", f"visualizations/{path}", body)["detail"]
    for path in GETS:
        assert set(program.refused(400, "GET", f"visualizations/{path}")) == {"detail"}


def test_the_model_over_two_variables(real: Program) -> None:
    trained(real)
    body = {
        "x_var": "x",
        "y_var": "y",
        "grid_resolution": 11,
        "fixed_values": {"catalyst": "Pt", "x": 9, "q": 1},
    }
    found = real.ok("POST", "visualizations/contour", {**body, "include_suggestions": True})
    assert found["x_grid"][0] == pytest.approx([place / 5 for place in range(11)])
    assert found["x_grid"] == [found["x_grid"][0]] * 11
    assert [line[0] for line in found["y_grid"]] == found["x_grid"][0] and len(set(found["y_grid"][4])) == 1
    means = found["predictions"]
    place = max(
        ((line, column) for line in range(11) for column in range(11)), key=lambda p: means[p[0]][p[1]]
    )
    assert abs(place[0] - 3) <= 1 and abs(place[1] - 6) <= 1, "rows are of y, columns of x"
    flat = [value for line in means for value in line]
    assert found["colorbar_bounds"] == [min(flat), max(flat)]
    assert all(value > 0 for line in found["uncertainties"] for value in line)
    outputs = [row(each)["output"] for each in range(20)]
    assert found["output_range"] == pytest.approx([min(outputs), max(outputs)])
    assert found["experiments"]["output"] == pytest.approx(outputs) and len(found["experiments"]["x"]) == 20
    assert found["suggestions"] is None and (found["x_bounds"], found["y_bounds"]) == ([0.0, 2.0], [0.0, 2.0])
    surface = real.ok("POST", "visualizations/surface", {**body, "include_experiments": False})
    assert surface["predictions"] == means and surface["experiments"] is None
    (point,) = real.ok("POST", "acquisition/suggest", {})["suggestions"]
    drawn = real.ok("POST", "visualizations/contour", {**body, "include_suggestions": True})["suggestions"]
    assert drawn == {"x": [point["x"]], "y": [point["y"]]}


def test_a_whole_number_and_a_large_grid(real: Program) -> None:
    trained(real)
    body = {"x_var": "n", "y_var": "humidity", "grid_resolution": 150}
    found = real.ok("POST", "visualizations/contour", body)
    assert len(found["predictions"]) == 150 == len(found["predictions"][0])
    assert found["x_bounds"] == [1.0, 4.0] and found["x_grid"][0][1] == pytest.approx(1 + 3 / 149)


@pytest.mark.parametrize(
    "body",
    [
        {"x_var": "x", "y_var": "catalyst"},
        {"x_var": "d", "y_var": "x"},
        {"x_var": "x", "y_var": "x"},
        {"x_var": "q", "y_var": "x"},
        {"x_var": "x", "y_var": "y", "fixed_values": {"catalyst": "Zn"}},
    ],
)
def test_slices_that_cannot_be_drawn(real: Program, body: dict[str, Any]) -> None:
    trained(real, 6)
    real.refused(400, "POST", "visualizations/contour", body)
    refused = real.refused(
        422, "POST", "visualizations/contour", {"x_var": "x", "y_var": "y", "grid_resolution": 5}
    )
    assert refused["error_type"] == "ValidationError"


def test_how_well_a_model_foretells(real: Program) -> None:
    trained(real)
    parity = real.ok("GET", "visualizations/parity")
    assert parity["y_true"] == pytest.approx([row(each)["output"] for each in range(20)])
    assert len(parity["y_pred"]) == len(parity["y_std"]) == 20 and parity["calibrated"] is False
    assert set(parity["metrics"]) == {"rmse", "mae", "r2", "mape"} and parity["metrics"]["r2"] > 0.3
    model = real.ok("GET", "model")["metrics"]
    assert model == pytest.approx({name: parity["metrics"][name] for name in ("rmse", "mae", "r2")})
    quantiles = real.ok("GET", "visualizations/qq-plot")
    assert quantiles["n_samples"] == 20 and quantiles["sample_quantiles"] == sorted(
        quantiles["sample_quantiles"]
    )
    assert quantiles["theoretical_quantiles"][0] == pytest.approx(-2.3263478740408408)
    calibrated = real.ok("GET", "visualizations/qq-plot", params={"use_calibrated": "true"})
    assert calibrated["z_std"] == pytest.approx(1.0) and calibrated["calibrated"] is True
    known = real.ok("GET", "visualizations/hyperparameters")
    assert (known["backend"], known["kernel"]) == ("botorch", "Matern")
    assert known["calibration_factor"] == pytest.approx(quantiles["z_std"])
    curve = real.ok("GET", "visualizations/calibration-curve", params={"use_calibrated": "true"})
    assert curve["nominal_coverage"] == pytest.approx([0.1 + 0.05 * place for place in range(18)])
    assert (
        curve["empirical_coverage"] == sorted(curve["empirical_coverage"]) == curve["empirical_probabilities"]
    )
    assert (
        curve["confidence_levels"][-1] == "\u00b11.96\u03c3 (95%)" and curve["results_type"] == "calibrated"
    )
    assert set(real.refused(400, "GET", "visualizations/parity", params={"target": "no"})) == {"detail"}


def test_more_rows_teach_more(real: Program) -> None:
    trained(real, 30)
    found = real.ok("GET", "visualizations/metrics", params={"cv_splits": 3})
    sizes = found["training_sizes"]
    assert sizes[0] == 5 and sizes[-1] == 30 and sizes == sorted(set(sizes)) and len(sizes) == 10
    assert {len(found[name]) for name in ("rmse", "mae", "r2", "mape")} == {10}
    assert found["rmse"][-1] < found["rmse"][0]
    assert found["cv_splits"] == sizes, "each row without it, whatever was asked for"
    refused = real.refused(422, "GET", "visualizations/metrics", params={"cv_splits": 30})
    assert refused["error_type"] == "ValidationError"


def test_few_rows_have_no_learning_curve(program: Program) -> None:
    program.begin()
    rows = [{"inputs": each, "output": float(place)} for place, each in enumerate(POINTS[:4])]
    program.ok("POST", "experiments/batch", {"experiments": rows})
    program.ok("POST", "model/train", {})
    empty: dict[str, Any] = {
        name: [] for name in ("training_sizes", "rmse", "mae", "r2", "mape", "cv_splits")
    }
    assert program.ok("GET", "visualizations/metrics") == empty


def test_figures_of_rows_that_were_held_out() -> None:
    found = HeldOut((0.0, 2.0, 4.0), (1.0, 2.0, 2.0), (1.0, 0.5, 0.5))
    assert found.scores == [-1.0, 0.0, 4.0] and found.spread == pytest.approx((14 / 3) ** 0.5)
    assert found.calibrated().spread == pytest.approx(1.0)
    metrics = found.metrics()
    assert metrics["mae"] == 1.0 and metrics["rmse"] == pytest.approx((5 / 3) ** 0.5)
    assert metrics["r2"] == pytest.approx(1 - 5 / 8) and metrics["mape"] == pytest.approx(25.0)
    assert "r2" not in HeldOut((1.0, 1.0), (1.0, 1.0), (0.0, 0.0)).metrics()
