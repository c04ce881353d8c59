"""Designs that a program for ALchemist asks for: initial, optimal, split-plot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from alchemist_lab import CATEGORY, REAL, Program
from api import served

from services.bootstrap import Context
from services.fronts.alchemist.designs.latin import SCORES, drawn
from services.fronts.alchemist.learning import asking

X, Y, Z = ({"name": name, "type": "real", "min": 0.0, "max": 1.0} for name in "xyz")
SUM = {"constraint_type": "inequality", "coefficients": {"x": 1.0, "y": 1.0}, "rhs": 0.8}
HUMID = {"name": "humidity", "type": "real", "min": 0, "max": 100, "role": "observed"}
FILLING = ("random", "lhs", "sobol", "halton")


def variable(name: str, changes: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "real", "min": 0.0, "max": 10.0, "changes": changes, **more}


def points(program: Program, method: str, **more: Any) -> list[dict[str, Any]]:
    found = program.ok("POST", "initial-design", {"method": method, **more})
    assert found["method"] == method and found["n_points"] == len(found["points"])
    return list(found["points"])


# -- what fills a space


@pytest.mark.parametrize("method", [*FILLING, "hammersly"])
def test_points_lie_inside_and_repeat_with_their_seed(real: Program, method: str) -> None:
    real.begin(X, {"name": "n", "type": "integer", "min": 1, "max": 9}, CATEGORY)
    found = points(real, method, n_points=8, random_seed=3)
    assert len(found) == 8
    for each in found:
        assert list(each) == ["x", "n", "catalyst"]
        assert 0 <= each["x"] <= 1 and each["n"] in range(1, 10) and isinstance(each["n"], int)
        assert each["catalyst"] in CATEGORY["categories"]
    assert points(real, method, n_points=8, random_seed=3) == found
    if method != "hammersly":
        assert points(real, method, n_points=8, random_seed=4) != found
    assert len(points(real, method)) == 10


@pytest.mark.parametrize("method", [*FILLING, "hammersly"])
def test_points_keep_the_constraints(real: Program, method: str) -> None:
    real.begin(X, Y, Z)
    real.ok("POST", "constraints", SUM)
    found = real.ok("POST", "initial-design", {"method": method, "n_points": 30})
    assert len(found["points"]) == 30 and all(each["x"] + each["y"] <= 0.8 + 1e-9 for each in found["points"])
    assert found["design_info"] is None
    assert (
        found["feasibility"]["constraints_applied"]
        and found["feasibility"]["estimability"] == "not_applicable"
    )


def test_a_latin_hypercube_has_one_point_in_each_slice(real: Program) -> None:
    real.begin(X, Y)
    found = points(real, "lhs", n_points=12)
    for name in "xy":
        assert sorted(int(each[name] * 12 - 1e-9) for each in found) == list(range(12))


def test_a_latin_hypercube_is_the_best_of_many_by_its_criterion(program: Program) -> None:
    program.begin(X, Y, Z)
    made = {}
    for criterion in SCORES:
        asked = {"method": "lhs", "n_points": 9, "random_seed": 5, "lhs_criterion": criterion}
        found = program.ok("POST", "initial-design", asked)
        assert found["lhs_criterion"] == criterion
        made[criterion] = np.array([[each[name] for name in "xyz"] for each in found["points"]])
    for criterion, score in SCORES.items():
        for cube in made.values():
            assert sorted(int(each * 9 - 1e-9) for each in cube[:, 0]) == list(range(9))
            assert score(made[criterion]) <= score(cube)
        luck = np.random.default_rng(1)
        assert score(made[criterion]) < min(score(drawn(luck, 9, 3)) for _ in range(50))


def test_constraints_and_few_values_make_a_hypercube_of_no_criterion(real: Program) -> None:
    real.begin(X, Y)
    real.ok("POST", "constraints", SUM)
    assert real.ok("POST", "initial-design", {"method": "lhs"})["lhs_criterion"] is None
    real.begin(CATEGORY, {"name": "n", "type": "integer", "min": 1, "max": 2})
    found = real.ok("POST", "initial-design", {"method": "lhs"})
    assert (found["n_points"], found["lhs_criterion"]) == (6, None)
    assert "lhs_criterion" not in real.ok("POST", "initial-design", {"method": "sobol"})


def test_an_equality_is_no_obstacle(real: Program) -> None:
    real.begin(X, Y)
    real.ok("POST", "constraints", {**SUM, "constraint_type": "equality"})
    found = points(real, "lhs", n_points=6)
    assert len(found) == 6 and all(each["x"] + each["y"] == pytest.approx(0.8) for each in found)
    refused = real.refused(400, "POST", "initial-design", {"method": "hammersly", "n_points": 6})
    assert refused["error_type"] == "InfeasibleRegionError"


def test_what_is_observed_is_not_designed(real: Program) -> None:
    real.begin(X, Y, HUMID)
    for method in ("lhs", "full_factorial", "hammersly"):
        assert {tuple(each) for each in points(real, method)} == {("x", "y")}
    assert real.ok("POST", "optimal-design/info", {"model_type": "linear"})["model_terms"] == [
        "Intercept",
        "x",
        "y",
    ]


def test_nothing_is_staged_by_asking(real: Program) -> None:
    real.begin(X, Y)
    points(real, "sobol")
    points(real, "ccd")
    assert real.ok("GET", "experiments/staged")["n_staged"] == 0


def test_a_design_that_no_worker_makes_says_so(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "SECONDS", 0.2)
    with served(context) as url:
        program = Program(url)
        program.begin(X)
        refused = program.refused(400, "POST", "initial-design", {"method": "halton"})
        assert refused["error_type"] == "RuntimeError" and "worker" in refused["detail"]
        program.http.close()


# -- what has a structure


@pytest.mark.parametrize(
    ("method", "info"),
    [
        ("full_factorial", {"factorial_runs": 8, "center_runs": 1, "total_runs": 9, "levels_per_factor": [2, 2, 2]}),
        ("fractional_factorial", {"factorial_runs": 4, "center_runs": 1, "total_runs": 5, "generators": "a b ab"}),
        ("box_behnken", {"edge_runs": 12, "center_runs": 1, "total_runs": 13}),
        ("plackett_burman", {"screening_runs": 4, "center_runs": 1, "total_runs": 5}),
        (
            "ccd",
            {
                "factorial_runs": 8, "axial_runs": 6, "center_runs": 2, "total_runs": 16,
                "alpha": "orthogonal", "face": "circumscribed",
            },
        ),
        (
            "gsd",
            {
                "full_factorial_runs": 8, "gsd_runs": 4, "total_runs": 4, "reduction": 2,
                "levels_per_factor": [2, 2, 2],
            },
        ),
    ],
)  # fmt: skip
def test_designs_have_as_many_runs_as_alchemists(program: Program, method: str, info: dict[str, Any]) -> None:
    program.begin(X, Y, Z)
    found = program.ok("POST", "initial-design", {"method": method, "n_points": 3})
    assert found["design_info"] == info and found["n_points"] == info["total_runs"]
    assert found["feasibility"] is None


def test_constraints_that_break_a_structure(program: Program) -> None:
    program.begin(X, Y, Z)
    program.ok("POST", "constraints", SUM)
    refused = program.refused(400, "POST", "initial-design", {"method": "full_factorial"})
    assert refused["error_type"] == "DesignNotEstimableError" and "7 of 9" in refused["detail"]
    found = program.ok("POST", "initial-design", {"method": "full_factorial", "allow_infeasible": True})
    assert found["n_points"] == 2 and found["feasibility"]["n_points_dropped"] == 7
    assert found["feasibility"]["estimability"] == "waived"


def test_a_structure_that_constraints_leave_whole_has_passed(program: Program) -> None:
    program.begin(X, Y, Z)
    program.ok("POST", "constraints", {**SUM, "rhs": 2.0})
    found = program.ok("POST", "initial-design", {"method": "ccd"})
    assert found["feasibility"]["estimability"] == "passed" and found["feasibility"]["n_points_dropped"] == 0


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (422, "ValidationError", {"method": "guess"}),
        (422, "ValidationError", {"n_points": 0}),
        (422, "ValidationError", {"n_points": 1001}),
        (422, "ValidationError", {"lhs_criterion": "nope"}),
        (422, "ValidationError", {"n_levels": 6}),
        (400, "ValueError", {"method": "ccd"}),
        (400, "ValueError", {"method": "fractional_factorial", "generators": "a b ab"}),
    ],
)
def test_wishes_that_cannot_be_had(program: Program, status: int, kind: str, body: dict[str, Any]) -> None:
    program.begin(X, CATEGORY)
    assert program.refused(status, "POST", "initial-design", body)["error_type"] == kind


def test_without_variables_there_is_no_design(program: Program) -> None:
    program.session = program.ok("POST", "/sessions", {})["session_id"]
    for path, body in [
        ("initial-design", {}),
        ("initial-design", {"method": "ccd"}),
        ("optimal-design", {"model_type": "linear", "n_points": 4}),
        ("optimal-design/info", {"model_type": "linear"}),
        ("split-plot-design", {"designs": {}}),
    ]:
        assert program.refused(400, "POST", path, body)["error_type"] == "NoVariablesError"
    program.session = "nobody"
    assert program.refused(404, "POST", "initial-design", {})["error_type"] == "SessionNotFoundError"


# -- what is optimal


def test_terms_and_runs_of_an_optimal_design(program: Program) -> None:
    program.begin(X, Y, CATEGORY)
    found = program.ok("POST", "optimal-design/info", {"model_type": "quadratic"})
    assert found == {
        "model_terms": ["Intercept", "x", "y", "catalyst", "x*y", "x*catalyst", "y*catalyst", "x^2", "y^2"],
        "p_columns": 12,
        "n_points_minimum": 12,
        "n_points_recommended": 24,
    }


@pytest.mark.parametrize(
    "algorithm", ["sequential", "simple_exchange", "fedorov", "modified_fedorov", "detmax"]
)
@pytest.mark.parametrize("criterion", ["D", "A", "I"])
def test_an_optimal_design_keeps_the_constraints(program: Program, algorithm: str, criterion: str) -> None:
    program.begin(X, Y)
    program.ok("POST", "constraints", SUM)
    body = {
        "model_type": "quadratic",
        "n_points": 8,
        "random_seed": 1,
        "criterion": criterion,
        "algorithm": algorithm,
    }
    found = program.ok("POST", "optimal-design", body)
    assert found["n_points"] == 8 == len({(each["x"], each["y"]) for each in found["points"]})
    assert all(each["x"] + each["y"] <= 0.8 + 1e-9 for each in found["points"])
    info, feasibility = found["design_info"], found["feasibility"]
    assert (info["criterion"], info["algorithm"], info["p_columns"], info["n_runs"]) == (
        criterion,
        algorithm,
        6,
        8,
    )
    assert info["D_eff"] > 12 and info["A_eff"] > 1.5
    assert (feasibility["n_candidates_total"], feasibility["n_candidates_feasible"]) == (25, 10)
    assert program.ok("POST", "optimal-design", body) == found


def test_an_optimal_design_takes_the_ends(program: Program) -> None:
    """The D efficiency of ALchemist's own for this problem is 50."""
    program.begin(X, Y, CATEGORY)
    found = program.ok("POST", "optimal-design", {"model_type": "linear", "n_points": 8, "random_seed": 1})
    assert found["design_info"]["D_eff"] >= 49.99 and found["feasibility"] is None
    assert {value for each in found["points"] for value in (each["x"], each["y"])} == {0.0, 1.0}
    found = program.ok("POST", "optimal-design", {"effects": ["x", "y", "x*y"], "p_multiplier": 1.5})
    assert found["n_points"] == 6


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model_type": "linear"},
        {"model_type": "linear", "effects": ["x"], "n_points": 8},
        {"model_type": "linear", "n_points": 8, "p_multiplier": 2},
        {"model_type": "linear", "n_points": 4},
        {"model_type": "linear", "n_points": 40, "n_levels": 2},
        {"effects": ["x", "colour"], "n_points": 8},
        {"effects": ["catalyst**2"], "n_points": 8},
        {"effects": ["x", "x*x", "x**2", "d**2"], "n_points": 8},
    ],
)
def test_optimal_designs_that_cannot_be(program: Program, body: dict[str, Any]) -> None:
    two = {"name": "d", "type": "discrete", "allowed_values": [0, 1]}
    program.begin(X, two, CATEGORY)
    assert program.refused(400, "POST", "optimal-design", body)["error_type"] == "ValueError"


