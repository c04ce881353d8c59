"""The model of a session: trained when asked, described, asked."""

from __future__ import annotations

from typing import Any

import pytest
from alchemist_lab import POINTS, Program
from fake_learner import FakeLearner

X, Y = ({"name": name, "type": "real", "min": 0.0, "max": 1.0} for name in "xy")
GRID = [{"x": a / 3, "y": b / 3} for a in range(4) for b in range(4)]


def worth(point: dict[str, Any]) -> float:
    return float(1 - (point["x"] - 0.3) ** 2 - (point["y"] - 0.6) ** 2)


def measure(program: Program, points: list[dict[str, Any]]) -> None:
    rows = [
        {"inputs": each, "output": worth(each) if "x" in each else place} for place, each in enumerate(points)
    ]
    program.ok("POST", "experiments/batch", {"experiments": rows})


def upload(program: Program, targets: str, text: str) -> None:
    """A CSV file with these target columns."""
    path = f"/sessions/{program.session}/experiments/upload"
    files = {"file": ("data.csv", text.encode(), "text/csv")}
    answer = program.http.post(path, params={"target_columns": targets}, files=files)
    assert answer.is_success, answer.text


def test_a_model_is_trained_and_described(taught: Program, learner: FakeLearner) -> None:
    figures = {
        "kind": "gp",
        "rmse": 9.0,
        "r2": 0.1,
        "kernel": "matern52",
        "lengthscales": [0.5, 2.0],
        "noise": 0.01,
    }
    learner.metrics = {"outputs": {"Output": figures}}
    taught.begin()
    nothing = {"backend": None, "hyperparameters": None, "metrics": None, "is_trained": False}
    assert taught.ok("GET", "model") == {**nothing, "training_config": None}
    measure(taught, POINTS)
    made = taught.ok("POST", "model/train", {"backend": "botorch", "kernel": "Matern", "unknown": 1})
    found = {
        "model_type": "gp",
        "kernel_type": "Matern",
        "matern_nu": 2.5,
        "lengthscale": [0.5, 2.0],
        "noise": 0.01,
    }
    assert made["hyperparameters"] == found
    assert (made["success"], made["backend"], made["kernel"]) == (True, "botorch", "Matern")
    assert made["metrics"]["mae"] == pytest.approx(0.5 / 6) and set(made["metrics"]) == {"rmse", "mae", "r2"}
    known = taught.ok("GET", "model")
    assert known["is_trained"] and known["metrics"] == made["metrics"] and known["hyperparameters"] == found
    assert known["training_config"]["backend"] == "botorch" and known["training_config"]["kernel"] == "Matern"
    state = taught.ok("GET", "state")
    assert (state["model_trained"], state["model_backend"]) == (True, "botorch")
    (changed,) = taught.ok("GET", "audit/config-changes")["changes"]
    assert (
        changed["component"] == "model"
        and changed["new"]["backend"] == "botorch"
        and changed["iteration"] == 0
    )
    assert learner.fits == 1
    taught.ok("POST", "model/train", {"backend": "botorch", "kernel": "matern"})
    assert learner.fits == 1, "it has seen every row"


def test_figures_of_a_newer_model_are_its_own(taught: Program, learner: FakeLearner) -> None:
    learner.metrics = {"outputs": {"Output": {"kind": "gp", "rmse": 9.0, "r2": 0.1}}}
    taught.begin()
    measure(taught, POINTS[:5])
    taught.ok("POST", "model/train", {})
    row = {"experiments": [{"inputs": POINTS[5], "output": 7.0}]}
    taught.ok("POST", "experiments/batch", row, params={"auto_train": "true"})
    assert taught.ok("GET", "model")["metrics"] == {"rmse": 9.0, "r2": 0.1}


def test_training_needs_data(taught: Program) -> None:
    taught.begin()
    assert taught.refused(400, "POST", "model/train", {})["error_type"] == "NoDataError"
    measure(taught, POINTS[:2])
    refused = taught.refused(400, "POST", "model/train", {})
    assert refused["error_type"] == "ValueError" and "there are 2" in refused["detail"]


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (422, "ValidationError", {"backend": "ax"}),
        (400, "ValueError", {"kernel": "linear"}),
        (400, "ValueError", {"backend": "botorch", "kernel": "RationalQuadratic"}),
        (400, "ValueError", {"kernel": "Matern", "kernel_params": {"nu": 3.5}}),
        (400, "ValueError", {"kernel": "Matern", "kernel_params": {"nu": [2.5]}}),
    ],
)
def test_models_that_there_are_not(taught: Program, status: int, kind: str, body: dict[str, Any]) -> None:
    taught.begin()
    measure(taught, POINTS)
    assert taught.refused(status, "POST", "model/train", body)["error_type"] == kind
    assert taught.ok("GET", "model")["is_trained"] is False


@pytest.mark.parametrize(
    ("body", "used"),
    [
        ({"kernel": "rbf"}, ("RBF", None)),
        ({"kernel": "Matern"}, ("Matern", 1.5)),
        ({"backend": "botorch", "kernel": "Matern"}, ("Matern", 2.5)),
        ({"kernel": "Matern", "kernel_params": {"nu": 0.5}}, ("Matern", 0.5)),
    ],
)
def test_a_kernel_that_is_named_is_used(real: Program, body: dict[str, Any], used: tuple[str, Any]) -> None:
    real.begin(X, Y)
    measure(real, GRID[:6])
    made = real.ok("POST", "model/train", body)
    for found in (made["hyperparameters"], real.ok("GET", "model")["hyperparameters"]):
        assert (found["kernel_type"], found.get("matern_nu")) == used
    assert made["kernel"] == used[0] and made["message"] == "Model trained successfully"
    suggested = real.ok("POST", "acquisition/suggest", {"strategy": "EI"})
    assert suggested["n_suggestions"] == 1


