"""Suggestions: with a model and without one, knowing what is in flight, within what is held."""

from __future__ import annotations

from typing import Any

import pytest
from alchemist_lab import CATEGORY, POINTS, Program
from fake_learner import FakeLearner

from services.fronts.alchemist.learning import strategies
from services.fronts.alchemist.refusals import Refusal

X, Y = ({"name": name, "type": "real", "min": 0.0, "max": 1.0} for name in "xy")
WHOLE = {"name": "n", "type": "integer", "min": 1, "max": 9}
HUMID = {"name": "humidity", "type": "real", "min": 0, "max": 100, "role": "observed"}
GRID = [{"x": a / 3, "y": b / 3} for a in range(4) for b in range(4)]


def worth(point: dict[str, Any]) -> float:
    extra = {"Pt": 0.2, "Pd": 0.0, "Ni": 0.1}.get(point.get("catalyst", "Pd"), 0.0)
    tuned = point.get("humidity", 0) / 100 - point["x"]  # the best x follows the humidity
    return float(
        1 + extra - (tuned**2 if "humidity" in point else (point["x"] - 0.3) ** 2) - (point["y"] - 0.6) ** 2
    )


def measure(program: Program, points: list[dict[str, Any]]) -> None:
    rows = [
        {"inputs": each, "output": worth(each) if "x" in each else place} for place, each in enumerate(points)
    ]
    program.ok("POST", "experiments/batch", {"experiments": rows})


def trained(program: Program, *variables: dict[str, Any], **more: Any) -> None:
    """A session with a model of the grid, other variables varying with it."""
    program.begin(*(variables or (X, Y)))
    points = [
        {
            name: value
            for name, value in {**each, **{key: values[place] for key, values in more.items()}}.items()
        }
        for place, each in enumerate(GRID)
    ]
    measure(program, points)
    program.ok("POST", "model/train", {})


def suggest(program: Program, **body: Any) -> list[dict[str, Any]]:
    found = program.ok("POST", "acquisition/suggest", body)
    assert found["n_suggestions"] == len(found["suggestions"]) == len(found["diagnostics"])
    return list(found["suggestions"])


# -- names


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("EI", ["log_ei"]),
        ("logei", ["log_ei"]),
        ("PI", ["log_ei"]),
        ("UCB", ["ucb"]),
        ("gp_hedge", ["log_ei", "ucb"]),
        ("qEI", ["log_nei"]),
        ("qNIPV", ["uncertainty"]),
        ("thompson", ["thompson"]),
    ],
)
def test_names_of_strategies(name: str, meant: list[str]) -> None:
    assert [each["acquisition"] for each in strategies.strategy(name, None, False)["acquisition"]] == meant


def test_optimism_is_in_standard_deviations() -> None:
    assert strategies.strategy("UCB", 2.5, False)["beta"] == 6.25
    assert strategies.strategy("qUCB", None, False)["beta"] == pytest.approx(1.96**2)
    assert 0 < strategies.strategy("UCB", 0.0, False)["beta"] < 1e-9
    assert "beta" not in strategies.strategy("EI", 2.5, False)


def test_several_objectives_are_a_front() -> None:
    for name in ("EI", "UCB", "gp_hedge", "qNEHVI"):
        assert [each["acquisition"] for each in strategies.strategy(name, None, True)["acquisition"]] == [
            "log_nehvi"
        ]
    with pytest.raises(Refusal, match="several objectives"):
        strategies.strategy("qEHVI", None, False)
    with pytest.raises(Refusal, match="qNIPV"):
        strategies.strategy("guess", None, False)


# -- with and without a model


def test_the_published_loop_begins_without_a_model(real: Program) -> None:
    real.begin(X, Y, CATEGORY)
    wish = {"strategy": "qEI", "goal": "maximize", "n_suggestions": 2}
    refused = real.refused(400, "POST", "acquisition/suggest", wish)
    assert refused["error_type"] == "NoModelError"
    first = real.ok("POST", "acquire", wish)
    assert first["n_suggestions"] == 2 and first["iteration"] is None
    assert first["diagnostics"] == [{"held": [], "knowledge_ratio": None, "warnings": []}] * 2
    real.ok("POST", "experiments/staged/batch", {"experiments": first["suggestions"]})
    second = real.ok("POST", "acquire", wish)["suggestions"]
    assert not [each for each in second if each in first["suggestions"]], "the design goes on"


