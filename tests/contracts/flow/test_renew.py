"""renew and release: what a holder may say, and what a stale one may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flow_lab import PERSON, Lab

from labqueue.states import State
from services.flow import renew, review
from services.flow.claim import Assignment

Speak = Callable[[Lab, str], Any]
SPEAKING: dict[str, Speak] = {
    "start": lambda lab, lease: lab.start(lease),
    "note": lambda lab, lease: lab.note(lease),
    "fail": lambda lab, lease: lab.fail(lease),
    "release": lambda lab, lease: lab.release(lease),
    "confirm": lambda lab, lease: lab.confirm(lease),
    "answer": lambda lab, lease: lab.answer(lease, "never_ran"),
}
WAYS_TO_LOSE_IT: dict[str, Callable[[Lab, Assignment], object]] = {
    "failed": lambda lab, held: lab.fail(held.lease),
    "lost": lambda lab, held: lab.lose(held),
    "completed": lambda lab, held: lab.complete(held),
    "overtaken": lambda lab, held: lab.report(held.experiment.id),
}


def left(lab: Lab, lease: Assignment) -> float:
    """Seconds until its deadline."""
    with lab.store.begin() as tx:
        deadline = tx.attempts.get([lease.attempt.id])[0].deadline
        assert deadline is not None
        return (deadline - tx.now()).total_seconds()


def test_a_start_is_stamped_once(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.hold()
    assert lab.start(held.lease, "SEQ-1").ok
    first = lab.attempt(held)
    assert (first.state, first.run_ref) == ("started", "SEQ-1") and first.started_at is not None
    assert lab.start(held.lease).ok
    assert lab.attempt(held) == first
    assert len(lab.events("experiment.started")) == 1


def test_a_note_is_an_event_and_may_name_the_run(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    assert lab.note(held.lease, "injecting", "SEQ-7").ok
    assert lab.attempt(held).run_ref == "SEQ-7"
    noted = lab.events("experiment.noted")[0]
    assert (noted.data["text"], noted.actor, noted.attempt) == ("injecting", "adapter:hplc", held.attempt.id)
    assert lab.note(held.lease, "x" * 2001).code == "invalid"


def test_a_heartbeat_gives_a_full_lease_from_now(lab: Lab) -> None:
    lab.campaign()
    lab.stage(2)
    leases = [lab.take(), lab.take()]
    lab.elapse(40)
    assert all(15 < left(lab, each) < 21 for each in leases)
    beats = renew.heartbeat(lab.store, "hplc", [each.lease for each in leases])
    assert [each.state for each in beats] == ["live", "live"]
    assert all(50 < left(lab, each) <= 60 for each in leases)
    assert [each.deadline for each in beats] == [lab.attempt(each).deadline for each in leases]


def test_a_batch_of_heartbeats_is_answered_item_by_item(lab: Lab) -> None:
    lab.campaign()
    lab.stage(3)
    good, done, wished = lab.take(), lab.take(), lab.take()
    lab.complete(done)
    lab.cancel(wished.experiment.id)
    leases = [good.lease, "no lease at all", done.lease, wished.lease, f"{lab.ids.uuid().hex}.1"]
    states = [each.state for each in renew.heartbeat(lab.store, "hplc", leases)]
    assert states == ["live", "lost", "lost", "cancel", "lost"]


def test_nobody_renews_for_another_instrument_or_with_another_fence(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    assert lab.beat(held.lease, "nmr").state == "lost"
    attempt, _, fence = held.lease.partition(".")
    for wrong in (int(fence) + 1, 0, -1, 2**40):
        assert lab.beat(f"{attempt}.{wrong}").state == "lost"
        assert lab.start(f"{attempt}.{wrong}").code == "lease_lost"
    assert lab.attempt(held).deadline == held.attempt.deadline


def test_no_longer_needed_is_heard_at_the_next_heartbeat(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.report(held.experiment.id, actor=PERSON)
    beat = lab.beat(held.lease)
    assert beat.state == "not_needed" and "no longer needed" in beat.message.lower()


@pytest.mark.parametrize("lost", WAYS_TO_LOSE_IT)
@pytest.mark.parametrize("verb", SPEAKING)
def test_a_stale_lease_controls_nothing(lab: Lab, verb: str, lost: str) -> None:
    lab.queue(on_lost="requeue")
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    WAYS_TO_LOSE_IT[lost](lab, held)
    successor = lab.claim("nmr").assignments
    before = lab.experiment(held.experiment.id), lab.attempts(held.experiment.id), lab.events()
    answer = SPEAKING[verb](lab, held.lease)
    assert not answer.ok and answer.code == "lease_lost"
    after = lab.experiment(held.experiment.id), lab.attempts(held.experiment.id), lab.events()
    assert after == before
    assert all(lab.beat(each.lease, "nmr").state == "live" for each in successor)


def test_a_batch_of_failures_is_answered_item_by_item(lab: Lab) -> None:
    lab.campaign()
    lab.stage(2)
    one, two = lab.take(), lab.take()
    answers = renew.start(lab.store, [renew.StartItem("nonsense"), renew.StartItem(one.lease)])
    assert [each.ok for each in answers] == [False, True]
    assert lab.fail(one.lease).ok and lab.start(two.lease).ok


def test_unstarted_goes_back_to_its_place_uncounted(lab: Lab) -> None:
    lab.campaign()
    first, _ = lab.stage(2)
    held = lab.hold()
    assert lab.release(held.lease, "the needle is bent").ok
    back = lab.experiment(first.id)
    assert (back.state, back.tag, back.counted, back.attempts) == (State.STAGED, first.tag, 0, 1)
    attempt = lab.attempt(held)
    assert (attempt.end, attempt.reason, attempt.counts) == ("released", "the needle is bent", False)
    again = lab.hold()
    assert again.experiment.id == first.id
    assert (again.attempt.number, again.attempt.fence) == (2, 2)


def test_a_run_that_started_is_not_released(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    answer = lab.release(held.lease)
    assert not answer.ok and answer.code == "conflict" and "has started" in answer.message
    assert lab.beat(held.lease).state == "live"


def test_failures_are_bounded_and_end_in_sight(lab: Lab) -> None:
    lab.queue(max_attempts=2)
    lab.campaign()
    lab.stage_one()
    first = lab.take()
    lab.fail(first.lease, "no vacuum")
    back = lab.experiment(first.experiment.id)
    assert (back.state, back.counted, back.tag) == (State.STAGED, 1, first.experiment.tag)
    lab.fail(lab.take("nmr").lease, "no field")
    ended = lab.experiment(first.experiment.id)
    assert (ended.state, ended.attempt) == (State.FAILED, None)
    assert ended.held_reason == "given up after 2 attempts: no field"
    assert ended.finished_at is not None
    assert lab.claim().assignments == ()
    assert len(lab.events("experiment.failed")) == 1


def test_what_was_given_up_is_replayed_with_its_attempts_counted_anew(lab: Lab) -> None:
    lab.queue(max_attempts=1)
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.fail(held.lease)
    again = review.replay(lab.store, held.experiment.id, "the pump was mended", PERSON)
    assert (again.state, again.counted, again.finished_at) == (State.STAGED, 0, None)
    retry = lab.take()
    assert retry.attempt.number == 2
    assert lab.complete(retry).state is State.COMPLETED


def test_a_late_result_completes_what_was_given_up(lab: Lab) -> None:
    lab.queue(max_attempts=1)
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.fail(held.lease)
    recorded = lab.complete(held)
    assert (recorded.verdict, recorded.state) == ("accepted", State.COMPLETED)
    assert lab.claim().assignments == ()


def test_a_cancelled_run_that_fails_is_cancelled(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.cancel(held.experiment.id)
    assert lab.fail(held.lease).ok
    assert lab.state(held.experiment.id) is State.CANCELLED
    assert lab.experiment(held.experiment.id).finished_at is not None