def test_another_kernel_is_another_model_and_one_that_there_is_not_is_said(real: Program) -> None:
    real.begin(X, Y)
    measure(real, GRID[:6])
    rough = {"kernel": "Matern", "kernel_params": {"nu": 0.5}}
    real.ok("POST", "model/train", rough)
    point = {"inputs": [{"x": 0.5, "y": 0.5}]}
    first = real.ok("POST", "model/predict", point)["predictions"][0]
    real.ok("POST", "model/train", {"kernel": "RBF"})
    assert real.ok("POST", "model/predict", point)["predictions"][0]["uncertainty"] != first["uncertainty"]
    other = real.ok("POST", "model/train", {"kernel": "RationalQuadratic"})
    assert "no RationalQuadratic kernel" in other["message"] and other["kernel"] in ("RBF", "Matern")
    assert real.ok("GET", "model")["training_config"]["kernel"] == "RationalQuadratic"


def test_what_is_added_may_name_the_kernel_of_its_training(real: Program) -> None:
    real.begin(X, Y)
    measure(real, GRID[:6])
    row = {"inputs": GRID[7], "output": 0.5}
    asked = {"auto_train": "true", "training_backend": "botorch", "training_kernel": "Matern"}
    assert real.ok("POST", "experiments", row, params=asked)["model_trained"]
    found = real.ok("GET", "model")
    assert (found["backend"], found["hyperparameters"]["matern_nu"]) == ("botorch", 2.5)
    wrong = real.ok("POST", "experiments", row, params={**asked, "training_kernel": "cubic"})
    assert not wrong["model_trained"] and "cubic" in wrong["training_error"] and wrong["n_experiments"] == 8


def test_a_training_that_fails_says_why(taught: Program, learner: FakeLearner) -> None:
    def fails() -> None:
        raise ValueError("singular")

    taught.begin()
    measure(taught, POINTS)
    learner.meanwhile = fails
    refused = taught.refused(400, "POST", "model/train", {})
    assert refused["error_type"] == "RuntimeError" and "singular" in refused["detail"]


def test_who_holds_the_session_trains_it(taught: Program) -> None:
    taught.begin()
    measure(taught, POINTS)
    lock = taught.ok("POST", "lock", {"locked_by": "controller"})
    other = Program(str(taught.http.base_url).removesuffix("/api/v1/"), agent="another")
    other.session = taught.session
    other.refused(409, "POST", "model/train", {})
    other.refused(409, "POST", "acquire", {})
    other.ok("POST", "model/train", {}, headers={"X-Lock-Token": lock["lock_token"]})
    other.ok("POST", "model/predict", {"inputs": [POINTS[0]]})
    other.http.close()


def test_predictions_need_a_model_and_whole_points(real: Program) -> None:
    real.begin(X, Y)
    assert real.refused(400, "POST", "model/predict", {"inputs": [GRID[0]]})["error_type"] == "NoModelError"
    measure(real, GRID)
    made = real.ok("POST", "model/train", {})
    assert made["metrics"]["r2"] > 0.9 and made["metrics"]["rmse"] < 0.1
    inputs = [{"x": 0.3, "y": 0.6}, {"x": 0.5, "y": 1.4}]
    found = real.ok("POST", "model/predict", {"inputs": inputs})
    assert found["n_predictions"] == 2 and [each["inputs"] for each in found["predictions"]] == inputs
    first, outside = found["predictions"]
    assert first["prediction"] == pytest.approx(1.0, abs=0.05) and 0 <= first["uncertainty"] < 0.1
    assert first["outputs"] == {
        "Output": {"prediction": first["prediction"], "uncertainty": first["uncertainty"]}
    }
    assert outside["uncertainty"] > first["uncertainty"], "outside of the ranges it knows less"
    for wrong in ([], [{"x": 0.1}], [{"x": 0.1, "y": 0.1, "z": 0}], [{"x": "a", "y": 0.1}]):
        assert real.refused(400, "POST", "model/predict", {"inputs": wrong})["error_type"] == "ValueError"
    assert real.refused(422, "POST", "model/predict", {})["error_type"] == "ValidationError"


def test_a_model_follows_an_edit_of_the_search_space(real: Program) -> None:
    real.begin(X, Y)
    measure(real, GRID)
    real.ok("POST", "model/train", {})
    before = real.ok("POST", "model/predict", {"inputs": [{"x": 0.3, "y": 0.6}]})
    limit = {"constraint_type": "inequality", "coefficients": {"x": 1, "y": 1}, "rhs": 1.5}
    real.ok("POST", "constraints", limit)
    after = real.ok("POST", "model/predict", {"inputs": [{"x": 0.3, "y": 0.6}, {"x": 1.0, "y": 1.0}]})
    assert after["predictions"][0]["prediction"] == pytest.approx(
        before["predictions"][0]["prediction"], abs=0.02
    )


def test_several_targets_are_foretold_together(real: Program) -> None:
    real.begin(X, Y)
    lines = [f"{each['x']},{each['y']},{worth(each)},{each['x'] + 2}" for each in GRID]
    upload(real, "yield,cost", "\n".join(["x,y,yield,cost", *lines]))
    made = real.ok("POST", "model/train", {})
    assert set(made["hyperparameters"]["outputs"]) == {"yield", "cost"}
    (found,) = real.ok("POST", "model/predict", {"inputs": [{"x": 0.3, "y": 0.6}]})["predictions"]
    assert found["prediction"] == found["outputs"]["yield"]["prediction"] == pytest.approx(1.0, abs=0.05)
    assert found["outputs"]["cost"]["prediction"] == pytest.approx(2.3, abs=0.05)