def test_where_rows_are_enough_a_model_is_made(taught: Program, learner: FakeLearner) -> None:
    taught.begin()
    measure(taught, POINTS[:4])
    taught.ok("POST", "acquire", {})
    assert learner.fits == 0 and learner.snapshots[-1].strategy.method == "design"
    measure(taught, POINTS[4:])
    found = taught.ok("POST", "acquire", {"strategy": "UCB", "kappa": 3.0})
    assert learner.fits == 1 and found["iteration"] is not None
    seen = learner.snapshots[-1]
    assert (seen.strategy.method, seen.strategy.beta, seen.drawn) == ("bayesian", 9.0, 6)
    assert found["diagnostics"][0]["knowledge_ratio"] is not None


def test_without_variables_nothing_is_suggested(taught: Program) -> None:
    taught.session = taught.ok("POST", "/sessions", {})["session_id"]
    assert taught.refused(400, "POST", "acquire", {})["error_type"] == "NoVariablesError"


# -- what is suggested


def test_suggestions_approach_the_best(real: Program) -> None:
    trained(real)
    for name in ("EI", "qEI", "UCB"):
        (point,) = suggest(real, strategy=name)
        assert abs(point["x"] - 0.3) < 0.15 and abs(point["y"] - 0.6) < 0.15, name
    (point,) = suggest(real, goal="minimize", strategy="EI")
    assert point == {"x": 1.0, "y": 0.0} or worth(point) < worth({"x": 0.9, "y": 0.1})


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"strategy": "EI", "xi": 0.5}, ["xi has no effect"]),
        ({"strategy": "PI", "xi": 0.5}, ["no PI: expected improvement", "xi has no effect"]),
        ({"strategy": "gp_hedge"}, ["no gp_hedge"]),
        ({"strategy": "EI", "xi": 0.01}, []),
        ({"strategy": "UCB", "xi": 0.5}, []),
    ],
)
def test_what_has_no_effect_is_said(taught: Program, wish: dict[str, Any], words: list[str]) -> None:
    taught.begin()
    measure(taught, POINTS)
    (told,) = taught.ok("POST", "acquire", wish)["diagnostics"]
    assert [word in text for word, text in zip(words, told["warnings"], strict=True)] == [True] * len(words)


def test_measured_outside_of_the_constraints_teaches_and_nothing_is_suggested_there(real: Program) -> None:
    rule = {"constraint_type": "inequality", "coefficients": {"x": 1, "y": 1}, "rhs": 1.0}
    real.begin(X, Y)
    real.ok("POST", "constraints", rule)
    inside = [{"x": a / 4, "y": b / 4} for a in range(5) for b in range(5) if a + b <= 4][::2]
    outside = [{"x": 0.9, "y": 0.8}, {"x": 1.5, "y": 0.75}]
    for each in (*inside, *outside):
        real.ok("POST", "experiments", {"inputs": each, "output": each["x"] + each["y"]})
    rows = real.ok("GET", "experiments")["experiments"]
    assert [{"x": each["x"], "y": each["y"]} for each in rows[-2:]] == outside
    real.ok("POST", "model/train", {})
    (told,) = real.ok("POST", "model/predict", {"inputs": outside[:1]})["predictions"]
    assert abs(told["prediction"] - 1.7) < 0.1, "it was learnt from"
    for each in suggest(real, strategy="EI", n_suggestions=3):
        assert each["x"] + each["y"] <= 1.0 + 1e-6
    assert "1" in real.refused(400, "POST", "experiments/staged", {"inputs": outside[0]})["detail"]
    path = f"/sessions/{real.session}/experiments/upload"
    table = "x,y,Output\n0.7,0.7,1.4\n"
    assert real.http.post(path, files={"file": ("a.csv", table, "text/csv")}).is_success
    assert real.ok("GET", "experiments")["n_experiments"] == len(rows) + 1


