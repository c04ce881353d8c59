"""steer and stop: campaigns, queues and instruments are paused, resumed, drained and finished."""

from __future__ import annotations

import pytest
from flow_lab import PERSON, Lab

from labqueue.errors import ConflictError, InvalidError, NotFoundError
from labqueue.states import State
from services.flow import amend, recover, review, steer, stop


def test_a_pause_hides_a_campaign_and_resuming_brings_back_its_order(lab: Lab) -> None:
    lab.campaign()
    staged = lab.stage(4)
    first = lab.take()
    steer.pause_campaign(lab.store, "snar", "no more toluene", PERSON)
    assert lab.claim().assignments == ()
    assert lab.claim(experiments=(staged[1].id,)).assignments == ()
    assert lab.complete(first).state is State.COMPLETED, "what runs goes on"
    steer.resume_campaign(lab.store, "snar", "", PERSON)
    order = [each.experiment.id for each in lab.claim(max=9).assignments]
    assert order == [each.id for each in staged[1:]]


def test_what_comes_back_during_a_pause_waits_too(lab: Lab) -> None:
    lab.queue(on_lost="requeue")
    lab.campaign()
    lab.stage(2)
    released, lost = lab.hold(), lab.take()
    steer.pause_campaign(lab.store, "snar", "", PERSON)
    lab.release(released.lease)
    lab.lose(lost)
    assert lab.states() == {State.STAGED: 2}
    assert lab.claim().assignments == ()
    steer.resume_campaign(lab.store, "snar", "", PERSON)
    assert [each.experiment.id for each in lab.claim(max=9).assignments] == [
        released.experiment.id,
        lost.experiment.id,
    ]


def test_a_replay_during_a_pause_waits_too(lab: Lab) -> None:
    lab.queue(max_attempts=1)
    lab.campaign()
    lab.stage_one()
    given_up = lab.take()
    lab.fail(given_up.lease)
    steer.pause_campaign(lab.store, "snar", "", PERSON)
    review.replay(lab.store, given_up.experiment.id, "the pump was mended", PERSON)
    assert lab.state(given_up.experiment.id) is State.STAGED
    assert lab.claim().assignments == ()


def test_pausing_twice_is_once_and_needs_no_reason(lab: Lab) -> None:
    lab.campaign()
    assert steer.pause_campaign(lab.store, "snar", "", "person:anna").reason == "anna said so"
    steer.pause_campaign(lab.store, "snar", "again", PERSON)
    assert len(lab.events("campaign.paused")) == 1


def test_finishing_cancels_what_waits_lets_runs_end_and_takes_results(lab: Lab) -> None:
    lab.campaign()
    lab.stage(2)
    running = lab.take()
    proposed = lab.stage_one(propose=True)
    done = steer.finish_campaign(lab.store, "snar", "published", PERSON)
    assert (done.state, done.reason) == ("finished", "published") and done.finished_at is not None
    assert lab.states() == {State.LEASED: 1, State.CANCELLED: 2}
    assert lab.beat(running.lease).state == "live"
    assert lab.complete(running).verdict == "accepted"
    assert lab.report(proposed.id).state is State.COMPLETED, "late, and kept"


def test_what_comes_back_to_a_finished_campaign_is_not_run_again(lab: Lab) -> None:
    lab.queue(on_lost="requeue")
    lab.campaign()
    lab.stage(4)
    released, failed, lost = lab.hold(), lab.take(), lab.take("nmr")
    steer.finish_campaign(lab.store, "snar", "published", PERSON)
    lab.release(released.lease)
    lab.fail(failed.lease)
    lab.lose(lost)
    assert lab.states() == {State.CANCELLED: 4}
    assert lab.claim().assignments == ()
    assert all(lab.experiment(each.experiment.id).finished_at for each in (released, failed, lost))


def test_nothing_is_replayed_or_run_again_in_a_finished_campaign(lab: Lab) -> None:
    lab.queue(max_attempts=1)
    lab.campaign()
    lab.stage(2)
    given_up = lab.take()
    lab.fail(given_up.lease)
    held = lab.take("nmr")
    lab.lose(held)
    steer.finish_campaign(lab.store, "snar", "published", PERSON)
    with pytest.raises(ConflictError, match="is finished: published"):
        review.replay(lab.store, given_up.experiment.id, "", PERSON)
    with pytest.raises(ConflictError, match="is finished: published"):
        review.run_again(lab.store, held.experiment.id, "", PERSON)
    assert lab.states() == {State.FAILED: 1, State.HELD: 1}


