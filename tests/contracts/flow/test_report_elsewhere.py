"""report: what was run elsewhere and never waited here becomes an experiment that training may use."""

from __future__ import annotations

import pytest
from flow_lab import PERSON, PROBLEM, Lab, point

from labqueue.errors import InvalidError
from labqueue.states import State
from services.flow import report


def test_experiments_that_were_run_elsewhere_become_experiments(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    given = [
        lab.result(None, parameters=point(7), comment="from the notebook"),
        lab.result(None, {"yield": 0.3}, parameters=point(8), outstanding=("purity",)),
        lab.result(None, {}, parameters=point(9), outcome="infeasible"),
        lab.result(None, parameters={**point(10), "temperature": "hot"}),
        lab.result(None, {"yield": "?"}, parameters=point(11)),
    ]
    recorded = report.report_elsewhere(lab.store, lab.ids, "snar", given, PERSON)
    assert [each.verdict for each in recorded] == ["accepted", "accepted", "accepted", "held", "held"]
    assert [each.state for each in recorded] == [
        State.COMPLETED,
        State.PARTIAL,
        State.COMPLETED,
        None,
        State.HELD,
    ]
    assert recorded[3].errors[0].field == "temperature"
    first = recorded[0].experiment
    assert first is not None
    made = lab.experiment(first)
    assert (made.code, made.planned, made.origin, made.reason) == (
        "snar-2",
        point(7),
        "person",
        "run elsewhere",
    )
    assert len(lab.training()) == 3
    assert lab.stage_one().code == "snar-6", "no number twice"
    again = report.report_elsewhere(lab.store, lab.ids, "snar", given, PERSON)
    assert [each.verdict for each in again] == ["duplicate", "duplicate", "duplicate", "held", "held"]
    assert [each.experiment for each in again] == [each.experiment for each in recorded]
    assert again[0].state is State.COMPLETED


def test_what_was_run_outside_of_what_may_be_planned_is_learnt_from_and_named(lab: Lab) -> None:
    rule = {"coefficients": {"temperature": 1, "minutes": 1}, "operator": "<=", "bound": 125}
    lab.campaign(problem={**PROBLEM, "constraints": [rule]})
    runs = [
        {"temperature": 119.0, "minutes": 50, "solvent": "water"},
        {"temperature": 131.5, "minutes": 2.5, "solvent": "toluene"},
        {"temperature": 119.0, "minutes": 5, "solvent": "benzene"},
    ]
    given = [lab.result(None, parameters=each) for each in runs]
    recorded = report.report_elsewhere(lab.store, lab.ids, "snar", given, PERSON)
    assert [each.verdict for each in recorded] == ["accepted", "accepted", "held"]
    assert "119" not in recorded[0].message and "125" in recorded[0].message
    assert all(word in recorded[1].message for word in ("temperature is outside 20 to 120", "minutes"))
    assert recorded[2].errors[0].field == "solvent"
    (odd,) = report.report_elsewhere(
        lab.store, lab.ids, "snar", [lab.result(None, {"yield": "?"}, parameters=runs[1])], PERSON
    )
    assert odd.verdict == "held" and "Taken" in recorded[1].message and "Taken" not in odd.message
    assert [each.parameters for each in lab.training()] == runs[:2], "where it was measured"
    with pytest.raises(InvalidError):
        lab.stage(runs[:1])


def test_the_same_run_elsewhere_twice_in_one_batch_is_one(lab: Lab) -> None:
    lab.campaign()
    good = lab.result(None, parameters=point(7))
    bad = lab.result(None, parameters={"temperature": 500})
    recorded = report.report_elsewhere(lab.store, lab.ids, "snar", [good, good, bad, bad], PERSON)
    assert [each.verdict for each in recorded] == ["accepted", "duplicate", "held", "held"]
    assert lab.states() == {State.COMPLETED: 1}


def test_opaque_items_run_elsewhere(lab: Lab) -> None:
    lab.campaign(problem={"opaque": True, "outputs": [{"name": "yield"}]})
    given = lab.result(None, {"yield": 0.4}, parameters={"smiles": "CCO"})
    recorded = report.report_elsewhere(lab.store, lab.ids, "snar", [given], PERSON)[0]
    assert recorded.experiment is not None
    assert lab.experiment(recorded.experiment).payload == {"smiles": "CCO"}
