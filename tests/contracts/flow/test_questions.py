"""questions: under which conditions, of which points, and how well a model foretells what it has not seen."""

from __future__ import annotations

from typing import Any

import pytest
from flow_lab import PERSON, PROBLEM, Lab, point

from labqueue.errors import InvalidError
from labqueue.states import Outcome
from models.domain import records as r
from services.flow import awaiting, inquire

HUMID = {
    **PROBLEM,
    "parameters": [*PROBLEM["parameters"], {"name": "humidity", "kind": "context", "low": 0, "high": 100}],
}


def ask(lab: Lab, kind: str, **request: Any) -> r.Inquiry:
    return inquire.ask(lab.store, lab.ids, "snar", kind, request, PERSON)


def answered(lab: Lab, kind: str, **request: Any) -> Any:
    done = inquire.answer(lab.store, lab.learner, ask(lab, kind, **request).id)
    assert done.state == "answered", done.message
    return done.answer


def measured(lab: Lab, count: int = 4, **campaign: Any) -> r.Campaign:
    """A campaign whose caller chose so many points, and a model of them."""
    made = lab.campaign(**campaign)
    for number in range(count):
        lab.report(lab.stage([point(number)])[0].id)
    lab.number()
    awaiting.await_training(lab.store, lab.ids, made.name, PERSON)
    lab.train(made)
    return made


def test_what_a_caller_chose_stands_for_the_initial_design(lab: Lab) -> None:
    measured(lab)
    lab.stage([point(9)])
    answered(lab, "suggest", strategy={"method": "bayesian", "initial": 5})
    assert lab.learner.snapshots[-1].drawn == 5
    answered(lab, "suggest", strategy={"method": "design"})
    assert lab.learner.snapshots[-1].drawn == 0, "a design is drawn from its beginning"


def test_a_model_that_chooses_keeps_its_own_initial_design(lab: Lab) -> None:
    campaign = lab.campaign(method="bayesian", initial=3, depth=1)
    for number in range(3):
        lab.report(lab.stage([point(number)])[0].id)
    lab.number()
    lab.train(campaign)
    answered(lab, "suggest", strategy={"acquisition": "ucb"})
    assert lab.learner.snapshots[-1].drawn == 0


def test_a_suggestion_is_made_under_other_conditions(lab: Lab) -> None:
    measured(lab, problem=HUMID)
    answered(lab, "suggest", context={"humidity": 61.5})
    *rows, said = lab.learner.snapshots[-1].rows
    assert said.parameters == {**rows[-1].parameters, "humidity": 61.5}
    assert (said.outcome, said.outputs) == (Outcome.SUSPECT, {}), "it teaches nothing"
    assert len(rows) == 4 and all(row.outcome is Outcome.MEASURED for row in rows)


def test_conditions_need_not_be_known_before_anything_was_measured(lab: Lab) -> None:
    lab.campaign(problem=HUMID)
    answered(lab, "suggest", strategy={"method": "design"}, context={"humidity": 61.5})
    assert lab.learner.snapshots[-1].rows == ()


def test_points_as_they_might_be_need_not_be_plannable(lab: Lab) -> None:
    limit = {"kind": "linear", "coefficients": {"temperature": 1}, "operator": "<=", "bound": 100}
    measured(lab, problem={**HUMID, "constraints": [limit]})
    odd = {"temperature": 500, "minutes": 3.5, "solvent": "water", "humidity": 20}
    assert len(answered(lab, "predict", points=[odd], actual=True)["predictions"]) == 1
    with pytest.raises(InvalidError):
        ask(lab, "predict", points=[odd])


def test_each_row_is_foretold_without_it(lab: Lab) -> None:
    measured(lab)
    found = answered(lab, "validate", sizes=[3, 9])
    assert set(found["outputs"]) == {"yield", "purity"} and found["model_version"] == 1
    whole, part = found["outputs"]["yield"]
    assert (whole["rows"], part["rows"]) == (4, 3), "there are no 9"
    assert list(whole["observed"]) == [0.5] * 4
    assert len(whole["predicted"]) == len(whole["sd"]) == 4
    assert len(answered(lab, "validate")["outputs"]["purity"]) == 1


def test_without_a_model_nothing_is_foretold(lab: Lab) -> None:
    lab.campaign()
    done = inquire.answer(lab.store, lab.learner, ask(lab, "validate").id)
    assert done.state == "failed" and "no model yet" in done.message


@pytest.mark.parametrize(
    ("kind", "request_", "field"),
    [
        ("suggest", {"context": 5}, "context"),
        ("suggest", {"context": {"pressure": 1}}, "context.pressure"),
        ("suggest", {"context": {"humidity": "wet"}}, "context.humidity"),
        ("predict", {"points": [{"temperature": 30, "minutes": 3}], "actual": True}, "points[0].solvent"),
        (
            "predict",
            {"points": [{**point(1), "temperature": "hot"}], "actual": True},
            "points[0].temperature",
        ),
        ("predict", {"points": [{**point(1), "pressure": 1}], "actual": True}, "points[0].pressure"),
        ("predict", {"points": [5], "actual": True}, "points[0].parameters"),
        ("validate", {"sizes": 5}, "sizes"),
        ("validate", {"sizes": list(range(2, 60))}, "sizes"),
        ("validate", {"sizes": [5, 1]}, "sizes[1]"),
    ],
)
def test_a_question_that_makes_no_sense(lab: Lab, kind: str, request_: dict[str, Any], field: str) -> None:
    lab.campaign(problem=HUMID)
    with pytest.raises(InvalidError) as caught:
        ask(lab, kind, **request_)
    assert [each.field for each in caught.value.errors] == [field]