def test_several_at_once_are_different_points(real: Program) -> None:
    trained(real)
    points = suggest(real, strategy="EI", n_suggestions=3)
    assert len({(each["x"], each["y"]) for each in points}) == 3


def test_suggestions_know_what_is_in_flight(real: Program) -> None:
    trained(real)
    (first,) = suggest(real, strategy="qEI")
    assert suggest(real, strategy="qEI") == [first], "nothing has changed"
    real.ok("POST", "experiments/staged", {"inputs": first})
    (second,) = suggest(real, strategy="qEI")
    assert abs(second["x"] - first["x"]) + abs(second["y"] - first["y"]) > 1e-4


def test_what_was_suggested_last_is_known(real: Program) -> None:
    trained(real)
    points = suggest(real, strategy="qEI", goal="minimize", n_suggestions=2, xi=0.1)
    state = real.ok("GET", "state")
    assert (state["last_suggestion"], state["last_goal"]) == (points[0], "minimize")
    entries = real.ok("GET", "audit", params={"entry_type": "acquisition_locked"})["entries"]
    said = entries[-1]["parameters"]
    assert said["strategy"] == "qEI" and said["suggestions"] == points and said["iteration"] == 16
    assert said["parameters"] == {"goal": "minimize", "n_suggestions": 2, "xi": 0.1}
    changes = real.ok("GET", "audit/config-changes")["changes"]
    new = {"strategy": "qEI", "goal": "minimize", "xi": 0.1, "kappa": None}
    assert changes[-1]["component"] == "acquisition" and changes[-1]["new"] == new


def test_a_finite_space_that_is_used_up_is_gone_through_again(real: Program) -> None:
    real.begin(CATEGORY, {"name": "x", "type": "discrete", "allowed_values": [0, 1]})
    every = [{"catalyst": name, "x": value} for name in CATEGORY["categories"] for value in (0, 1)]
    rows = [{"inputs": each, "output": each["x"] + len(each["catalyst"])} for each in every]
    real.ok("POST", "experiments/batch", {"experiments": rows})
    real.ok("POST", "model/train", {})
    assert len(suggest(real, strategy="EI", n_suggestions=2)) == 2


# -- what is held and observed


def test_what_is_held_keeps_its_value(real: Program) -> None:
    kinds = {"catalyst": ["Pt", "Pd", "Ni", "Pt"] * 4, "n": [1, 5, 9, 3] * 4}
    trained(real, X, Y, WHOLE, CATEGORY, **kinds)
    found = real.ok(
        "POST", "acquisition/suggest", {"hold": {"x": 0.25, "n": 4, "catalyst": "Pd"}, "n_suggestions": 2}
    )
    for point in found["suggestions"]:
        assert (point["x"], point["n"], point["catalyst"]) == (0.25, 4, "Pd")
    assert found["diagnostics"][0]["held"] == ["catalyst", "n", "x"]
    whole = {"x": 0.1, "y": 0.1, "n": 2, "catalyst": "Pt"}
    assert suggest(real, hold=whole) == [whole]
    (free,) = suggest(real)
    assert free != whole, "it was held for one suggestion alone"


def test_what_is_held_leaves_the_others_within_the_constraints(real: Program) -> None:
    trained(real)
    real.ok(
        "POST", "constraints", {"constraint_type": "inequality", "coefficients": {"x": 1, "y": 1}, "rhs": 0.8}
    )
    (point,) = suggest(real, hold={"x": 0.7})
    assert point["x"] == 0.7 and point["y"] <= 0.1 + 1e-9


