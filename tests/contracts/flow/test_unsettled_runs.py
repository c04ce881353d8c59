"""A new adapter of an instrument gets no work while nobody knows what became of its predecessor's run."""

from __future__ import annotations

import pytest
from flow_lab import Lab

from labqueue.states import State
from services.flow import recover, renew


def successor(lab: Lab, on_lost: str, *, people: bool = False) -> str:
    """One run was started, and its adapter was started anew; the lease of the run."""
    lab.queue(on_lost=on_lost, lease_seconds=30.0, people=people)
    lab.campaign()
    lab.stage(2)
    return lab.take(adapter="home.1").lease


@pytest.mark.parametrize("policy", ["hold", "probe"])
def test_a_successor_waits_until_the_run_is_settled(lab: Lab, policy: str) -> None:
    lease = successor(lab, policy)
    empty = lab.claim(adapter="home.2")
    assert empty.assignments == () and "earlier adapter" in str(empty.reason)
    assert len(lab.claim(adapter="home.1").assignments) == 1, "who runs it may run more"
    renewed = renew.heartbeat(lab.store, "hplc", [lease], "home.2")
    assert renewed[0].state == "live"
    lab.stage_one()
    assert len(lab.claim(adapter="home.2").assignments) == 1, "it has found the run, and goes on with it"


@pytest.mark.parametrize(("policy", "people"), [("requeue", False), ("hold", True)])
def test_solvers_and_people_do_not_wait(lab: Lab, policy: str, people: bool) -> None:
    successor(lab, policy, people=people)
    assert len(lab.claim(adapter="home.2").assignments) == 1


def test_a_run_that_was_only_claimed_keeps_nobody_waiting(lab: Lab) -> None:
    lab.campaign()
    lab.stage(2)
    lab.hold(adapter="home.1")
    assert len(lab.claim(adapter="home.2").assignments) == 1


@pytest.mark.parametrize(
    ("answer", "works"), [("running", True), ("done", True), ("never_ran", True), ("unknown", False)]
)
def test_who_is_asked_answers_first(lab: Lab, answer: str, works: bool) -> None:
    lease = successor(lab, "probe")
    lab.elapse(31)
    assert [each.state for each in recover.reap(lab.store)] == [State.HELD]
    asked = lab.claim(adapter="home.2")
    assert asked.assignments == () and "asked" in str(asked.reason)
    assert [each.lease for each in asked.probes] == [lease]
    assert lab.answer(lease, answer).ok
    renew.heartbeat(lab.store, "hplc", [lease] if answer in ("running", "done") else [], "home.2")
    assert bool(lab.claim(adapter="home.2").assignments) is works


def test_a_short_lease_outlives_an_outage_too_short_to_be_noticed(lab: Lab) -> None:
    lab.queue(on_lost="requeue", lease_seconds=1.0)
    lab.campaign()
    lab.stage_one()
    held = lab.take()
    lab.elapse(recover.OUTAGE)
    assert recover.reap(lab.store) == []
    assert lab.beat(held.lease).state == "live"
    lab.elapse(recover.OUTAGE + 1)
    assert [each.id for each in recover.reap(lab.store)] == [held.experiment.id]