# -- split plots

HARD_AND_EASY = (variable("oven", "hard"), variable("time", "easy"), variable("flow", "easy"))
FACTORIAL = {"method": "full_factorial"}


def split(program: Program, **body: Any) -> dict[str, Any]:
    return dict(program.ok("POST", "split-plot-design", {"random_seed": 1, **body}))


def test_what_is_hard_to_change_stands_still_in_its_plot(program: Program) -> None:
    program.begin(*HARD_AND_EASY)
    found = split(program, designs={"hard": FACTORIAL, "easy": FACTORIAL})
    runs, info = found["points"], found["info"]
    assert [each["RunOrder"] for each in runs] == list(range(1, 9))
    for number in (1, 2):
        plot = [each for each in runs if each["WholePlot"] == number]
        assert len({each["oven"] for each in plot}) == 1
        assert {(each["time"], each["flow"]) for each in plot} == {
            (a, b) for a in (0.0, 10.0) for b in (0.0, 10.0)
        }
    assert {each["Reason"] for each in runs} == {"Initial DoE (split-plot)"}
    assert info["levels"] == {"hard": ["oven"], "easy": ["time", "flow"]}
    assert (info["n_plots"], info["runs_per_plot"], info["n_runs"], info["random_seed"]) == (
        {"hard": 2},
        [4],
        8,
        1,
    )
    assert info["designs"] == {"hard": FACTORIAL, "easy": FACTORIAL} and len(info["warnings"]) == 1
    assert split(program, designs={"hard": FACTORIAL, "easy": FACTORIAL}) == found


