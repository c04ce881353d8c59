"""How deep a queue is staged where the strategy leaves it open: by who serves it and how long runs take."""

from __future__ import annotations

import pytest
from flow_lab import Lab
from learning_lab import modelled, relearn, staged

from labqueue.states import State
from models.domain.staging_depth import START
from services.flow import steer


def run_one(lab: Lab, seconds: float, instrument: str = "hplc") -> None:
    held = lab.take(instrument)
    for _ in range(int(seconds // 30)):
        lab.elapse(30)
        lab.beat(held.lease, instrument)
    lab.elapse(seconds % 30)
    lab.complete(held)
    lab.number()


def test_at_first_a_few_are_staged(lab: Lab) -> None:
    campaign = lab.campaign(method="design")
    assert len(lab.suggest(campaign)) == START


def test_one_instrument_of_long_runs_needs_one(lab: Lab) -> None:
    campaign = lab.campaign(method="design")
    lab.suggest(campaign)
    for _ in range(3):
        run_one(lab, 600)
    assert lab.suggest(campaign) == [] and len(staged(lab)) == 1
    lab.take()
    assert len(lab.suggest(campaign)) == 1


def test_every_live_instrument_finds_its_next_one(lab: Lab) -> None:
    campaign = lab.campaign(method="design")
    lab.suggest(campaign)
    for number in range(3):
        run_one(lab, 120, f"robot-{number}")
    lab.claim("robot-0")
    for number in range(3):
        lab.claim(f"robot-{number}", queue="bench")
    lab.suggest(campaign)
    assert len(staged(lab)) == 3
    steer.pause_instrument(lab.store, "robot-1", "leaks", "person:anna")
    lab.hold("robot-2")
    assert lab.suggest(campaign) == [], "two of them need two"


def test_an_instrument_that_asks_for_a_plate_finds_one(lab: Lab) -> None:
    campaign = lab.campaign(method="design", initial=24)
    assert lab.claim("reader", max=24, min=24, within=0).assignments == ()
    assert len(lab.suggest(campaign)) == 24
    assert len(lab.claim("reader", max=24, min=24).assignments) == 24


def test_short_runs_and_a_slow_model_need_more(lab: Lab) -> None:
    campaign, _ = modelled(lab, depth=None)
    for _ in range(3):
        run_one(lab, 5)
    lab.learner.meanwhile = lambda: lab.elapse(12)
    assert relearn(lab, campaign) == 2
    lab.suggest(campaign)
    assert len(staged(lab)) >= 3


def test_campaigns_that_feed_one_queue_share_its_instruments(lab: Lab) -> None:
    campaigns = [lab.campaign(name, method="design", initial=20) for name in ("snar", "other")]
    lab.suggest(campaigns[0])
    for _ in range(3):
        run_one(lab, 60)
    lab.claim("reader", max=8, min=8)
    lab.suggest(campaigns[0])
    # 1 of hplc and 8 of the reader, of which each campaign keeps a half.
    assert len(staged(lab)) == 5
    steer.finish_campaign(lab.store, "other", "", "person:anna")
    lab.suggest(campaigns[0])
    assert len(staged(lab)) == 9


@pytest.mark.parametrize("left", [0, 1])
def test_a_budget_is_never_exceeded_for_an_instruments_sake(lab: Lab, left: int) -> None:
    campaign = lab.campaign(method="design", stop={"budget": 4 + left})
    lab.suggest(campaign)
    lab.claim("reader", max=100)
    assert len(lab.suggest(campaign)) == left
    assert lab.states().get(State.LEASED) == 4


def test_an_ask_takes_no_longer_than_instruments_have_work_for(lab: Lab) -> None:
    campaign = lab.campaign(method="design", depth=2)
    lab.suggest(campaign)
    for _ in range(3):
        run_one(lab, 12)
        lab.suggest(campaign)
    lab.take()
    lab.suggest(campaign)
    assert lab.learner.snapshots[-1].deadline_seconds == pytest.approx(24, abs=1), "one runs, one waits"


def test_an_ask_has_a_deadline_but_not_where_points_must_repeat(lab: Lab) -> None:
    ahead = lab.campaign(method="design", deadline=7.5)
    lab.suggest(ahead)
    assert lab.learner.snapshots[-1].deadline_seconds == 7.5
    one_by_one = lab.campaign("other", method="design", mode="sequential", deadline=7.5)
    lab.suggest(one_by_one)
    assert lab.learner.snapshots[-1].deadline_seconds is None
