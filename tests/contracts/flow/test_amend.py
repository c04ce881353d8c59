"""amend and withdraw: corrections add a row, with actor and reason; training sees them from their number on."""

from __future__ import annotations

from typing import Any

import pytest
from flow_lab import OUTPUTS, PERSON, Lab

from labqueue.errors import InvalidError, KeyReusedError, NotFoundError
from labqueue.states import State
from services.flow import amend


def completed(lab: Lab) -> Any:
    """Experiment 1 with its accepted result."""
    lab.campaign()
    lab.stage_one()
    return lab.report(1)


def test_an_amended_value_is_the_current_one_and_the_old_one_stays(lab: Lab) -> None:
    first = completed(lab)
    before = lab.training()
    revision = lab.known().data_revision
    done = amend.amend(
        lab.store, amend.Correction(first.id, lab.ids.uuid(), {"yield": 0.6}, "wrong dilution"), PERSON
    )
    assert (done.verdict, done.state) == ("accepted", State.COMPLETED)
    assert lab.values(1) == {**OUTPUTS, "yield": 0.6}
    old, new = lab.results(1)
    assert old.outputs == OUTPUTS
    assert (new.kind, new.amends, new.reason, new.actor) == ("amend", first.id, "wrong dilution", PERSON)
    assert [row.outputs for row in lab.training()] == [{**OUTPUTS, "yield": 0.6}]
    assert lab.known().data_revision > revision
    with lab.store.begin() as tx:
        assert tx.results.training(old.campaign_id, revision) == before, "the past stays what it was"


def test_an_amendment_sent_twice_is_one(lab: Lab) -> None:
    first = completed(lab)
    new = lab.ids.uuid()
    amend.amend(lab.store, amend.Correction(first.id, new, {"yield": 0.6}, "typo"), PERSON)
    again = amend.amend(lab.store, amend.Correction(first.id, new, {"yield": 0.6}, "typo"), PERSON)
    assert again.verdict == "duplicate" and len(lab.results(1)) == 2
    with pytest.raises(KeyReusedError):
        amend.amend(lab.store, amend.Correction(first.id, new, {"yield": 0.7}, "typo"), PERSON)
    with pytest.raises(KeyReusedError):
        amend.amend(lab.store, amend.Correction(first.id, first.id, {"yield": 0.7}, "typo"), PERSON)
    assert lab.values(1)["yield"] == 0.6


def test_an_amendment_can_be_amended(lab: Lab) -> None:
    first = completed(lab)
    second = amend.amend(
        lab.store, amend.Correction(first.id, lab.ids.uuid(), {"yield": 0.6}, "typo"), PERSON
    )
    amend.amend(lab.store, amend.Correction(second.id, lab.ids.uuid(), {"yield": 0.65}, "typo again"), PERSON)
    assert lab.values(1)["yield"] == 0.65
    assert [row.outputs["yield"] for row in lab.training()] == [0.65]


@pytest.mark.parametrize(
    ("outputs", "reason", "field"),
    [
        ({}, "typo", "outputs"),
        ({"yeld": 1.0}, "typo", "outputs.yeld"),
        ({"yield": float("nan")}, "typo", "outputs.yield"),
        ({"yield": True}, "typo", "outputs.yield"),
        ({"yield": 10**400}, "typo", "outputs.yield"),
        ({"yield": 1.0}, " ", "reason"),
    ],
)
def test_a_bad_amendment_changes_nothing(lab: Lab, outputs: Any, reason: str, field: str) -> None:
    first = completed(lab)
    with pytest.raises(InvalidError) as caught:
        amend.amend(lab.store, amend.Correction(first.id, lab.ids.uuid(), outputs, reason), PERSON)
    assert [each.field for each in caught.value.errors] == [field]
    assert lab.values(1) == OUTPUTS and len(lab.results(1)) == 1


