"""report: a result that cannot be used is kept as it came, and a person decides about its experiment."""

from __future__ import annotations

from typing import Any

import pytest
from flow_lab import OUTPUTS, PERSON, Lab

from labqueue.errors import ConflictError, NotFoundError
from labqueue.states import State
from services.flow import report


def test_what_came_instead_of_outputs_is_why_it_is_held(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    text = "The function returned 3.0 instead of {output: number}."
    recorded = lab.report(1, {}, lease=lab.take().lease, comment=text)
    assert recorded.verdict == "held" and text in recorded.message
    assert text in lab.experiment(1).held_reason and lab.results(1)[0].comment == text


def test_an_instrument_whose_results_cannot_be_used_is_paused(lab: Lab) -> None:
    lab.campaign()
    lab.stage(9)
    for _ in range(2):
        lab.report(None, {"yield": "?"}, lease=lab.take().lease)
    lab.complete(lab.take())
    for _ in range(3):
        lab.report(None, {"yield": "?"}, lease=lab.take().lease)
    refused = lab.claim()
    assert refused.assignments == () and refused.reason is not None
    assert refused.reason.startswith("instrument hplc is paused: 3 failed runs in a row, the last: ")
    assert "yield: is not a finite number" in refused.reason
    assert lab.events("instrument.paused") and lab.claim("reader").assignments, "others go on"


def test_a_bad_result_that_a_person_sends_says_nothing_of_the_instrument(lab: Lab) -> None:
    lab.campaign()
    for number in range(1, 5):
        lab.stage_one()
        lab.report(number, {"yield": "?"}, actor=PERSON)
    assert lab.claim().assignments == () and not lab.events("instrument.paused")


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"outputs": {"yield": 0.5}}, "purity: is missing."),
    "misspelt": ({"outputs": {"yield": 0.5, "purty": 98.0}}, "What came instead: purty."),
    "text": ({"outputs": {"yield": "high", "purity": 1.0}}, "yield: is not a finite number."),
    "nan": ({"outputs": {"yield": float("nan"), "purity": 1.0}}, "yield: is not a finite number."),
    "infinity": ({"outputs": {"yield": float("-inf"), "purity": 1.0}}, "yield: is not a finite number."),
    "huge": ({"outputs": {"yield": 10**400, "purity": 1.0}}, "yield: is not a finite number."),
    "truth": ({"outputs": {"yield": True, "purity": 1.0}}, "yield: is not a finite number."),
    "noise": ({"noise": {"yield": -1.0}}, "noise.yield: is not a standard deviation"),
    "noise of none": ({"noise": {"colour": 1.0}}, "noise.colour: is not a standard deviation"),
    "actual": ({"actual": {"presure": 1.0}}, "actual.presure: is no parameter."),
    "actual text": ({"actual": {"temperature": "hot"}}, "actual.temperature: is not a finite number."),
    "actual category": ({"actual": {"solvent": "wine"}}, "actual.solvent: is not one of"),
    "actual nan": ({"actual": {"temperature": float("nan")}}, "actual.temperature"),
    "outstanding": ({"outputs": OUTPUTS, "outstanding": ("colour",)}, "colour, which is no output"),
    "outcome": ({"outcome": "splendid"}, "outcome: is not one of measured, infeasible, suspect."),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_result_that_cannot_be_used_is_kept_raw_and_holds_its_experiment(lab: Lab, fault: str) -> None:
    bad, words = BAD[fault]
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    recorded = lab.report(1, lease=held.lease, **{"outputs": OUTPUTS, **bad})
    assert (recorded.verdict, recorded.state) == ("held", State.HELD)
    assert recorded.errors and words in recorded.message
    experiment = lab.experiment(1)
    assert words in experiment.held_reason and experiment.attempt is None
    assert lab.attempt(held).end == "completed"
    assert lab.instrument().blocked_by is None, "it did its part"
    stored = lab.results(1)[0]
    assert stored.verdict == "held" and stored.body["outcome"] == bad.get("outcome", "measured")
    assert stored.outputs == {} and lab.values(1) == {} and lab.training() == []
    again = lab.report(1, id=recorded.id, lease=held.lease, **{"outputs": OUTPUTS, **bad})
    assert again.verdict == "held" and len(lab.results(1)) == 1


def test_a_person_completes_what_was_held(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    lab.report(1, {"yield": 0.5, "purty": 98.0})
    given = lab.result(1, comment="a typing error")
    done = report.complete_held(lab.store, lab.ids, 1, given, "checked", PERSON)
    assert (done.verdict, done.state) == ("accepted", State.COMPLETED)
    assert lab.experiment(1).held_reason == ""
    assert lab.results(1)[1].comment == "a typing error (checked)"
    again = report.complete_held(lab.store, lab.ids, 1, given, "checked", PERSON)
    assert again.verdict == "duplicate", "twice is once"


def test_only_a_held_one_is_decided_about(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    with pytest.raises(ConflictError, match="is staged, not held"):
        report.complete_held(lab.store, lab.ids, 1, lab.result(1), "", PERSON)
    with pytest.raises(NotFoundError):
        report.complete_held(lab.store, lab.ids, 99, lab.result(99), "", PERSON)


def test_a_bad_result_from_elsewhere_does_not_stop_the_holder(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    recorded = lab.report(1, {"yield": "?"}, actor=PERSON)
    assert (recorded.verdict, recorded.state) == ("held", State.LEASED)
    assert lab.beat(held.lease).state == "live"
    assert lab.complete(held).state is State.COMPLETED


def test_a_bad_result_of_a_silent_holder_ends_its_run(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.lose(held)
    recorded = lab.report(1, {"yield": "?"}, lease=held.lease)
    assert (recorded.verdict, recorded.state) == ("held", State.HELD)
    assert not lab.attempt(held).live and lab.instrument().blocked_by is None
    assert "is not a finite number" in lab.experiment(1).held_reason


def test_a_bad_result_leaves_a_finished_experiment_finished(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    lab.report(1)
    odd = lab.report(1, {"yield": "?"})
    assert (odd.verdict, odd.state) == ("held", State.COMPLETED)
    assert lab.values(1) == OUTPUTS