def test_a_finished_campaign_can_be_resumed_but_not_paused(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    steer.finish_campaign(lab.store, "snar", "enough", PERSON)
    with pytest.raises(ConflictError, match="There is nothing to pause"):
        steer.pause_campaign(lab.store, "snar", "", PERSON)
    again = steer.resume_campaign(lab.store, "snar", "", PERSON)
    assert (again.state, again.finished_at) == ("active", None)
    assert again.reason == "resumed; it had finished: enough"
    lab.stage_one()
    assert len(lab.claim(max=9).assignments) == 1


def test_a_queue_keeps_its_state_when_its_policy_changes(lab: Lab) -> None:
    lab.queue(lease_seconds=30.0)
    steer.pause_queue(lab.store, "bench", "fire drill", PERSON)
    changed = lab.queue(lease_seconds=90.0, on_lost="requeue")
    assert (changed.state, changed.reason, changed.lease_seconds) == ("paused", "fire drill", 90.0)


def test_a_running_lease_keeps_the_length_that_it_was_given(lab: Lab) -> None:
    lab.queue(lease_seconds=30.0, on_lost="requeue")
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.queue(lease_seconds=3000.0, on_lost="requeue")
    lab.beat(held.lease)
    lab.elapse(31)
    assert [each.id for each in recover.reap(lab.store)] == [held.experiment.id]


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        ({"lease_seconds": 0.5}, "lease_seconds"),
        ({"lease_seconds": float("nan")}, "lease_seconds"),
        ({"lease_seconds": 91 * 86400.0}, "lease_seconds"),
        ({"on_lost": "forget"}, "on_lost"),
        ({"max_attempts": 0}, "max_attempts"),
    ],
)
def test_a_queues_policy_has_limits(lab: Lab, policy: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        lab.queue(**policy)
    assert [each.field for each in caught.value.errors] == [field]


def test_three_failures_in_a_row_pause_the_instrument_and_not_the_campaign(lab: Lab) -> None:
    lab.queue(max_attempts=9)
    lab.campaign()
    lab.stage(2)
    for _ in range(3):
        assert lab.fail(lab.take().lease, "no vacuum").ok
    refused = lab.claim()
    assert refused.assignments == () and refused.final
    assert refused.reason == "instrument hplc is paused: 3 failed runs in a row, the last: no vacuum"
    assert lab.events("instrument.paused")[0].instrument == "hplc"
    assert len(lab.claim("nmr").assignments) == 1, "another instrument goes on"
    steer.clear_instrument(lab.store, "hplc", "new oil", PERSON)
    assert len(lab.claim().assignments) == 1
    assert lab.instrument().failures == 0


def test_a_good_run_forgets_the_failures_before_it(lab: Lab) -> None:
    lab.queue(max_attempts=9)
    lab.campaign()
    lab.stage(1)
    for _ in range(2):
        lab.fail(lab.take().lease)
    lab.complete(lab.take())
    lab.stage(1)
    for _ in range(2):
        lab.fail(lab.take().lease)
    assert lab.instrument().state == "active"


def test_the_limit_of_failures_can_be_set(lab: Lab) -> None:
    lab.campaign()
    lab.stage(2)
    held = lab.take()
    steer.set_failure_limit(lab.store, "hplc", 1, PERSON)
    lab.fail(held.lease)
    assert lab.instrument().state == "paused"
    with pytest.raises(InvalidError):
        steer.set_failure_limit(lab.store, "hplc", 0, PERSON)


def test_an_instrument_is_paused_by_hand_and_known_only_once_it_claimed(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    with pytest.raises(NotFoundError, match="has claimed anything yet"):
        steer.pause_instrument(lab.store, "hplc", "", PERSON)
    running = lab.take()
    steer.pause_instrument(lab.store, "hplc", "service day", PERSON)
    assert lab.claim().reason == "instrument hplc is paused: service day"
    assert lab.beat(running.lease).state == "live"


def test_a_budget_counts_what_was_completed(lab: Lab) -> None:
    campaign = lab.campaign(stop={"budget": 2})
    lab.stage(4)
    lab.complete(lab.take())
    lab.number()
    assert stop.check(lab.store, campaign.id) is None
    lab.complete(lab.take())
    lab.number()
    assert stop.check(lab.store, campaign.id) == "budget of 2 experiments spent"
    assert lab.known().state == "finished"
    assert lab.states() == {State.COMPLETED: 2, State.CANCELLED: 2}
    assert stop.check(lab.store, campaign.id) is None, "once"


def test_held_and_cancelled_ones_are_no_part_of_a_budget(lab: Lab) -> None:
    campaign = lab.campaign(stop={"budget": 1})
    lab.stage(3)
    lab.lose(lab.take())
    lab.cancel(lab.stage_one().id)
    lab.number()
    assert stop.check(lab.store, campaign.id) is None


def test_a_target_ends_a_campaign_with_the_figures(lab: Lab) -> None:
    campaign = lab.campaign(stop={"target": 0.9})
    lab.stage(3)
    lab.complete(lab.take(), {"yield": 0.89, "purity": 1})
    lab.number()
    assert stop.check(lab.store, campaign.id) is None
    lab.complete(lab.take(), {"yield": 0.95, "purity": 1})
    lab.number()
    assert stop.check(lab.store, campaign.id) == "target 0.9 reached: best score 0.95"


def test_no_improvement_is_counted_in_the_order_of_the_results(lab: Lab) -> None:
    campaign = lab.campaign(stop={"no_improvement": 2})
    lab.stage(4)
    for value in (0.5, 0.4):
        lab.complete(lab.take(), {"yield": value, "purity": 1})
    lab.number()
    assert stop.check(lab.store, campaign.id) is None
    lab.report(lab.take().experiment.id, {}, outcome="infeasible")
    lab.number()
    assert stop.check(lab.store, campaign.id) == "no improvement in the last 2 experiments"


def test_an_outstanding_objective_is_no_lack_of_improvement(lab: Lab) -> None:
    campaign = lab.campaign(stop={"no_improvement": 1})
    lab.stage(3)
    lab.complete(lab.take())
    partial = lab.take()
    lab.report(partial.experiment.id, {"purity": 1}, outstanding=("yield",), lease=partial.lease)
    lab.number()
    assert stop.check(lab.store, campaign.id) is None
    lab.report(partial.experiment.id, {"yield": 0.1})
    lab.number()
    assert stop.check(lab.store, campaign.id) == "no improvement in the last 1 experiments"


def test_a_withdrawn_result_reaches_no_target(lab: Lab) -> None:
    campaign = lab.campaign(stop={"target": 0.9})
    lab.stage_one()
    recorded = lab.complete(lab.take(), {"yield": 0.99, "purity": 1})
    amend.withdraw(lab.store, recorded.id, lab.ids.uuid(), "wrong vial", PERSON)
    lab.number()
    assert stop.check(lab.store, campaign.id) is None