def test_three_levels_with_references_and_replicates(program: Program) -> None:
    gas = variable("gas", "hard", type="categorical", categories=["A", "B"])
    program.begin(variable("oven", "very_hard"), gas, variable("time", "easy"))
    designs = {"very_hard": FACTORIAL, "hard": FACTORIAL, "easy": FACTORIAL}
    reference = {"position": "ends", "values": {"time": 2.5}}
    found = split(
        program,
        designs=designs,
        replicates={"very_hard": 2, "hard": 2},
        reference=reference,
        order={"easy": "as_generated"},
    )
    info, runs = found["info"], found["points"]
    assert (info["n_plots"], info["runs_per_plot"]) == ({"very_hard": 4, "hard": 16}, [4]) and info[
        "warnings"
    ] == []
    assert len(runs) == 64 and {each["Subplot"] for each in runs} == set(range(1, 17))
    for number in range(1, 17):
        plot = [each for each in runs if each["Subplot"] == number]
        assert [each["time"] for each in plot] == [2.5, 0.0, 10.0, 2.5]
        assert [each["Reason"] for each in plot][::3] == ["Reference (split-plot)"] * 2
        assert len({(each["oven"], each["gas"], each["WholePlot"]) for each in plot}) == 1


def test_plots_have_designs_of_their_own_or_the_same(real: Program) -> None:
    real.begin(*HARD_AND_EASY)
    designs = {"hard": FACTORIAL, "easy": {"method": "lhs", "n_points": 3}}

    def plots(**more: Any) -> list[list[tuple[float, float]]]:
        runs = split(real, designs=designs, **more)["points"]
        return [sorted((e["time"], e["flow"]) for e in runs if e["WholePlot"] == each) for each in (1, 2)]

    first, second = plots()
    assert first != second and len(first) == len(second) == 3
    for plot in (first, second):
        assert sorted(int(time * 0.3 - 1e-9) for time, _ in plot) == [0, 1, 2], "each is a Latin hypercube"
    first, second = plots(easy_mode="crossed")
    assert first == second


