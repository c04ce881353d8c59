"""claim: who gets what, in which order, and who gets nothing, and why."""

from __future__ import annotations

from typing import Any

import pytest
from flow_lab import PERSON, Lab

from labqueue.errors import InstrumentTakenError, InvalidError, KeyReusedError, NotFoundError
from labqueue.states import State
from services.flow import renew, steer


def test_claims_come_in_the_order_of_staging_and_carry_all_that_is_needed(lab: Lab) -> None:
    lab.queue(lease_seconds=40.0)
    lab.campaign()
    staged = lab.stage(3)
    claimed = lab.claim(max=2)
    assert [each.experiment.id for each in claimed.assignments] == [each.id for each in staged[:2]]
    first = claimed.assignments[0]
    assert first.experiment.state is State.LEASED
    assert first.experiment.planned == staged[0].planned
    assert [output.name for output in first.outputs] == ["yield", "purity"]
    assert first.heartbeat
    assert first.attempt.number == 1 and first.attempt.fence == 1
    assert first.attempt.claimed_at is not None and first.attempt.deadline is not None
    assert (first.attempt.deadline - first.attempt.claimed_at).total_seconds() == pytest.approx(40.0)
    assert lab.experiment(staged[0].id).attempt == first.attempt.id
    assert lab.state(staged[2].id) is State.STAGED


def test_a_higher_priority_goes_first(lab: Lab) -> None:
    lab.campaign()
    lab.stage(2)
    urgent = lab.stage_one(priority=5)
    assert lab.hold().experiment.id == urgent.id


def test_the_same_key_returns_the_same_leases(lab: Lab) -> None:
    lab.campaign()
    lab.stage(4)
    first = lab.claim(max=2, key="incarnation-1")
    again = lab.claim(max=2, key="incarnation-1")
    assert [each.lease for each in again.assignments] == [each.lease for each in first.assignments]
    assert [each.experiment.id for each in again.assignments] == [
        each.experiment.id for each in first.assignments
    ]
    assert lab.states() == {State.LEASED: 2, State.STAGED: 2}


def test_the_same_key_leaves_out_what_has_ended_since(lab: Lab) -> None:
    lab.campaign()
    lab.stage(2)
    first, second = lab.claim(max=2, key="k").assignments
    lab.complete(first)
    again = lab.claim(max=2, key="k")
    assert [each.lease for each in again.assignments] == [second.lease]
    lab.complete(second)
    last = lab.claim(max=2, key="k")
    assert last.assignments == () and last.reason == "the leases of this claim have ended"


def test_a_key_with_another_body_is_refused_and_changes_nothing(lab: Lab) -> None:
    lab.campaign()
    lab.stage(4)
    lab.claim(max=1, key="k")
    with pytest.raises(KeyReusedError, match="'k' was used before"):
        lab.claim(max=2, key="k")
    assert lab.states() == {State.LEASED: 1, State.STAGED: 3}


def test_a_claim_that_found_nothing_does_not_use_up_its_key(lab: Lab) -> None:
    lab.campaign()
    assert lab.claim(key="k").reason == "nothing is staged in queue bench"
    lab.stage_one()
    assert len(lab.claim(key="k").assignments) == 1


def test_an_unknown_queue_is_named_with_the_nearest(lab: Lab) -> None:
    lab.queue("flow-reactor")
    with pytest.raises(NotFoundError, match="Did you mean flow-reactor"):
        lab.claim(queue="flow-reaktor")


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"max": 0}, "max"),
        ({"max": 1001}, "max"),
        ({"max": 2, "min": 3}, "min"),
        ({"min": 0}, "min"),
        ({"key": "a\nb"}, "key"),
        ({"adapter": "a" * 201}, "adapter"),
        ({"instrument": " hplc"}, "instrument"),
    ],
)
def test_a_claim_that_makes_no_sense_is_refused(lab: Lab, wish: dict[str, Any], field: str) -> None:
    lab.queue()
    with pytest.raises(InvalidError) as caught:
        lab.claim(**wish)
    assert field in [each.field for each in caught.value.errors]
    assert lab.events("experiment.claimed") == []


def test_by_id_and_of_no_other_queue(lab: Lab) -> None:
    lab.campaign()
    lab.campaign("elsewhere", queue="other")
    wanted = lab.stage(3)[2]
    foreign = lab.stage_one(campaign="elsewhere")
    claimed = lab.claim(experiments=(wanted.id, foreign.id), max=5)
    assert [each.experiment.id for each in claimed.assignments] == [wanted.id]
    assert lab.state(foreign.id) is State.STAGED
    gone = lab.claim(experiments=(wanted.id,))
    assert gone.assignments == () and gone.final
    assert gone.reason == "none of these experiments can be claimed any more"


