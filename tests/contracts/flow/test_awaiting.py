"""Waiting for a model that has seen what is known now: answered by whoever ends that training."""

from __future__ import annotations

import pytest
from flow_lab import PERSON, Lab, point
from learning_lab import modelled, relearn

from labqueue.errors import ConflictError, InvalidError
from models.domain import records as r
from services.flow import awaiting, inquire, steer
from services.flow.due import Command, due


def wait(lab: Lab, seconds: float = awaiting.SECONDS) -> r.Inquiry:
    return awaiting.await_training(lab.store, lab.ids, "snar", PERSON, seconds)


def now(lab: Lab, inquiry: r.Inquiry) -> r.Inquiry:
    with lab.store.begin() as tx:
        found = tx.inquiries.get(inquiry.id)
    assert found is not None
    return found


def taught(lab: Lab, results: int = 3) -> r.Campaign:
    campaign = lab.campaign(method="bayesian", depth=1, initial=1)
    for number in range(results):
        lab.report(lab.stage([point(number)])[0].id, {"yield": number / 10, "purity": 1.0})
    return campaign


def test_the_training_answers_with_its_version_and_metrics(lab: Lab) -> None:
    campaign = taught(lab)
    lab.learner.metrics = {"outputs": {"yield": {"rmse": 0.5}}}
    asked = wait(lab)
    assert asked.state == "open"
    assert lab.train(campaign) == 1
    done = now(lab, asked)
    assert done.state == "answered"
    assert (done.answer["model_version"], done.answer["rows"]) == (1, 3)
    assert done.answer["metrics"]["outputs"] == {"yield": {"rmse": 0.5}}
    assert done.answer["data_revision"] == lab.known().data_revision
    (event,) = lab.events("inquiry.answered")
    assert event.data["inquiry"] == str(asked.id)


def test_what_was_learnt_already_is_answered_at_once(lab: Lab) -> None:
    campaign = taught(lab)
    lab.number()
    lab.train(campaign)
    asked = wait(lab)
    assert asked.state == "answered" and asked.answer["model_version"] == 1


def test_a_result_without_a_number_is_known_too(lab: Lab) -> None:
    campaign = taught(lab)
    lab.number()
    lab.train(campaign)
    lab.report(lab.stage([point(9)])[0].id)
    assert wait(lab).state == "open", "no training has seen it"


def test_a_training_that_began_before_does_not_answer_for_what_came_since(lab: Lab) -> None:
    campaign = taught(lab)
    lab.number()
    asked: list[r.Inquiry] = []

    def one_more() -> None:
        asked.append(wait(lab))
        lab.report(lab.stage([point(9)])[0].id)
        asked.append(wait(lab))

    lab.learner.meanwhile = one_more
    assert lab.train(campaign) == 1
    assert [now(lab, each).state for each in asked] == ["answered", "open"]
    assert lab.train(campaign) == 2
    assert now(lab, asked[1]).answer["model_version"] == 2


def test_a_training_that_fails_is_an_answer(lab: Lab) -> None:
    campaign = taught(lab)
    asked = wait(lab)

    def fails() -> None:
        raise ValueError("singular")

    lab.learner.meanwhile = fails
    lab.train(campaign)
    assert (now(lab, asked).state, now(lab, asked).message) == ("failed", "ValueError: singular")
    with pytest.raises(ConflictError, match="nothing is new since then: ValueError: singular"):
        wait(lab)


def test_nobody_waits_for_a_training_that_is_not_to_come(lab: Lab) -> None:
    campaign = taught(lab, 2)
    with pytest.raises(ConflictError, match="A model needs 3 results; there are 2"):
        wait(lab)
    lab.report(lab.stage([point(4)])[0].id)
    steer.finish_campaign(lab.store, campaign.name, "", PERSON)
    with pytest.raises(ConflictError, match="has no model"):
        wait(lab)
    with pytest.raises(InvalidError, match="seconds"):
        wait(lab, 0)


def test_it_expires_and_is_no_command(lab: Lab) -> None:
    campaign = taught(lab)
    asked = wait(lab, 30)
    assert Command("inquire", str(asked.id)) not in due(lab.store)
    assert inquire.answer(lab.store, lab.learner, asked.id).state == "open", "a stray command changes nothing"
    lab.elapse(31)
    (expired,) = inquire.expire_inquiries(lab.store)
    assert expired.id == asked.id and "Is a trainer running?" in expired.message
    assert lab.train(campaign) == 1 and now(lab, asked).state == "expired"


def test_other_campaigns_trainings_say_nothing(lab: Lab) -> None:
    taught(lab)
    asked = wait(lab)
    other = lab.campaign("other", method="bayesian", depth=1, initial=1)
    for number in range(3):
        lab.report(lab.stage([point(number)], campaign="other")[0].id)
    lab.number()
    assert lab.train(other) == 1 and now(lab, asked).state == "open"


def test_three_results_that_could_not_be_run_are_too_few(lab: Lab) -> None:
    campaign = lab.campaign(method="bayesian", depth=1, initial=1)
    for number in range(4):
        lab.report(lab.stage([point(number)])[0].id, {}, outcome="infeasible")
    asked = wait(lab)
    assert lab.train(campaign) is None and lab.learner.fits == 0
    assert now(lab, asked).message == "There are too few results to train on."
    assert lab.events("model.failed") == [], "that is nobody's failure"
    for number in range(3):
        lab.report(lab.stage([point(10 + number)])[0].id)
    lab.number()
    assert lab.train(campaign) == 1


def test_a_later_model_answers_nobody_twice(lab: Lab) -> None:
    campaign, _ = modelled(lab)
    asked = wait(lab)
    assert asked.state == "answered"
    relearn(lab, campaign)
    assert now(lab, asked) == asked


def test_where_the_caller_chooses_a_model_is_trained_when_somebody_waits_for_it(lab: Lab) -> None:
    campaign = lab.campaign(method="caller")
    for number in range(3):
        lab.report(lab.stage([point(number)])[0].id)
    lab.number()
    assert due(lab.store) == [] and lab.train(campaign) is None, "nobody asked"
    asked = wait(lab)
    assert due(lab.store) == [Command("train", campaign.id)]
    assert lab.train(campaign) == 1 and now(lab, asked).state == "answered"
    lab.elapse(6)
    assert due(lab.store) == []
    assert wait(lab).state == "answered", "it knows everything"
