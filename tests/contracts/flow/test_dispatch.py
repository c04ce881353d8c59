"""dispatch and number: what was committed is told to everyone, in order, also after Redis lost it all."""

from __future__ import annotations

from typing import Any

import pytest
from flow_lab import PERSON, Lab

from labqueue.errors import InvalidError, UnavailableError
from services.flow import dispatch, review, steer


def announced(lab: Lab, queue: str = "bench") -> list[int]:
    """What a subscriber that read everything from the start thinks can be claimed."""
    known: list[int] = []
    for entry in lab.publisher.entries(queue):
        ids = [each["id"] if isinstance(each, dict) else each for each in entry.body["experiments"]]
        if entry.kind == "withdrawn":
            known = [each for each in known if each not in ids]
        else:
            known += [each for each in ids if each not in known]
    return known


def test_a_batch_is_published_as_it_was_staged(lab: Lab) -> None:
    lab.campaign()
    dispatch.relay(lab.store, lab.publisher)
    staged = lab.stage(3, priority=2)
    published = dispatch.relay(lab.store, lab.publisher)
    assert len(published) == 1
    body = published[0].body
    assert (body["campaign"], body["batch"]) == ("snar", str(staged[0].batch))
    assert body["experiments"] == [
        {"id": each.id, "code": each.code, "priority": 2, "parameters": each.planned} for each in staged
    ]
    assert dispatch.relay(lab.store, lab.publisher) == []


def test_a_rejected_batch_is_told_to_nobody(lab: Lab) -> None:
    lab.campaign()
    with pytest.raises(InvalidError):
        lab.stage([{"temperature": 1}])
    assert dispatch.relay(lab.store, lab.publisher) == []


def test_subscribers_know_what_can_be_claimed(lab: Lab) -> None:
    lab.queue(max_attempts=1)
    lab.campaign()
    one, two, three, four, five = (each.id for each in lab.stage(5))
    proposed = lab.stage_one(propose=True).id

    def known() -> list[int]:
        dispatch.relay(lab.store, lab.publisher)
        return announced(lab)

    assert known() == [one, two, three, four, five]
    lab.cancel(one)
    assert known() == [two, three, four, five]
    lab.report(two)
    assert known() == [three, four, five]
    review.approve(lab.store, proposed, PERSON)
    assert known() == [three, four, five, proposed]
    steer.pause_campaign(lab.store, "snar", "", PERSON)
    assert known() == []
    steer.resume_campaign(lab.store, "snar", "", PERSON)
    assert known() == [three, four, five, proposed]
    held = lab.take()
    lab.fail(held.lease)
    review.replay(lab.store, held.experiment.id, "", PERSON)
    assert held.experiment.id in known()
    steer.finish_campaign(lab.store, "snar", "", PERSON)
    assert known() == []


def test_what_comes_back_is_announced_again(lab: Lab) -> None:
    lab.queue(on_lost="requeue")
    lab.campaign()
    lab.stage(2)
    released, lost = lab.hold(), lab.take()
    dispatch.relay(lab.store, lab.publisher)
    before = len(lab.publisher.entries("bench"))
    lab.release(released.lease)
    lab.lose(lost)
    dispatch.relay(lab.store, lab.publisher)
    told = [entry.body["experiments"][0]["id"] for entry in lab.publisher.entries("bench")[before:]]
    assert told == [released.experiment.id, lost.experiment.id]


@pytest.mark.parametrize("loss", ["flush", "restart"])
def test_what_a_queue_holds_is_published_again_in_its_stored_order(lab: Lab, loss: str) -> None:
    lab.campaign()
    lab.stage(3)
    lab.stage(1, priority=9)
    lab.take()
    dispatch.relay(lab.store, lab.publisher)
    lab.publisher.streams.clear()
    getattr(lab.publisher, loss)()
    dispatch.relay(lab.store, lab.publisher)
    order = announced(lab)
    assert order == [each.experiment.id for each in lab.claim(max=9).assignments]
    assert len(order) == 3


def test_while_redis_is_away_nothing_is_lost(lab: Lab) -> None:
    lab.campaign()
    dispatch.relay(lab.store, lab.publisher)
    lab.publisher.go_away()
    staged = lab.stage(2)
    with pytest.raises(UnavailableError):
        dispatch.relay(lab.store, lab.publisher)
    assert len(lab.claim().assignments) == 1, "claims go on"
    lab.publisher.come_back()
    dispatch.relay(lab.store, lab.publisher)
    assert announced(lab) == [each.id for each in staged]


def test_a_relay_that_dies_in_the_middle_publishes_again(lab: Lab) -> None:
    lab.campaign()
    dispatch.relay(lab.store, lab.publisher)
    staged = lab.stage_one()
    publish = lab.publisher.publish

    def dies(entries: Any, epoch: str) -> None:
        publish(entries, epoch)
        raise UnavailableError("the connection broke")

    lab.publisher.publish = dies  # type: ignore[method-assign]
    with pytest.raises(UnavailableError):
        dispatch.relay(lab.store, lab.publisher)
    lab.publisher.publish = publish  # type: ignore[method-assign]
    dispatch.relay(lab.store, lab.publisher)
    assert announced(lab) == [staged.id], "twice is harmless: a claim decides"


def test_events_are_numbered_without_a_gap_and_name_their_actor(lab: Lab) -> None:
    lab.campaign()
    lab.stage(3)
    first = lab.number()
    lab.complete(lab.take())
    second = lab.number()
    assert [each.number for each in first + second] == list(range(1, len(first + second) + 1))
    assert lab.number() == []
    assert all(each.actor for each in first + second)
    assert [each.type for each in second] == ["experiment.claimed", "experiment.started", "experiment.result"]
    assert {each.actor for each in second} == {"adapter:hplc"}


def test_a_data_revision_is_the_number_of_the_event_that_taught(lab: Lab) -> None:
    lab.campaign()
    lab.stage(3)
    lab.report(1)
    lab.report(1)
    lab.report(2, {}, outcome="suspect")
    lab.report(3, {"yield": "?"})
    taught = [each for each in lab.events("experiment.result") if each.teaches]
    assert [each.experiment_id for each in taught] == [1, 1], "a value, and another beside it"
    assert (lab.known().data_revision, lab.known().accepted) == (taught[1].number, 1)