def test_at_least_so_many_or_after_a_while_what_there_is(lab: Lab) -> None:
    lab.campaign()
    lab.stage(2)
    wish: dict[str, Any] = {"max": 4, "min": 3, "within": 60.0}
    waiting = lab.claim(**wish)
    assert waiting.assignments == () and not waiting.final
    assert waiting.reason == "fewer than 3 experiments are staged in queue bench"
    lab.elapse(61)
    assert len(lab.claim(**wish).assignments) == 2
    lab.stage(3)
    assert len(lab.claim(**wish).assignments) == 3


def test_without_a_patience_it_waits_for_the_minimum_for_ever(lab: Lab) -> None:
    lab.campaign()
    lab.stage(2)
    lab.elapse(100_000)
    assert lab.claim(max=4, min=3).assignments == ()


def test_a_paused_queue_says_why(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    steer.pause_queue(lab.store, "bench", "the hood is being cleaned", PERSON)
    empty = lab.claim()
    assert empty.assignments == () and empty.final
    assert empty.reason == "queue bench is paused: the hood is being cleaned"
    steer.resume_queue(lab.store, "bench", "", PERSON)
    assert len(lab.claim().assignments) == 1


def test_one_live_adapter_per_instrument(lab: Lab) -> None:
    lab.campaign()
    lab.stage(3)
    lab.take(adapter="home.1")
    with pytest.raises(InstrumentTakenError, match="served by another adapter"):
        lab.claim(adapter="stranger.1")
    assert lab.states() == {State.LEASED: 1, State.STAGED: 2}


def test_a_successor_of_the_same_home_is_no_stranger(lab: Lab) -> None:
    lab.campaign()
    lab.stage(2)
    lab.hold(adapter="home.1")
    assert len(lab.claim(adapter="home.2").assignments) == 1
    assert lab.instrument().adapter == "home.2"


def test_taking_over_is_possible_when_asked_for(lab: Lab) -> None:
    lab.queue(on_lost="requeue")
    lab.campaign()
    lab.stage(3)
    old = lab.take(adapter="home.1")
    lab.take(adapter="stranger.1", take_over=True)
    with pytest.raises(InstrumentTakenError):
        lab.claim(adapter="home.1")
    assert lab.beat(old.lease).state == "live", "its run goes on: only its own silence would end it"


@pytest.mark.parametrize("policy", ["hold", "probe"])
def test_a_successor_gets_nothing_while_the_device_may_still_be_at_it(lab: Lab, policy: str) -> None:
    lab.queue(on_lost=policy)
    lab.campaign()
    lab.stage(3)
    old = lab.take(adapter="home.1")
    refused = lab.claim(adapter="home.2")
    assert refused.assignments == () and refused.final
    assert refused.reason is not None and "was running experiment 1" in refused.reason
    lab.complete(old)
    assert len(lab.claim(adapter="home.2").assignments) == 1, "its result settles it"


def test_a_successor_that_found_the_run_goes_on_with_it_and_gets_more(lab: Lab) -> None:
    lab.campaign()
    lab.stage(3)
    old = lab.take(adapter="home.1")
    assert lab.claim(adapter="home.2").assignments == ()
    assert renew.heartbeat(lab.store, "hplc", [old.lease], "home.2")[0].state == "live"
    assert len(lab.claim(adapter="home.2").assignments) == 1
    assert lab.complete(old).verdict == "accepted"


def test_a_silent_adapter_is_followed_by_another_but_one_that_renews_is_not(lab: Lab) -> None:
    lab.queue(on_lost="requeue")
    lab.campaign()
    lab.stage(3)
    long_run = lab.take(adapter="home.1")
    for _ in range(4):
        lab.elapse(30)
        lab.beat(long_run.lease)
    with pytest.raises(InstrumentTakenError):
        lab.claim(adapter="stranger.1")
    lab.elapse(61)
    assert len(lab.claim(adapter="stranger.1").assignments) == 1


def test_people_have_no_heartbeat_and_no_rival(lab: Lab) -> None:
    lab.queue(people=True, lease_seconds=3 * 86400.0)
    lab.campaign()
    lab.stage(2)
    assert not lab.hold("anna", adapter="browser.1").heartbeat
    assert len(lab.claim("anna", adapter="browser.2").assignments) == 1


def test_staleness_is_what_was_learnt_since_it_was_chosen(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=3)
    lab.suggest(campaign)
    assert lab.number()
    first, second, _ = lab.claim(max=3).assignments
    assert first.experiment.staleness == 0
    lab.complete(first)
    lab.number()
    lab.suggest(campaign)
    lab.complete(second)
    lab.number()
    later = lab.hold()
    assert later.experiment.staleness == 1
    assert lab.stage_one() and lab.claim(max=9).assignments[-1].experiment.staleness is None
