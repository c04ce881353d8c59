"""What is measured and what is wanted of it: outputs, goals, how several become one, fronts, outcome constraints."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labqueue.errors import InvalidError
from labqueue.problem import DESIRABILITY, PARETO, WEIGHTED, Objective, OutcomeConstraint, Output, Problem

OUTPUTS: list[dict[str, Any]] = [
    {"name": "yield", "unit": "%", "noise": 0.5},
    {"name": "cost"},
    {"name": "look", "classes": ["clear", "cloudy", "solid"]},
]


def body(*objectives: Any, **more: Any) -> dict[str, Any]:
    return {
        "parameters": [{"name": "t", "kind": "continuous", "low": 0, "high": 1}],
        "outputs": OUTPUTS,
        "objectives": list(objectives),
        **more,
    }


def read(*objectives: Any, **more: Any) -> Problem:
    problem = Problem.from_json(body(*objectives, **more))
    assert Problem.from_json(json.loads(json.dumps(problem.to_json()))) == problem
    return problem


def test_outputs_are_read() -> None:
    assert read().outputs == (
        Output("yield", "%", 0.5),
        Output("cost"),
        Output("look", classes=("clear", "cloudy", "solid")),
    )


@pytest.mark.parametrize(
    ("given_", "right"),
    [
        ({"output": "yield"}, Objective("yield")),
        ({"output": "cost", "goal": "minimize", "weight": 1000}, Objective("cost", "minimize", 1000.0)),
        ({"output": "cost", "goal": "target", "target": 7}, Objective("cost", "target", target=7.0)),
        (
            {"output": "cost", "goal": "window", "low": 6, "high": 8},
            Objective("cost", "window", low=6.0, high=8.0),
        ),
        ({"output": "look", "goal": "learn"}, Objective("look", "learn")),
    ],
)
def test_goals_are_read(given_: Any, right: Objective) -> None:
    assert read(given_).objectives == (right,)


@pytest.mark.parametrize(
    ("objectives", "more", "right"),
    [
        ([{"output": "yield"}], {}, WEIGHTED),
        ([{"output": "yield"}, {"output": "cost"}], {}, PARETO),
        ([{"output": "yield"}, {"output": "cost", "weight": 2}], {}, WEIGHTED),
        ([{"output": "yield", "weight": 1}, {"output": "cost"}], {"combine": "pareto"}, PARETO),
        ([{"output": "yield"}, {"output": "cost"}], {"combine": "weighted"}, WEIGHTED),
    ],
)
def test_several_make_a_front_unless_weights_are_given(objectives: Any, more: Any, right: str) -> None:
    problem = read(*objectives, **more)
    assert problem.combine == right
    assert problem.pareto is (right == PARETO)


def at_least(bound: float) -> dict[str, Any]:
    return {"output": "cost", "operator": ">=", "bound": bound}


def at_most(bound: float) -> dict[str, Any]:
    return {"output": "cost", "operator": "<=", "bound": bound}


@pytest.mark.parametrize(
    ("given_", "field", "words"),
    [
        (body({"output": "styy"}), "objectives[0].output", "must be one of yield, cost, look"),
        (body({}), "objectives[0].output", "is missing"),
        (body({"output": "cost", "goal": "max"}), "objectives[0].goal", "must be one of"),
        (body({"output": "cost", "weight": 0}), "objectives[0].weight", "must be positive"),
        (body({"output": "cost", "weight": -1}), "objectives[0].weight", "the goal gives the direction"),
        (body({"output": "cost", "target": 3}), "objectives[0].target", "not known here"),
        (body({"output": "cost", "goal": "target"}), "objectives[0].target", "is missing"),
        (body({"output": "cost", "goal": "window", "low": 1}), "objectives[0].high", "is missing"),
        (body({"output": "cost", "goal": "window", "low": 1, "high": 1}), "objectives[0].high", "greater than low"),
        (body({"output": "look"}), "objectives[0].goal", "must be learn"),
        (body({"output": "cost", "goal": "learn"}, {"output": "yield"}), "objectives", "mix learning with a goal"),
        (body({"output": "cost"}, {"output": "cost"}), "objectives", "name one output twice"),
        (body({"output": "cost", "reference": 3}), "objectives[0].reference", "not known here"),
        (
            body({"output": "cost", "goal": "target", "target": 3, "reference": -1}, {"output": "yield"}),
            "objectives[0].reference",
            "is a distance",
        ),
        (body({"output": "cost"}, combine="desirability"), "objectives[0].worst", "is missing"),
        (
            body({"output": "cost", "worst": 9, "best": 1}, combine="desirability"),
            "objectives[0].best",
            "must be greater than worst to maximize",
        ),
        (
            body({"output": "cost", "goal": "minimize", "worst": 1, "best": 1}, combine="desirability"),
            "objectives[0].best",
            "must be less than worst to minimize",
        ),
        (
            body({"output": "cost", "goal": "target", "target": 1, "tolerance": 0}, combine="desirability"),
            "objectives[0].tolerance",
            "must be positive",
        ),
        (body({"output": "cost", "weight": 1e300}), "objectives[0].weight", "within 1e+100"),
        (body({"output": "cost", "goal": "target", "target": 1e300}), "objectives[0].target", "within 1e+100"),
        (body({"output": "cost", "goal": "window", "low": -1e300, "high": 1}), "objectives[0].low", "within 1e+100"),
        (body({"output": "cost", "reference": 1e300}, {"output": "yield"}), "objectives[0].reference", "within 1e+100"),
        (body(outputs=[{"name": "a", "noise": 1e300}]), "outputs[0].noise", "within 1e+100"),
        (body(outcome_constraints=[{"output": "cost", "operator": "<=", "bound": 1e300}]), "outcome_constraints[0].bound", "within 1e+100"),
        (body(outputs=[{"name": "score"}]), "outputs[0].name", "what the objectives make of all outputs"),
        (body(outputs=[*OUTPUTS, {"name": "look=clear"}]), "outputs", "the chance of look being clear"),
        (body(outcome_constraints=[at_least(10), at_most(1)]), "outcome_constraints[1]", "(cost <= 1) contradicts another outcome constraint (cost >= 10)"),
        (
            body({"output": "cost", "goal": "target", "target": 7}, outcome_constraints=[at_most(5)]),
            "objectives[0]",
            "its target 7 where the outcome constraint cost <= 5 does not hold",
        ),
        (
            body({"output": "cost", "goal": "window", "low": 6, "high": 8}, outcome_constraints=[at_least(9)]),
            "objectives[0]",
            "its window 6 to 8 where the outcome constraint cost >= 9 does not hold",
        ),
        (body(combine="sum"), "problem.combine", "must be one of pareto"),
        (body(objectives="cost"), "objectives", "must be a list"),
        (body(outputs=[]), "outputs", "at least one output"),
        (body(outputs=[{"name": "a"}, {"name": "a"}]), "outputs", "name 'a' twice"),
        (body(outputs=[{"name": "a\n"}]), "outputs[0].name", "on one line"),
        (body(outputs=[{"name": "a", "noise": -1}]), "outputs[0].noise", "cannot be negative"),
        (body(outputs=[{"name": "a", "classes": ["x"]}]), "outputs[0].classes", "at least two labels"),
        (body(outputs=[{"name": "a", "classes": ["x", "x"]}]), "outputs[0].classes", "the same entry twice"),
        (body(outputs=[{"name": "a", "classes": ["x", "y"], "noise": 1}]), "outputs[0].noise", "no meaning for labels"),
        (body(outcome_constraints=[{"output": "look", "operator": "<=", "bound": 1}]), "outcome_constraints[0].output", "must be one of yield, cost"),
        (body(outcome_constraints=[{"output": "cost", "operator": "==", "bound": 1}]), "outcome_constraints[0].operator", "must be one of <=, >="),
        (body(outcome_constraints=[{"output": "cost", "operator": "<="}]), "outcome_constraints[0].bound", "is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_place(given_: Any, field: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(given_)
    found = [each for each in caught.value.errors if each.field == field]
    assert found, [str(each) for each in caught.value.errors]
    assert any(words in each.message for each in found), [each.message for each in found]


@pytest.mark.parametrize(
    "limits", [[at_least(8)], [at_most(6)], [at_least(7), at_most(7)], [at_least(1), at_least(2)]]
)
def test_outcome_constraints_and_goals_may_meet(limits: list[dict[str, Any]]) -> None:
    window = {"output": "cost", "goal": "window", "low": 6, "high": 8}
    assert len(read(window, outcome_constraints=limits).outcome_constraints) == len(limits)


def test_a_wrong_goal_is_one_fault_not_many() -> None:
    with pytest.raises(InvalidError) as caught:
        Problem.from_json(body({"output": "cost", "goal": "tarqet", "target": 3}))
    assert [str(each) for each in caught.value.errors] == [
        "objectives[0].goal: must be one of maximize, minimize, target, window, learn. Did you mean target?"
    ]


@pytest.mark.parametrize(
    ("objective", "measured", "right"),
    [
        (Objective("o"), 3.0, 3.0),
        (Objective("o", "minimize"), 3.0, -3.0),
        (Objective("o", "target", target=7), 5.0, -2.0),
        (Objective("o", "target", target=7), 7.5, -0.5),
        (Objective("o", "window", low=6, high=8), 7.0, 0.0),
        (Objective("o", "window", low=6, high=8), 5.0, -1.0),
        (Objective("o", "window", low=6, high=8), 10.0, -2.0),
    ],
)
def test_what_is_maximized(objective: Objective, measured: float, right: float) -> None:
    assert objective.value(measured) == right


@pytest.mark.parametrize(
    ("objective", "measured", "right"),
    [
        (Objective("o", worst=10, best=20), 15.0, 0.5),
        (Objective("o", worst=10, best=20), 5.0, 0.0),
        (Objective("o", worst=10, best=20), 25.0, 1.0),
        (Objective("o", "minimize", worst=20, best=10), 12.5, 0.75),
        (Objective("o", "target", target=7, tolerance=2), 6.0, 0.5),
        (Objective("o", "target", target=7, tolerance=2), 4.0, 0.0),
        (Objective("o", "window", low=6, high=8, tolerance=2), 7.0, 1.0),
        (Objective("o", "window", low=6, high=8, tolerance=2), 9.0, 0.5),
    ],
)
def test_desirabilities(objective: Objective, measured: float, right: float) -> None:
    assert objective.desirability(measured) == pytest.approx(right)


def test_scores() -> None:
    two = [{"output": "yield", "weight": 2}, {"output": "cost", "goal": "minimize"}]
    good = {"yield": 30.0, "cost": 5.0}
    assert read(*two).score(good) == 55.0
    assert read(*two).score({"yield": 30.0}) is None, "an output of an objective is missing"
    assert read(*two, combine="pareto").score(good) is None, "a front has no score"
    assert read(*two, combine="pareto").values(good) == (30.0, -5.0)
    assert read().score(good) is None and read().values(good) is None
    assert read({"output": "cost", "goal": "learn"}).score(good) is None, "nothing is better than another"
    assert read({"output": "cost", "goal": "learn"}).learning


def test_a_desirability_is_a_weighted_geometric_mean() -> None:
    problem = read(
        {"output": "yield", "worst": 0, "best": 100, "weight": 3},
        {"output": "cost", "goal": "minimize", "worst": 10, "best": 0},
        combine="desirability",
    )
    assert problem.combine == DESIRABILITY
    assert problem.score({"yield": 80.0, "cost": 5.0}) == pytest.approx((0.8**3 * 0.5) ** 0.25)
    assert problem.score({"yield": 80.0, "cost": 12.0}) == 0.0, "what is useless in one is useless"


def test_a_reference_is_turned_as_its_objective_is() -> None:
    problem = read(
        {"output": "yield", "reference": 10}, {"output": "cost", "goal": "minimize", "reference": 7}
    )
    assert [each.reference_value for each in problem.objectives] == [10.0, -7.0]
    assert Objective("o").reference_value is None


FRONT = st.lists(
    st.fixed_dictionaries({"yield": st.integers(0, 4).map(float), "cost": st.integers(0, 4).map(float)}),
    max_size=12,
)


@given(FRONT)
def test_a_front_is_what_nothing_beats(measured: list[dict[str, float]]) -> None:
    problem = Problem.from_json(
        body(
            {"output": "yield"},
            {"output": "cost", "goal": "minimize"},
            outcome_constraints=[{"output": "cost", "operator": "<=", "bound": 3}],
        )
    )
    front = problem.front(measured)
    allowed = [place for place, each in enumerate(measured) if each["cost"] <= 3]

    def beaten(place: int) -> bool:
        mine = measured[place]
        return any(
            measured[other] != mine
            and measured[other]["yield"] >= mine["yield"]
            and measured[other]["cost"] <= mine["cost"]
            for other in allowed
        )

    assert front == [place for place in allowed if not beaten(place)]
    assert bool(front) is bool(allowed)


def test_outcome_constraints_need_their_output() -> None:
    problem = read(
        {"output": "yield"}, outcome_constraints=[{"output": "cost", "operator": ">=", "bound": 2}]
    )
    assert problem.outcome_constraints == (OutcomeConstraint("cost", ">=", 2.0),)
    assert str(problem.outcome_constraints[0]) == "cost >= 2"
    assert problem.admissible({"yield": 1.0, "cost": 2.0})
    assert not problem.admissible({"yield": 1.0, "cost": 1.9})
    assert not problem.admissible({"yield": 1.0})


# What is measured


def test_outputs_are_judged_by_name_and_number() -> None:
    problem = read()
    good = {"yield": 1.0, "cost": 2, "look": "clear"}
    assert problem.check_outputs(good) == []
    assert problem.check_outputs({"yield": 1.0, "look": "solid"}, ["cost"]) == []
    assert [str(each) for each in problem.check_outputs({"yield": 1.0, "look": "solid"})] == [
        "cost: is missing. Name it as outstanding if it follows."
    ]
    missing = problem.check_outputs({"yield": 1.0, "look": "solid", "costs": 2})
    assert [str(each) for each in missing] == ["cost: is missing. What came instead: costs."]
    assert problem.check_outputs({**good, "smell": "sweet"}) == [], "kept beside, whatever it is"
    for odd in (float("nan"), float("-inf"), "1", None, True, [1], 10**400):
        errors = problem.check_outputs({**good, "yield": odd})
        assert [each.field for each in errors] == ["yield"]
        json.dumps([each.to_json() for each in errors], allow_nan=False)


def test_labels_are_told_apart_and_stored_by_their_place() -> None:
    look = read().output("look")
    (wrong,) = read().check_outputs({"yield": 1, "cost": 1, "look": "Cloudy"})
    assert str(wrong) == "look: is not one of clear, cloudy, solid. Did you mean cloudy?"
    assert [each.field for each in read().check_outputs({"yield": 1, "cost": 1, "look": 1})] == ["look"]
    assert [look.decode(look.encode(each)) for each in look.classes] == list(look.classes)
    assert look.encode("solid") == 2.0 and Output("cost").decode(2.5) == 2.5


def test_only_outputs_can_be_outstanding() -> None:
    errors = read().check_outputs({"yield": 1.0, "look": "clear"}, ["cost", "smell"])
    assert [each.field for each in errors] == ["outstanding"] and "smell" in errors[0].message
