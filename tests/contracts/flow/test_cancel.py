"""cancel: a wish that what waits hears at once and what runs hears within a heartbeat."""

from __future__ import annotations

import pytest
from flow_lab import Lab

from labqueue.errors import ConflictError, NotFoundError
from labqueue.states import State


@pytest.mark.parametrize("propose", [True, False])
def test_what_waits_is_cancelled_at_once(lab: Lab, propose: bool) -> None:
    lab.campaign()
    waiting = lab.stage_one(propose=propose)
    cancelled = lab.cancel(waiting.id, "no toluene left")
    assert cancelled.state is State.CANCELLED and cancelled.finished_at is not None
    assert lab.cancel(waiting.id) == lab.experiment(waiting.id), "twice is once"
    assert [each.data["reason"] for each in lab.events("experiment.cancelled")] == ["no toluene left"]
    assert lab.claim().assignments == ()


def test_what_runs_hears_the_wish_and_its_holder_confirms(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    wished = lab.cancel(1)
    assert (wished.state, wished.cancel_wished) == (State.LEASED, True)
    lab.cancel(1)
    assert len(lab.events("experiment.cancel_wished")) == 1
    beat = lab.beat(held.lease)
    assert beat.state == "cancel" and beat.deadline is not None, "the lease goes on until it confirms"
    assert lab.confirm(held.lease).ok
    assert lab.state(1) is State.CANCELLED
    assert lab.attempt(held).end == "cancelled"
    assert lab.experiment(1).finished_at is not None


def test_nothing_that_was_cancelled_is_started(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.hold()
    lab.cancel(1)
    answer = lab.start(held.lease)
    assert not answer.ok and answer.code == "lease_lost" and "Do not run it" in answer.message
    assert lab.state(1) is State.CANCELLED
    assert lab.attempt(held).end == "cancelled"


def test_a_result_is_stronger_than_the_wish(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.cancel(1)
    assert lab.complete(held).state is State.COMPLETED
    assert lab.confirm(held.lease).code == "lease_lost"


def test_a_released_one_is_cancelled_as_wished(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.hold()
    lab.cancel(1)
    assert lab.release(held.lease).ok
    assert lab.state(1) is State.CANCELLED


def test_nobody_confirms_what_nobody_wished(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    assert lab.confirm(held.lease).code == "conflict"
    assert lab.beat(held.lease).state == "live"


def test_a_partial_one_is_cancelled_and_keeps_what_it_has(lab: Lab) -> None:
    lab.campaign()
    lab.stage_one()
    lab.report(1, {"yield": 0.5}, outstanding=("purity",))
    assert lab.cancel(1).state is State.CANCELLED
    assert lab.values(1) == {"yield": 0.5} and len(lab.training()) == 1
    assert lab.report(1, {"purity": 1.0}).state is State.COMPLETED


@pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED])
def test_what_has_ended_is_not_cancelled(lab: Lab, state: State) -> None:
    lab.queue(max_attempts=1)
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    if state is State.COMPLETED:
        lab.complete(held)
    else:
        lab.fail(held.lease)
    with pytest.raises(ConflictError, match=f"that is {state} cannot become cancelled"):
        lab.cancel(1)


def test_an_unknown_experiment(lab: Lab) -> None:
    with pytest.raises(NotFoundError, match="no experiment 99"):
        lab.cancel(99)