def test_what_was_outstanding_may_come_as_an_amendment(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    first = lab.report(1, {"yield": 0.5}, outstanding=("purity",))
    done = amend.amend(
        lab.store, amend.Correction(first.id, lab.ids.uuid(), {"purity": 98.0}, "from the notebook"), PERSON
    )
    assert done.state is State.COMPLETED
    assert lab.experiment(1).outstanding == () and lab.experiment(1).finished_at is not None


def test_a_held_result_is_mended_by_an_amendment(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    odd = lab.report(1, {"yield": 0.5, "purty": 98.0}, lease=held.lease)
    assert amend.amend(
        lab.store, amend.Correction(odd.id, lab.ids.uuid(), OUTPUTS, "typing error"), PERSON
    ).state is (State.COMPLETED)
    assert [row.outputs for row in lab.training()] == [OUTPUTS]


def test_an_infeasible_one_that_was_measured_after_all(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    first = lab.report(1, {}, outcome="infeasible")
    amend.amend(lab.store, amend.Correction(first.id, lab.ids.uuid(), OUTPUTS, "it did run"), PERSON)
    assert lab.experiment(1).outcome == "measured"
    assert [(row.outcome, row.outputs) for row in lab.training()] == [("measured", OUTPUTS)]


def test_a_withdrawn_result_counts_no_longer_and_is_still_there(lab: Lab) -> None:
    first = completed(lab)
    lab.number()
    gone = amend.withdraw(lab.store, first.id, lab.ids.uuid(), "wrong vial", PERSON)
    assert (gone.verdict, gone.state) == ("accepted", State.COMPLETED)
    assert lab.values(1) == {} and lab.training() == []
    assert lab.experiment(1).outcome == "suspect"
    assert [each.kind for each in lab.results(1)] == ["report", "withdraw"]


def test_after_a_withdrawal_the_next_result_is_accepted(lab: Lab) -> None:
    first = completed(lab)
    amend.withdraw(lab.store, first.id, lab.ids.uuid(), "wrong vial", PERSON)
    again = lab.report(1, {"yield": 0.8, "purity": 97.0})
    assert again.verdict == "accepted"
    assert [row.outputs for row in lab.training()] == [{"yield": 0.8, "purity": 97.0}]
    assert lab.experiment(1).outcome == "measured"


def test_withdrawing_a_replicate_takes_nothing_from_the_accepted_one(lab: Lab) -> None:
    completed(lab)
    replicate = lab.report(1, {"yield": 0.7, "purity": 90.0})
    amend.withdraw(lab.store, replicate.id, lab.ids.uuid(), "wrong vial", PERSON)
    assert lab.values(1) == OUTPUTS
    assert lab.experiment(1).outcome == "measured"


def test_withdrawing_a_second_infeasible_leaves_the_first(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    lab.report(1, {}, outcome="infeasible")
    second = lab.report(1, {}, outcome="infeasible")
    amend.withdraw(lab.store, second.id, lab.ids.uuid(), "sent by mistake", PERSON)
    assert lab.experiment(1).outcome == "infeasible"
    assert [row.outcome for row in lab.training()] == ["infeasible"]


def test_an_infeasible_result_can_be_withdrawn(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    first = lab.report(1, {}, outcome="infeasible")
    amend.withdraw(lab.store, first.id, lab.ids.uuid(), "the valve was shut", PERSON)
    assert lab.training() == []


def test_a_withdrawal_needs_a_reason_and_happens_once(lab: Lab) -> None:
    first = completed(lab)
    with pytest.raises(InvalidError, match="say why"):
        amend.withdraw(lab.store, first.id, lab.ids.uuid(), "", PERSON)
    new = lab.ids.uuid()
    amend.withdraw(lab.store, first.id, new, "wrong vial", PERSON)
    assert amend.withdraw(lab.store, first.id, new, "wrong vial", PERSON).verdict == "duplicate"
    assert len(lab.results(1)) == 2


def test_an_unknown_result_and_one_without_an_experiment(lab: Lab) -> None:
    completed(lab)
    refused = lab.report(99)
    for unknown in (lab.ids.uuid(), refused.id):
        with pytest.raises(NotFoundError):
            amend.withdraw(lab.store, unknown, lab.ids.uuid(), "why not", PERSON)