def test_held_values_that_cannot_be(taught: Program) -> None:
    taught.begin(X, Y, HUMID, CATEGORY)
    taught.ok(
        "POST", "constraints", {"constraint_type": "inequality", "coefficients": {"x": 1, "y": 1}, "rhs": 0.8}
    )
    wrong = [{"x": 5}, {"x": "a"}, {"q": 1}, {"catalyst": "Zn"}, {"humidity": 3}, {"x": 0.9}]
    for hold in wrong:
        refused = taught.refused(400, "POST", "acquire", {"hold": hold})
        assert refused["error_type"] == "ValueError", hold
    for body in (
        {"observed": {"x": 0.1}},
        {"strategy": "guess"},
        {"strategy": "qEHVI"},
        {"goal": ["maximize"] * 2},
    ):
        assert taught.refused(400, "POST", "acquire", body)["error_type"] == "ValueError", body
    for body in ({"n_suggestions": 11}, {"n_suggestions": 0}, {"goal": "up"}, {"kappa": "much"}, {"hold": 5}):
        assert taught.refused(422, "POST", "acquire", body)["error_type"] == "ValidationError", body


def test_suggestions_are_made_for_what_is_observed(real: Program) -> None:
    real.begin(X, Y, HUMID)
    measure(real, [{**each, "humidity": value} for each in GRID for value in (20.0, 80.0)])
    real.ok("POST", "model/train", {})
    dry = real.ok("POST", "acquisition/find-optimum", {"observed": {"humidity": 20}})
    humid = real.ok("POST", "acquisition/find-optimum", {"observed": {"humidity": 80}})
    assert dry["optimum"]["humidity"] == 20 and humid["optimum"]["humidity"] == 80
    assert abs(dry["optimum"]["x"] - 0.2) < 0.1 and abs(humid["optimum"]["x"] - 0.8) < 0.1
    (point,) = suggest(real, observed={"humidity": 20}, strategy="UCB", kappa=0.1)
    assert set(point) == {"x", "y"} and abs(point["x"] - 0.2) < 0.2
    latest = real.ok("POST", "acquisition/find-optimum", {})
    assert latest["optimum"]["humidity"] == 80, "as it was last"


# -- the optimum and several objectives


def test_the_optimum_is_where_the_mean_is_best(real: Program) -> None:
    real.begin(X, Y)
    assert real.refused(400, "POST", "acquisition/find-optimum", {})["error_type"] == "NoModelError"
    measure(real, GRID)
    real.ok("POST", "model/train", {})
    best = real.ok("POST", "acquisition/find-optimum", {})
    assert set(best) == {"optimum", "predicted_value", "predicted_std", "goal"} and best["goal"] == "maximize"
    assert abs(best["optimum"]["x"] - 0.3) < 0.05 and abs(best["optimum"]["y"] - 0.6) < 0.05
    assert best["predicted_value"] == pytest.approx(1.0, abs=0.02) and best["predicted_std"] >= 0
    worst = real.ok("POST", "acquisition/find-optimum", {"goal": "minimize"})
    assert worst["optimum"] == pytest.approx({"x": 1.0, "y": 0.0}, abs=0.02)
    real.ok(
        "POST", "constraints", {"constraint_type": "inequality", "coefficients": {"x": 1, "y": 1}, "rhs": 0.5}
    )
    inside = real.ok("POST", "acquisition/find-optimum", {})["optimum"]
    assert inside["x"] + inside["y"] == pytest.approx(0.5, abs=0.01)


def test_several_objectives_have_goals_of_their_own(real: Program) -> None:
    real.begin(X, Y)
    lines = [f"{each['x']},{each['y']},{worth(each)},{each['x'] + each['y']}" for each in GRID]
    files = {"file": ("data.csv", "\n".join(["x,y,yield,cost", *lines]).encode(), "text/csv")}
    path = f"/sessions/{real.session}/experiments/upload"
    assert real.http.post(path, params={"target_columns": "yield,cost"}, files=files).is_success
    real.ok("POST", "model/train", {})
    points = suggest(real, strategy="qNEHVI", goal=["maximize", "minimize"], n_suggestions=2)
    assert len(points) == 2
    assert real.ok("GET", "state")["last_goal"] == "maximize"
    refused = real.refused(400, "POST", "acquisition/suggest", {"goal": ["maximize"]})
    assert "yield" in refused["detail"]
    assert set(real.refused(400, "POST", "acquisition/find-optimum", {})) == {"detail"}
