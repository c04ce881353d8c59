"""ending: somebody who is not its holder takes back what waits, or gives up what waits or runs."""

from __future__ import annotations

import pytest
from flow_lab import Lab

from labqueue.errors import ConflictError
from labqueue.states import State
from models.domain import records as r
from services.flow.ending import give_up_in, take_back_in


def _give_up(lab: Lab, id: int, reason: str = "the pump leaks") -> r.Experiment:
    with lab.store.begin() as tx:
        return give_up_in(tx, lab.ids, tx.experiments.lock([id])[0], "bench-1", reason, "person:anna")


def test_what_waits_is_taken_back_at_once(lab: Lab) -> None:
    lab.campaign()
    ids = [lab.stage_one().id, lab.stage_one(propose=True).id]
    with lab.store.begin() as tx:
        ended = take_back_in(tx, tx.experiments.lock(ids), "cleared", "person:anna")
    assert [each.state for each in ended] == [State.CANCELLED] * 2
    assert all(lab.experiment(id).finished_at is not None for id in ids)
    assert [each.data["reason"] for each in lab.events("experiment.cancelled")] == ["cleared"] * 2
    assert lab.claim().assignments == ()
    with lab.store.begin() as tx:
        assert take_back_in(tx, [], "", "person:anna") == []


def test_what_was_claimed_is_not(lab: Lab) -> None:
    lab.campaign()
    ids = [each.id for each in lab.stage(2)]
    lab.hold()
    with pytest.raises(ConflictError, match="only what waits"), lab.store.begin() as tx:
        take_back_in(tx, tx.experiments.lock(ids), "cleared", "person:anna")
    assert [lab.state(id) for id in ids] == [State.LEASED, State.STAGED], "all of it or nothing"


@pytest.mark.parametrize("begun", [True, False])
def test_what_is_given_up_has_failed_whatever_attempts_are_left(lab: Lab, begun: bool) -> None:
    lab.campaign()
    one = lab.stage_one()
    held = lab.take() if begun else None
    failed = _give_up(lab, one.id)
    assert (failed.state, failed.held_reason) == (State.FAILED, "the pump leaks")
    assert failed == lab.experiment(one.id) and failed.finished_at is not None and failed.attempt is None
    attempts = lab.attempts(one.id)
    assert [(each.end, each.reason) for each in attempts] == [("failed", "the pump leaks")]
    assert attempts[0].instrument == ("hplc" if begun else "bench-1")
    assert lab.claim().assignments == ()
    event = lab.events("experiment.failed")[0]
    assert (event.actor, event.instrument, event.attempt) == (
        "person:anna",
        attempts[0].instrument,
        attempts[0].id,
    )
    if held is not None:
        assert lab.beat(held.lease).state == "lost"
        assert lab.instrument().failures == 0, "its holder did not say so"
    assert lab.report(one.id).state is State.COMPLETED, "a late result counts"


def test_a_silent_run_is_given_up_and_its_instrument_goes_on(lab: Lab) -> None:
    lab.queue(on_lost="hold")
    lab.campaign()
    ids = [each.id for each in lab.stage(2)]
    lab.lose(lab.take())
    assert lab.instrument().blocked_by == ids[0]
    assert _give_up(lab, ids[0]).state is State.FAILED
    assert lab.instrument().blocked_by is None
    assert lab.hold(adapter="hplc-home.2").experiment.id == ids[1]


def test_what_has_ended_is_not_given_up(lab: Lab) -> None:
    lab.campaign()
    one = lab.stage_one()
    lab.complete(lab.take())
    with pytest.raises(ConflictError):
        _give_up(lab, one.id)
    assert lab.state(one.id) is State.COMPLETED
