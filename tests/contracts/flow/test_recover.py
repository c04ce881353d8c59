"""recover: what a silence costs, by policy, and what it never costs."""

from __future__ import annotations

import pytest
from flow_lab import PERSON, Lab
from store_world import World

from labqueue.errors import ConflictError
from labqueue.states import State
from services.flow import recover, renew, review, steer
from services.flow.claim import Assignment


def lose_one(lab: Lab, on_lost: str, **policy: object) -> Assignment:
    """A started run whose holder fell silent."""
    lab.queue(on_lost=on_lost, **policy)
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.lose(held)
    return held


# Nothing is taken away but by a decision


def test_a_passed_deadline_takes_nothing_away(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.elapse(1000)
    assert lab.state(held.experiment.id) is State.LEASED
    assert lab.beat(held.lease).state == "live"
    assert recover.reap(lab.store) == []
    assert lab.complete(held).verdict == "accepted"


def test_a_holder_that_renews_is_never_reaped(lab: Lab) -> None:
    lab.queue(on_lost="requeue")
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    for _ in range(5):
        lab.elapse(50)
        lab.beat(held.lease)
        assert recover.reap(lab.store) == []
    assert lab.state(held.experiment.id) is State.LEASED


@pytest.mark.parametrize("policy", ["hold", "requeue", "probe"])
def test_claimed_but_never_started_goes_back_uncounted(lab: Lab, policy: str) -> None:
    lab.queue(on_lost=policy)
    lab.campaign()
    first, _ = lab.stage(2)
    held = lab.hold()
    back = lab.lose(held)
    assert (back.state, back.counted, back.tag) == (State.STAGED, 0, first.tag)
    assert lab.attempt(held).end == "released"
    assert lab.instrument().blocked_by is None
    assert lab.hold("nmr").experiment.id == first.id


def test_a_batch_whose_adapter_died_before_starting_any_goes_back_in_its_order(lab: Lab) -> None:
    lab.campaign()
    staged = lab.stage(50)
    lab.claim(max=50)
    lab.elapse(61)
    assert len(recover.reap(lab.store)) == 50
    order = [each.experiment.id for each in lab.claim("nmr", max=50).assignments]
    assert order == [each.id for each in staged]


# hold


def test_hold_waits_for_a_person_and_blocks_the_instrument(lab: Lab) -> None:
    held = lose_one(lab, "hold")
    experiment = lab.experiment(held.experiment.id)
    assert (experiment.state, experiment.attempt) == (State.HELD, held.attempt.id)
    assert experiment.held_reason == "hplc fell silent"
    assert lab.attempt(held).live and lab.attempt(held).silent
    lab.stage_one()
    refused = lab.claim()
    assert refused.assignments == () and refused.final
    assert refused.reason is not None and f"running experiment {experiment.id}" in refused.reason
    assert len(lab.claim("nmr").assignments) == 1, "others go on"
    assert recover.reap(lab.store) == [], "once"


def test_a_holder_that_returns_before_a_decision_goes_on(lab: Lab) -> None:
    held = lose_one(lab, "hold")
    assert lab.beat(held.lease).state == "live"
    experiment = lab.experiment(held.experiment.id)
    assert (experiment.state, experiment.held_reason) == (State.LEASED, "")
    assert not lab.attempt(held).silent
    assert lab.instrument().blocked_by is None
    assert recover.reap(lab.store) == []
    assert lab.complete(held).state is State.COMPLETED
    assert [each.end for each in lab.attempts(held.experiment.id)] == ["completed"]


def test_a_holder_that_returns_with_its_result_completes_it(lab: Lab) -> None:
    held = lose_one(lab, "hold")
    assert lab.complete(held).verdict == "accepted"
    assert lab.state(held.experiment.id) is State.COMPLETED
    assert lab.attempt(held).end == "completed"
    assert lab.instrument().blocked_by is None


def test_a_holder_that_returns_only_to_say_that_it_failed(lab: Lab) -> None:
    held = lose_one(lab, "hold")
    assert lab.fail(held.lease).ok
    experiment = lab.experiment(held.experiment.id)
    assert (experiment.state, experiment.counted) == (State.STAGED, 1)
    assert lab.instrument().blocked_by is None


def test_a_person_decides_to_run_it_again(lab: Lab) -> None:
    held = lose_one(lab, "hold")
    again = review.run_again(lab.store, held.experiment.id, "the vial is untouched", PERSON)
    assert (again.state, again.counted, again.tag) == (State.STAGED, 1, held.experiment.tag)
    assert lab.attempt(held).end == "decided"
    assert lab.beat(held.lease).state == "lost", "the holder comes too late"
    assert lab.instrument().blocked_by is None
    assert lab.take("nmr").attempt.number == 2


def test_a_person_gives_it_up(lab: Lab) -> None:
    held = lose_one(lab, "hold")
    given_up = review.give_up(lab.store, held.experiment.id, "the vial broke", PERSON)
    assert (given_up.state, given_up.held_reason) == (State.FAILED, "given up: the vial broke")
    assert given_up.finished_at is not None
    assert lab.instrument().blocked_by is None
    assert lab.complete(held).verdict == "accepted", "and yet, what was measured counts"
    with pytest.raises(ConflictError, match="only one that is held"):
        review.give_up(lab.store, held.experiment.id, "", PERSON)


def test_cancelling_a_held_one_ends_it(lab: Lab) -> None:
    held = lose_one(lab, "hold")
    assert lab.cancel(held.experiment.id).state is State.CANCELLED
    assert lab.attempt(held).end == "cancelled"
    assert lab.instrument().blocked_by is None


def test_clearing_the_instrument_leaves_the_experiment_to_be_decided(lab: Lab) -> None:
    held = lose_one(lab, "hold")
    lab.stage_one()
    steer.clear_instrument(lab.store, "hplc", "looked at it", PERSON)
    assert len(lab.claim().assignments) == 1
    assert lab.state(held.experiment.id) is State.HELD


def test_with_two_held_runs_one_decision_is_not_enough(lab: Lab) -> None:
    lab.campaign()
    lab.stage(3)
    one, two = lab.take(), lab.take()
    lab.elapse(61)
    recover.reap(lab.store)
    assert lab.instrument().blocked_by in (one.experiment.id, two.experiment.id)
    first = lab.instrument().blocked_by
    assert first is not None
    review.give_up(lab.store, first, "", PERSON)
    other = ({one.experiment.id, two.experiment.id} - {first}).pop()
    assert lab.instrument().blocked_by == other
    assert lab.claim().assignments == ()
    review.give_up(lab.store, other, "", PERSON)
    assert len(lab.claim().assignments) == 1


def test_a_wish_to_cancel_does_not_survive_the_decision_to_run_again(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.cancel(held.experiment.id)
    lab.lose(held)
    review.run_again(lab.store, held.experiment.id, "", PERSON)
    again = lab.hold("nmr")
    assert lab.start(again.lease).ok


# requeue


def test_requeue_puts_it_back_and_counts(lab: Lab) -> None:
    held = lose_one(lab, "requeue")
    back = lab.experiment(held.experiment.id)
    assert (back.state, back.counted, back.tag) == (State.STAGED, 1, held.experiment.tag)
    attempt = lab.attempt(held)
    assert (attempt.end, attempt.counts) == ("lost", True) and attempt.ended_at is not None
    assert lab.instrument().blocked_by is None
    assert lab.hold("nmr").experiment.id == held.experiment.id


def test_what_is_lost_too_often_is_given_up(lab: Lab) -> None:
    held = lose_one(lab, "requeue", max_attempts=2)
    lab.lose(lab.take("nmr"))
    ended = lab.experiment(held.experiment.id)
    assert (ended.state, ended.held_reason) == (State.FAILED, "given up after 2 attempts: nmr fell silent")
    assert ended.finished_at is not None


def test_the_first_of_two_results_is_accepted_whoever_holds_it_now(lab: Lab) -> None:
    held = lose_one(lab, "requeue")
    successor = lab.take("nmr")
    assert lab.complete(held).verdict == "accepted"
    assert lab.beat(successor.lease, "nmr").state == "not_needed"
    late = lab.report(successor.experiment.id, lease=successor.lease)
    assert late.verdict == "replicate"


def test_a_cancelled_run_that_is_lost_is_cancelled(lab: Lab) -> None:
    lab.queue(on_lost="requeue")
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.cancel(held.experiment.id)
    assert lab.lose(held).state is State.CANCELLED


# probe


def test_probe_asks_the_adapter_of_that_name(lab: Lab) -> None:
    held = lose_one(lab, "probe")
    experiment = lab.experiment(held.experiment.id)
    assert experiment.state is State.HELD and "asked" in experiment.held_reason
    assert lab.instrument().blocked_by is None, "its adapter answers, and no person has to"
    asked = renew.probes_for(lab.store, "hplc")
    assert [(each.lease, each.experiment.id) for each in asked] == [(held.lease, experiment.id)]
    assert renew.probes_for(lab.store, "nmr") == []
    lab.stage_one()
    claimed = lab.claim()
    assert [each.lease for each in claimed.probes] == [held.lease]
    assert claimed.assignments == () and claimed.final, "nothing new before it has answered"
    assert claimed.reason is not None and "is asked what became of it" in claimed.reason
    lab.answer(held.lease, "never_ran")
    assert len(lab.claim().assignments) == 1


@pytest.mark.parametrize("word", ["running", "done"])
def test_a_run_that_goes_on_keeps_its_attempt(lab: Lab, word: str) -> None:
    held = lose_one(lab, "probe")
    assert lab.answer(held.lease, word).ok
    assert lab.state(held.experiment.id) is State.LEASED
    assert recover.reap(lab.store) == [], "it has a whole lease again"
    lab.elapse(50)
    assert recover.reap(lab.store) == []
    assert lab.complete(held).state is State.COMPLETED
    assert len(lab.attempts(held.experiment.id)) == 1


def test_a_run_that_never_was_goes_back_uncounted(lab: Lab) -> None:
    held = lose_one(lab, "probe")
    assert lab.answer(held.lease, "never_ran").ok
    back = lab.experiment(held.experiment.id)
    assert (back.state, back.counted, back.tag) == (State.STAGED, 0, held.experiment.tag)
    assert lab.attempt(held).end == "released"
    assert lab.answer(held.lease, "running").code == "lease_lost"


def test_a_cancelled_run_that_never_was_is_cancelled(lab: Lab) -> None:
    lab.queue(on_lost="probe")
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.cancel(held.experiment.id)
    lab.lose(held)
    assert lab.answer(held.lease, "never_ran").ok
    assert lab.state(held.experiment.id) is State.CANCELLED


def test_unknown_is_held_and_blocks(lab: Lab) -> None:
    held = lose_one(lab, "probe")
    assert lab.answer(held.lease, "unknown").ok
    experiment = lab.experiment(held.experiment.id)
    assert experiment.state is State.HELD and "does not know" in experiment.held_reason
    assert renew.probes_for(lab.store, "hplc") == []
    assert lab.instrument().blocked_by == experiment.id
    assert lab.beat(held.lease).state == "live", "and still its holder may return"
    assert lab.instrument().blocked_by is None


def test_an_answer_that_is_none_and_an_answer_nobody_asked_for(lab: Lab) -> None:
    held = lose_one(lab, "probe")
    assert lab.answer(held.lease, "perhaps").code == "invalid"
    lab.beat(held.lease)
    assert lab.answer(held.lease, "never_ran").ok
    assert lab.state(held.experiment.id) is State.LEASED, "it came back before it answered"


# our own downtime


@pytest.mark.parametrize("policy", ["hold", "requeue", "probe"])
def test_our_downtime_costs_nobody_a_lease(lab: Lab, policy: str) -> None:
    lab.queue(on_lost=policy, lease_seconds=10.0)
    lab.campaign()
    lab.stage(3)
    leases = [lab.take() for _ in range(3)]
    lab.outage(50)
    assert recover.reap(lab.store) == [], "nobody could be heard"
    assert 50 <= recover.stamp_alive(lab.store) < 60
    assert recover.reap(lab.store) == []
    lab.elapse(15)
    assert recover.reap(lab.store) == [], "the gap and a lease beyond what was left"
    for each in leases:
        assert lab.beat(each.lease).state == "live"
        assert lab.complete(each).verdict == "accepted"
        assert [attempt.end for attempt in lab.attempts(each.experiment.id)] == ["completed"]


def test_who_stays_silent_after_an_outage_loses_the_lease_all_the_same(lab: Lab) -> None:
    lab.queue(on_lost="requeue", lease_seconds=10.0)
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.outage(50)
    recover.stamp_alive(lab.store)
    lab.elapse(21)
    assert [each.id for each in recover.reap(lab.store)] == [held.experiment.id]
    assert lab.events("server.outage")[0].data["leases"] == 1


def test_a_short_gap_is_no_outage(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.outage(recover.OUTAGE - 1)
    assert recover.stamp_alive(lab.store) == 0.0
    assert lab.attempt(held).deadline is not None
    assert lab.events("server.outage") == []


def test_nothing_is_reaped_before_any_api_process_lives(world: World) -> None:
    lab = Lab(world, alive=False)
    lab.queue(on_lost="requeue", lease_seconds=1.0)
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    world.advance(1000)
    assert recover.reap(lab.store) == []
    assert lab.state(held.experiment.id) is State.LEASED