def test_constraints_between_levels_leave_something_in_each_plot(real: Program) -> None:
    real.begin(variable("a", "hard"), variable("b", "easy"))
    real.ok(
        "POST", "constraints", {"constraint_type": "inequality", "coefficients": {"a": 1, "b": 1}, "rhs": 8}
    )
    design = {"method": "lhs", "n_points": 3}
    runs = split(real, designs={"hard": design, "easy": design})["points"]
    assert len(runs) == 9 and all(each["a"] + each["b"] <= 8 + 1e-9 for each in runs)
    refused = real.refused(
        400, "POST", "split-plot-design", {"designs": {"hard": FACTORIAL, "easy": FACTORIAL}}
    )
    assert (
        refused["error_type"] in ("DesignNotEstimableError", "InfeasibleRegionError")
        and "a=" in refused["detail"]
    )


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (422, {}),
        (422, {"designs": {"hard": {"method": "guess"}, "easy": FACTORIAL}}),
        (400, {"designs": {}}),
        (400, {"designs": {"hard": FACTORIAL}}),
        (400, {"designs": {"hard": FACTORIAL, "easy": FACTORIAL, "very_hard": FACTORIAL}}),
        (400, {"designs": {"hard": {"method": "ccd"}, "easy": FACTORIAL}}),
        (400, {"designs": {"hard": FACTORIAL, "easy": FACTORIAL}, "replicates": {"very_hard": 2}}),
        (400, {"designs": {"hard": FACTORIAL, "easy": FACTORIAL}, "replicates": {"hard": 0}}),
        (400, {"designs": {"hard": FACTORIAL, "easy": FACTORIAL}, "reference": {"values": {"oven": 5}}}),
    ],
)
def test_split_plots_that_cannot_be(program: Program, status: int, body: dict[str, Any]) -> None:
    program.begin(*HARD_AND_EASY)
    program.refused(status, "POST", "split-plot-design", body)


def test_levels_must_be_there_to_split_a_plot(program: Program) -> None:
    program.begin(REAL)
    assert (
        "hard"
        in program.refused(400, "POST", "split-plot-design", {"designs": {"easy": FACTORIAL}})["detail"]
    )
    program.begin(variable("oven", "hard"))
    assert (
        "easy"
        in program.refused(400, "POST", "split-plot-design", {"designs": {"hard": FACTORIAL}})["detail"]
    )
