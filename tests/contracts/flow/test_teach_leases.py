"""teach: one process of a learner at a time has the work, for as long as it renews its lease and no longer."""

from __future__ import annotations

import pytest
from flow_lab import PERSON, Lab
from teaching_lab import NAME, Pupil, campaign, commands, measure, seat

from labqueue.errors import InvalidError, LeaseLostError
from labqueue.states import State
from services.flow import define, steer, teach
from services.flow.asking import SILENT
from services.flow.holding import LEASE


def test_the_same_process_is_given_the_same_work_again(lab: Lab) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    work = pupil.work("suggest")
    assert pupil.work("suggest").lease == work.lease
    assert pupil.work("suggest").job.work == work.job.work


def test_two_of_a_name_one_works_and_the_other_stands_by(lab: Lab) -> None:
    campaign(lab)
    first, second = Pupil(lab, "p1"), Pupil(lab, "p2")
    work = first.work("suggest")
    assert "stands by" in second.nothing()
    teach.leave(lab.store, "snar", "p1")
    again = second.work("suggest")
    assert again.lease != work.lease
    with pytest.raises(LeaseLostError):
        first.give(work)
    assert "stands by" in first.nothing()
    assert len(second.give(again)) == 2


def test_a_question_that_still_waits_does_not_bring_back_a_process_that_left(lab: Lab) -> None:
    campaign(lab)
    first, second = Pupil(lab, "p1"), Pupil(lab, "p2")
    first.suggest()
    assert first.nothing() == "Nothing is due."
    teach.leave(lab.store, "snar", "p1")
    assert first.ask(sat=True) == "This process has left."
    assert second.nothing() == "Nothing is due.", "the seat is free"
    teach.leave(lab.store, "snar", "p2")
    assert first.ask(sat=False) == "Nothing is due.", "a question of its own brings it back"


def test_a_process_that_died_is_followed_by_the_next_and_nothing_is_lost(lab: Lab) -> None:
    campaign(lab)
    first, second = Pupil(lab, "p1"), Pupil(lab, "p2")
    work = first.work("suggest")
    assert "stands by" in second.nothing()
    lab.elapse(SILENT + 1)
    assert len(second.give(second.work("suggest"))) == 2
    with pytest.raises(LeaseLostError):
        first.give(work)
    assert lab.states() == {State.STAGED: 2}
    assert seat(lab).failures == 0, "it answered since"


def test_a_lease_is_kept_as_long_as_it_is_renewed(lab: Lab) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    pupil.suggest()
    measure(lab)
    work = pupil.work("train")
    for _ in range(20):
        lab.elapse(LEASE - 1)
        teach.renew(lab.store, "snar", work.lease)
    assert "stands by" in Pupil(lab, "p2").nothing()
    assert pupil.learn(work) == 1


def test_a_suggestion_is_not_renewed_beyond_the_strategys_deadline(lab: Lab) -> None:
    mine = campaign(lab, deadline=30.0)
    pupil = Pupil(lab)
    work = pupil.work("suggest")
    for _ in range(3):
        lab.elapse(9)
        teach.renew(lab.store, "snar", work.lease)
    lab.elapse(9)
    with pytest.raises(LeaseLostError, match="may take 30 s"):
        teach.renew(lab.store, "snar", work.lease)
    lab.elapse(SILENT)
    assert len(lab.suggest(mine)) == 2, "our workers stand in"
    with pytest.raises(LeaseLostError):
        pupil.give(work)
    assert seat(lab).failures == 1 and lab.states() == {State.STAGED: 2}


def test_an_answer_after_the_lease_is_welcome_while_nobody_else_has_the_work(lab: Lab) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    work = pupil.work("suggest")
    lab.elapse(LEASE + 3)
    assert len(pupil.give(work)) == 2


def test_the_same_answer_twice_is_one_effect(lab: Lab) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    work = pupil.work("suggest")
    answer = [pupil.candidate(), pupil.candidate()]
    assert len(pupil.give(work, answer)) == 2 and pupil.give(work, answer) == []
    assert lab.states() == {State.STAGED: 2}
    measure(lab)
    lesson = pupil.work("train")
    assert pupil.learn(lesson) == 1 and pupil.learn(lesson) == 1
    assert lab.known().model_version == 1


def test_work_that_was_given_back_is_given_out_again_and_is_no_failure(lab: Lab) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    work = pupil.work("suggest")
    teach.give_back(lab.store, "snar", work.lease)
    with pytest.raises(LeaseLostError):
        pupil.give(work)
    again = pupil.work("suggest")
    assert again.lease != work.lease and seat(lab).failures in (0, 1)
    assert lab.events("suggestion.failed") == []


@pytest.mark.parametrize("lease", ["suggest.99", "train.1", "suggest.x", "nothing", "suggest.", "suggest.-1"])
def test_a_lease_that_is_none_is_refused(lab: Lab, lease: str) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    pupil.work("suggest")
    with pytest.raises((LeaseLostError, InvalidError)):
        teach.renew(lab.store, "snar", lease)
    with pytest.raises((LeaseLostError, InvalidError)):
        teach.fail(lab.store, "snar", lease, "")
    assert lab.job(lab.known(), "suggest").holder == "p1"


def test_a_worker_of_ours_cannot_take_what_the_learner_is_asked(lab: Lab) -> None:
    mine = campaign(lab)
    pupil = Pupil(lab)
    work = pupil.work("suggest")
    assert lab.suggest(mine) == [] and lab.train(mine) is None and commands(lab) == set()
    assert len(pupil.give(work)) == 2


def test_a_campaign_that_was_paused_meanwhile_gets_nothing(lab: Lab) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    work = pupil.work("suggest")
    steer.pause_campaign(lab.store, "snar", "", PERSON)
    assert pupil.give(work) == [] and lab.states() == {}
    steer.resume_campaign(lab.store, "snar", "", PERSON)
    assert len(pupil.suggest()) == 2


def test_a_strategy_that_was_changed_meanwhile_is_followed(lab: Lab) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    work = pupil.work("suggest")
    new = {"method": "learner", "learner": NAME, "initial": 0, "depth": 1}
    define.change_strategy(lab.store, "snar", new, "", PERSON)
    assert pupil.give(work) == [] and lab.states() == {}
    assert len(pupil.suggest()) == 1
