"""notify: webhooks hear of numbered events in order, at least once, signed."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from flow_lab import PERSON, Lab

from labqueue.errors import InvalidError, NotFoundError, UnavailableError
from models.domain import records as r
from services.flow import notify
from services.flow.due import Command, due


class FakeCourier:
    """Answers with `status`; None: nobody is there."""

    def __init__(self) -> None:
        self.status: int | None = 204
        self.posted: list[tuple[str, bytes, str]] = []

    def post(self, url: str, body: bytes, signature: str) -> int:
        if self.status is None:
            raise UnavailableError("nobody is there")
        self.posted.append((url, body, signature))
        return self.status

    @property
    def types(self) -> list[str]:
        return [each["type"] for _, body, _ in self.posted for each in json.loads(body)["events"]]


def hook(lab: Lab, *types: str, campaign: str | None = None) -> r.Webhook:
    lab.number()
    return notify.add_webhook(lab.store, lab.ids, "http://lims.example/in", types, campaign, PERSON)


def test_events_come_in_order_once_and_signed(lab: Lab) -> None:
    lab.campaign()
    added, courier = hook(lab, "experiment."), FakeCourier()
    lab.stage_one()
    lab.report(1)
    lab.number()
    assert notify.deliver(lab.store, courier, added.id) == 2
    assert courier.types == ["experiment.staged", "experiment.result"]
    url, body, signature = courier.posted[0]
    assert url == "http://lims.example/in"
    expected = hmac.new(added.secret.encode(), body, hashlib.sha256).hexdigest()
    assert signature == f"sha256={expected}"
    numbers = [each["number"] for each in json.loads(body)["events"]]
    assert numbers == sorted(numbers)
    assert notify.deliver(lab.store, courier, added.id) == 0
    assert len(courier.posted) == 1


def test_it_hears_only_what_it_asked_for(lab: Lab) -> None:
    lab.campaign()
    lab.campaign("other")
    one = hook(lab, "experiment.result")
    other = hook(lab, campaign="other")
    lab.report(lab.stage_one().id)
    lab.stage_one(campaign="other")
    lab.number()
    courier = FakeCourier()
    notify.deliver(lab.store, courier, one.id)
    assert courier.types == ["experiment.result"]
    courier = FakeCourier()
    notify.deliver(lab.store, courier, other.id)
    assert courier.types == ["experiment.staged"]


def test_a_hook_that_nothing_concerns_is_not_due_for_ever(lab: Lab) -> None:
    lab.campaign()
    lab.campaign("other")
    quiet = hook(lab, campaign="other")
    lab.stage(3)
    lab.number()
    command = Command("notify", str(quiet.id))
    assert command in due(lab.store)
    assert notify.deliver(lab.store, FakeCourier(), quiet.id) == 0
    lab.elapse(60)
    assert command not in due(lab.store)


@pytest.mark.parametrize("status", [500, 404, 302, None])
def test_a_delivery_that_fails_is_tried_again_later_and_later(lab: Lab, status: int | None) -> None:
    lab.campaign()
    added, courier = hook(lab, "experiment."), FakeCourier()
    lab.stage_one()
    lab.number()
    courier.status = status
    command = Command("notify", str(added.id))
    assert notify.deliver(lab.store, courier, added.id) == 0
    assert command not in due(lab.store)
    lab.elapse(11)
    assert command in due(lab.store)
    assert notify.deliver(lab.store, courier, added.id) == 0
    lab.elapse(11)
    assert command not in due(lab.store), "twice as long"
    lab.elapse(10)
    courier.status = 200
    assert command in due(lab.store)
    assert notify.deliver(lab.store, courier, added.id) == 1
    with lab.store.begin() as tx:
        assert tx.webhooks.all()[0].failures == 0


def test_many_events_come_in_parts(lab: Lab) -> None:
    lab.campaign()
    added, courier = hook(lab), FakeCourier()
    lab.stage(notify.BATCH + 20)
    lab.number()
    total = 0
    while count := notify.deliver(lab.store, courier, added.id):
        total += count
    assert total == notify.BATCH + 21  # and webhook.added
    assert len(courier.posted) == 2


@pytest.mark.parametrize(
    "url", ["ftp://a/b", "lims.example", "http://", "https://user:secret@lims.example/", ""]
)
def test_a_url_that_cannot_be_called(lab: Lab, url: str) -> None:
    with pytest.raises(InvalidError, match="url"):
        notify.add_webhook(lab.store, lab.ids, url, (), None, PERSON)


def test_an_unknown_campaign_and_an_unknown_hook(lab: Lab) -> None:
    with pytest.raises(NotFoundError):
        notify.add_webhook(lab.store, lab.ids, "http://a/b", (), "nowhere", PERSON)
    assert notify.deliver(lab.store, FakeCourier(), lab.ids.uuid()) == 0
