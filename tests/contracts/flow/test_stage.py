"""stage: a batch enters the queue whole or not at all, once per key; and who has a share in the queue."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flow_lab import PERSON, PROBLEM, Lab, point

from labqueue.errors import ConflictError, InvalidError, KeyReusedError, NotFoundError
from labqueue.states import State
from models.domain.ordering import REST
from services.flow import recover, review, steer

OPAQUE = {"opaque": True, "outputs": [{"name": "yield"}]}


def test_a_batch_keeps_its_order_and_gets_codes(lab: Lab) -> None:
    campaign = lab.campaign()
    staged = lab.stage([point(3), point(1)], reason="by hand")
    assert [each.code for each in staged] == ["snar-1", "snar-2"]
    assert [each.planned for each in staged] == [point(3), point(1)]
    assert {each.state for each in staged} == {State.STAGED}
    assert {each.origin for each in staged} == {"person"}
    assert {each.reason for each in staged} == {"by hand"}
    assert staged[0].batch is not None and staged[0].batch == staged[1].batch
    assert staged[0].known is None
    assert lab.known().next_number == campaign.next_number + 2


def test_values_take_the_problems_own_types(lab: Lab) -> None:
    lab.campaign()
    given = {"solvent": "water", "minutes": 5.0, "temperature": 30}
    planned = lab.stage([given])[0].planned
    assert planned == {"temperature": 30.0, "minutes": 5, "solvent": "water"}
    assert isinstance(planned["minutes"], int)


def test_the_same_key_again_is_one_effect(lab: Lab) -> None:
    lab.campaign()
    first = lab.stage([point(1), point(2)], key="monday")
    again = lab.stage([point(1), point(2)], key="monday")
    assert [each.id for each in again] == [each.id for each in first]
    assert lab.states() == {State.STAGED: 2}


def test_the_same_key_answers_even_after_the_campaign_was_finished(lab: Lab) -> None:
    lab.campaign()
    first = lab.stage_one(key="monday")
    steer.finish_campaign(lab.store, "snar", "done", PERSON)
    with pytest.raises(KeyReusedError):
        lab.stage([point(50)], key="monday")
    steer.resume_campaign(lab.store, "snar", "", PERSON)
    assert lab.state(first.id) is State.CANCELLED


def test_a_key_with_other_rows_is_refused(lab: Lab) -> None:
    lab.campaign()
    lab.stage([point(1)], key="monday")
    with pytest.raises(KeyReusedError):
        lab.stage([point(2)], key="monday")
    assert lab.states() == {State.STAGED: 1}


def test_a_key_belongs_to_its_campaign(lab: Lab) -> None:
    lab.campaign()
    lab.campaign("other")
    lab.stage([point(1)], key="monday")
    lab.stage([point(2)], key="monday", campaign="other")
    assert lab.states("other") == {State.STAGED: 1}


@pytest.mark.parametrize(
    ("bad", "field", "words"),
    [
        ({**point(), "presure": 3}, "presure", "is no parameter"),
        ({"temperature": 20.0, "minutes": 1}, "solvent", "is missing"),
        ({**point(), "temperature": 120.1}, "temperature", "outside 20 to 120 degC"),
        ({**point(), "temperature": "hot"}, "temperature", "not a finite number"),
        ({**point(), "temperature": float("nan")}, "temperature", "not a finite number"),
        ({**point(), "temperature": float("inf")}, "temperature", "not a finite number"),
        ({**point(), "temperature": 10**400}, "temperature", "not a finite number"),
        ({**point(), "temperature": True}, "temperature", "not a finite number"),
        ({**point(), "minutes": 1.5}, "minutes", "not a whole number"),
        ({**point(), "solvent": "watr"}, "solvent", "not one of water, ethanol, toluene"),
        ({**point(), "solvent": ["water"]}, "solvent", "not one of"),
        ([1, 2], "parameters", "must be an object"),
        (None, "parameters", "must be an object"),
    ],
)
def test_one_bad_row_stops_the_batch_and_is_named(lab: Lab, bad: Any, field: str, words: str) -> None:
    lab.campaign()
    with pytest.raises(InvalidError) as caught:
        lab.stage([point(1), bad, point(2)])
    assert caught.value.message == "Nothing was staged: 1 of 3 rows cannot be used."
    assert [each.field for each in caught.value.errors] == [f"items[1].{field}"]
    assert words in caught.value.errors[0].message
    assert lab.states() == {}


def test_every_bad_row_is_named(lab: Lab) -> None:
    lab.campaign()
    worse = {"temperature": 0, "minutes": 0, "solvent": "watr"}
    with pytest.raises(InvalidError) as caught:
        lab.stage([worse, point(1), worse])
    assert [each.field for each in caught.value.errors] == [
        f"items[{row}].{name}" for row in (0, 2) for name in ("temperature", "minutes", "solvent")
    ]
    assert caught.value.errors[2].hint == "Did you mean water?"


def test_a_broken_constraint_is_spelt_out(lab: Lab) -> None:
    rule = {"coefficients": {"temperature": 1, "minutes": 2}, "operator": "<=", "bound": 100}
    lab.campaign(problem={**PROBLEM, "constraints": [rule]})
    lab.stage([{"temperature": 60, "minutes": 20, "solvent": "water"}])
    with pytest.raises(InvalidError, match=r"1 \* temperature \+ 2 \* minutes <= 100"):
        lab.stage([{"temperature": 60.1, "minutes": 20, "solvent": "water"}])


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_has_limits(lab: Lab, count: int) -> None:
    lab.campaign()
    with pytest.raises(InvalidError, match="must be 1 to 1000 experiments"):
        lab.stage([point(number) for number in range(count)])


def test_a_priority_has_limits(lab: Lab) -> None:
    lab.campaign()
    with pytest.raises(InvalidError, match=r"items\[0\]\.priority"):
        lab.stage_one(priority=1001)


def test_an_unknown_campaign_is_named_with_the_nearest(lab: Lab) -> None:
    lab.campaign()
    with pytest.raises(NotFoundError, match="Did you mean snar"):
        lab.stage_one(campaign="snr")


def test_opaque_items_carry_any_json(lab: Lab) -> None:
    lab.campaign(problem=OPAQUE)
    body = {"smiles": "CCO", "nested": [1, {"deep": None}], "text": "Grüße \N{BENZENE RING}"}
    staged = lab.stage([None], payload=body)[0]
    assert lab.experiment(staged.id).payload == body
    assert lab.hold().experiment.payload == body


@pytest.mark.parametrize(
    "payload",
    [None, {"x": float("nan")}, {"x": "a\0b"}, {"x": "\ud800"}, {"x": "y" * 70_000}],
    ids=["missing", "nan", "nul", "surrogate", "large"],
)
def test_opaque_items_that_cannot_be_kept_are_refused(lab: Lab, payload: Any) -> None:
    lab.campaign(problem=OPAQUE)
    with pytest.raises(InvalidError, match=r"items\[0\]\.payload"):
        lab.stage([None], payload=payload)
    assert lab.states() == {}


def test_parameters_and_payload_do_not_mix(lab: Lab) -> None:
    lab.campaign(problem=OPAQUE)
    lab.campaign("plain")
    with pytest.raises(InvalidError, match="this one is opaque"):
        lab.stage([point()], payload={"smiles": "CCO"})
    with pytest.raises(InvalidError, match="is for opaque problems"):
        lab.stage([point()], payload={"smiles": "CCO"}, campaign="plain")


def test_only_an_active_campaign_takes_more(lab: Lab) -> None:
    lab.campaign()
    steer.pause_campaign(lab.store, "snar", "the lamp is out", PERSON)
    with pytest.raises(ConflictError, match=r"is paused: the lamp is out\. Resume it first"):
        lab.stage_one()
    steer.resume_campaign(lab.store, "snar", "", PERSON)
    steer.finish_campaign(lab.store, "snar", "enough", PERSON)
    with pytest.raises(ConflictError, match="is finished: enough"):
        lab.stage_one()


def test_a_draining_queue_takes_nothing_new_and_gives_what_it_has(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    steer.drain_queue(lab.store, "bench", "moving out", PERSON)
    with pytest.raises(ConflictError, match="draining and takes nothing new: moving out"):
        lab.stage_one()
    assert len(lab.claim().assignments) == 1


def test_a_proposal_waits_for_approval(lab: Lab) -> None:
    lab.campaign()
    proposed = lab.stage_one(propose=True)
    assert proposed.state is State.PROPOSED
    assert lab.claim().assignments == ()
    approved = review.approve(lab.store, proposed.id, PERSON)
    assert (approved.state, approved.approved_by) == (State.STAGED, PERSON)
    assert review.approve(lab.store, proposed.id, PERSON) == approved, "twice is once"
    assert lab.hold().experiment.id == proposed.id


def test_a_rejected_proposal_is_cancelled(lab: Lab) -> None:
    lab.campaign()
    proposed = lab.stage_one(propose=True)
    assert review.reject(lab.store, proposed.id, "too hot", PERSON).state is State.CANCELLED
    with pytest.raises(ConflictError, match="only one that is proposed can be approved"):
        review.approve(lab.store, proposed.id, PERSON)
    assert lab.events("experiment.rejected")[0].data["reason"] == "too hot"


def test_an_approval_during_a_pause_waits_for_its_end(lab: Lab) -> None:
    lab.campaign()
    proposed = lab.stage_one(propose=True)
    steer.pause_campaign(lab.store, "snar", "", PERSON)
    review.approve(lab.store, proposed.id, PERSON)
    assert lab.claim().assignments == ()
    steer.resume_campaign(lab.store, "snar", "", PERSON)
    assert lab.hold().experiment.id == proposed.id


def test_what_nobody_claimed_by_its_use_by_date_expires(lab: Lab) -> None:
    lab.campaign()
    with lab.store.begin() as tx:
        soon = tx.now() + timedelta(seconds=100)
    perishable, proposed = lab.stage_one(expires_at=soon), lab.stage_one(expires_at=soon, propose=True)
    lasting = lab.stage_one()
    assert recover.expire(lab.store) == []
    lab.elapse(101)
    assert {each.id for each in recover.expire(lab.store)} == {perishable.id, proposed.id}
    assert lab.state(perishable.id) is State.EXPIRED
    assert lab.experiment(perishable.id).finished_at is not None
    assert recover.expire(lab.store) == []
    assert lab.hold().experiment.id == lasting.id


def test_what_was_claimed_in_time_does_not_expire(lab: Lab) -> None:
    lab.campaign()
    with lab.store.begin() as tx:
        soon = tx.now() + timedelta(seconds=10)
    lab.stage_one(expires_at=soon)
    held = lab.take()
    lab.elapse(11)
    assert recover.expire(lab.store) == []
    assert lab.complete(held).state is State.COMPLETED


def test_adjusting_a_place(lab: Lab) -> None:
    lab.campaign()
    first, second = lab.stage(2)
    review.adjust(lab.store, second.id, 3, True, PERSON)
    assert lab.experiment(second.id).pinned
    assert lab.hold().experiment.id == second.id
    with pytest.raises(ConflictError, match="its place matters no longer"):
        review.adjust(lab.store, second.id, 1, None, PERSON)
    with pytest.raises(InvalidError):
        review.adjust(lab.store, first.id, 5000, None, PERSON)


def claimed_by(lab: Lab, count: int) -> list[str]:
    return [lab.hold().experiment.campaign for _ in range(count)]


def test_two_owners_share_a_queue_whoever_stages_more(lab: Lab) -> None:
    lab.campaign("greedy", owner="anna")
    lab.campaign("modest", owner="ben")
    lab.stage(20, campaign="greedy")
    lab.stage(5, campaign="modest")
    assert sorted(claimed_by(lab, 10)) == ["greedy"] * 5 + ["modest"] * 5


def test_two_campaigns_of_one_owner_do_not_double_its_share(lab: Lab) -> None:
    lab.campaign("first", owner="anna")
    lab.campaign("second", owner="anna")
    lab.campaign("other", owner="ben")
    for name in ("first", "second", "other"):
        lab.stage(12, campaign=name)
    order = claimed_by(lab, 12)
    assert order.count("other") == 6
    assert order.count("first") == order.count("second") == 3


def test_a_campaigns_weight_is_its_share(lab: Lab) -> None:
    lab.campaign("heavy", owner="anna", weight=3.0)
    lab.campaign("light", owner="anna", weight=1.0)
    lab.stage(12, campaign="heavy")
    lab.stage(12, campaign="light")
    assert claimed_by(lab, 12).count("heavy") == 9


def test_what_rests_or_is_paused_takes_nothing_from_its_owners_others(lab: Lab) -> None:
    for name in ("first", "left", "paused"):
        lab.campaign(name, owner="anna")
    lab.campaign("other", owner="ben")
    lab.stage(3, campaign="paused")
    steer.pause_campaign(lab.store, "paused", "the pump leaks", PERSON)
    lab.elapse(2 * REST)
    for name in ("first", "other"):
        lab.stage(12, campaign=name)
    assert claimed_by(lab, 12).count("first") == 6, "half of the queue is anna's, all of it for this one"
    lab.stage(12, campaign="left")
    lab.stage(12, campaign="first")
    assert claimed_by(lab, 8).count("left") >= 2, "back, it has its part again"


def test_who_was_away_gains_nothing(lab: Lab) -> None:
    lab.campaign("busy", owner="anna")
    lab.campaign("late", owner="ben")
    lab.stage(30, campaign="busy")
    claimed_by(lab, 20)
    lab.stage(10, campaign="late")
    assert claimed_by(lab, 10).count("late") in (5, 6)


def test_who_was_finished_owes_nothing(lab: Lab) -> None:
    lab.campaign("old", owner="anna")
    lab.stage(50, campaign="old")
    claimed_by(lab, 50)
    steer.finish_campaign(lab.store, "old", "", PERSON)
    lab.campaign("new", owner="ben")
    lab.stage(10, campaign="new")
    steer.resume_campaign(lab.store, "old", "", PERSON)
    lab.stage(10, campaign="old")
    assert claimed_by(lab, 10).count("old") in (4, 5, 6)
