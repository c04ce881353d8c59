"""due: the commands that workers should hear, read off the database, again where they were lost."""

from __future__ import annotations

import pytest
from fake_faults import Killed, killed
from flow_lab import PERSON, Lab, point

from models.domain import records as r
from services.flow import steer
from services.flow.due import Command, due
from services.flow.holding import LEASE


def names(lab: Lab, campaign: r.Campaign) -> list[str]:
    return [each.name for each in due(lab.store) if each.argument == campaign.id]


def test_an_empty_queue_wants_a_suggestion_and_says_so_once_in_a_while(lab: Lab) -> None:
    campaign = lab.campaign(method="design")
    assert due(lab.store) == [Command("suggest", campaign.id)]
    assert due(lab.store) == []
    lab.elapse(6)
    assert due(lab.store) == [Command("suggest", campaign.id)]
    lab.suggest(campaign)
    lab.elapse(6)
    assert due(lab.store) == []


def test_while_commands_wait_for_a_worker_none_takes_their_turn_a_second_time(lab: Lab) -> None:
    busy, late = lab.campaign(method="design"), lab.campaign("late", method="design")
    assert {each.argument for each in due(lab.store)} == {busy.id, late.id}
    lab.elapse(6)
    assert due(lab.store, waiting=["suggest"]) == []
    assert len(due(lab.store, waiting=["train"])) == 2, "nobody has those: they were lost"
    lab.elapse(61)
    assert len(due(lab.store, waiting=["suggest"])) == 2, "one may have died with its worker"


def test_results_want_a_training_and_a_new_model_a_suggestion(lab: Lab) -> None:
    campaign = lab.campaign(method="bayesian", depth=2, initial=3)
    for number in range(3):
        lab.report(lab.stage([point(number)])[0].id)
    assert names(lab, campaign) == ["suggest"], "nothing is numbered yet"
    lab.number()
    assert names(lab, campaign) == ["train"]
    lab.suggest(campaign)
    lab.train(campaign)
    lab.elapse(6)
    assert names(lab, campaign) == []
    for number in range(4):
        lab.report(lab.stage([point(10 + number)])[0].id)
    lab.number()
    lab.train(campaign)
    lab.suggest(campaign)
    assert names(lab, campaign) == []


def test_nothing_is_sent_while_somebody_is_at_it_and_again_when_he_died(lab: Lab) -> None:
    campaign = lab.campaign(method="design")
    lab.learner.meanwhile = killed
    with pytest.raises(Killed):
        lab.suggest(campaign)
    lab.elapse(LEASE / 2)
    assert due(lab.store) == []
    lab.elapse(LEASE)
    assert names(lab, campaign) == ["suggest"]


def test_paused_and_finished_campaigns_want_nothing(lab: Lab) -> None:
    campaign = lab.campaign(method="design")
    steer.pause_campaign(lab.store, "snar", "", PERSON)
    assert due(lab.store) == []
    steer.resume_campaign(lab.store, "snar", "", PERSON)
    assert names(lab, campaign) == ["suggest"]
    steer.finish_campaign(lab.store, "snar", "", PERSON)
    lab.elapse(6)
    assert due(lab.store) == []


def test_a_failure_is_tried_again_after_a_while(lab: Lab) -> None:
    campaign = lab.campaign(method="design")

    def fails() -> None:
        raise ValueError("no descent")

    lab.learner.meanwhile = fails
    lab.suggest(campaign)
    assert due(lab.store) == []
    lab.elapse(6)
    assert names(lab, campaign) == ["suggest"]
