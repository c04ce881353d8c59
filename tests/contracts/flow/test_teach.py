"""teach: a learner of the user's own chooses what is run, and learns, when it should."""

from __future__ import annotations

import pytest
from flow_lab import PERSON, Lab, point
from teaching_lab import Pupil, campaign, commands, measure, staged

from labqueue.errors import ConflictError
from labqueue.states import State
from services.flow import awaiting, define, inquire, steer
from services.flow.asking import FAILURES


def test_the_learner_fills_the_queue_and_says_why(lab: Lab) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    work = pupil.work("suggest")
    assert work.job.work["count"] == 2 and work.job.work["pending"] == [] and work.model is None
    expected = {"yield": {"mean": 0.8, "sd": 0.1}}
    first, second = pupil.give(
        work,
        [pupil.candidate(reason="the forest disagrees most there", expected=expected), pupil.candidate()],
    )
    assert (first.state, first.origin, first.reason) == (
        State.STAGED,
        "suggester",
        "the forest disagrees most there",
    )
    assert first.expected == expected and second.reason == "the learner mine chose it"
    assert pupil.nothing() == "Nothing is due."


def test_what_is_in_flight_is_pending_and_what_is_staged_may_be_kept(lab: Lab) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    pupil.suggest()
    held = lab.take()
    lab.number()
    work = pupil.work("suggest")
    assert held.experiment.planned in work.job.work["pending"]
    assert work.job.work["count"] == 1, "without a new result the staged one stays as it is"


def test_a_new_state_renews_what_nobody_claimed_and_an_equal_point_stays_the_same_experiment(
    lab: Lab,
) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    pupil.suggest()
    measure(lab)
    lesson = pupil.work("train")
    assert lesson.job.work["rows"] == 1
    assert pupil.learn(lesson) == 1
    work = pupil.work("suggest")
    assert work.model is not None and work.model.version == 1
    [old] = [each for each in staged(lab)]
    assert (work.job.work["count"], work.job.work["staged"]) == (2, [old.id])
    new = pupil.give(work, [pupil.candidate(), {"parameters": dict(old.planned)}])
    assert len(new) == 1 and lab.state(old.id) is State.STAGED
    assert {each.model_version for each in staged(lab)} == {1}
    assert pupil.nothing() == "Nothing is due."


def test_a_learner_without_a_state_is_never_asked_to_train_and_renews_at_each_result(lab: Lab) -> None:
    campaign(lab)
    pupil = Pupil(lab, trains=False)
    pupil.suggest()
    measure(lab)
    [old] = staged(lab)
    work = pupil.work("suggest")
    assert work.job.work["staged"] == [old.id] and work.job.work["rows"] == 1
    pupil.give(work)
    assert lab.state(old.id) is State.SUPERSEDED
    assert pupil.nothing() == "Nothing is due."


def test_an_empty_queue_is_filled_before_anything_is_learnt(lab: Lab) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    pupil.suggest()
    measure(lab, 2)
    pupil.suggest()
    assert pupil.work("train").job.work["rows"] == 2


def test_the_initial_design_comes_first_and_is_ours(lab: Lab) -> None:
    mine = campaign(lab, initial=3, depth=2)
    pupil = Pupil(lab)
    assert "initial design comes first: 3" in pupil.nothing()
    assert commands(lab) == {"suggest"}
    assert [each.origin for each in lab.suggest(mine)] == ["design"] * 2
    measure(lab, 2)
    assert [each.origin for each in lab.suggest(mine)] == ["design"], "no more than the design has"
    assert commands(lab) == set() and lab.suggest(mine) == []
    pupil.learn(pupil.work("train"))
    assert [each.origin for each in pupil.suggest()] == ["suggester"]


def test_a_design_that_has_fewer_points_than_it_should_is_over_all_the_same(lab: Lab) -> None:
    mine = campaign(lab, initial=5, depth=2)
    pupil = Pupil(lab)
    lab.learner.most = 1
    assert len(lab.suggest(mine)) == 1, "the constraints leave it a single point"
    measure(lab)
    assert len(pupil.suggest()) == 2
    measure(lab, 2)
    assert lab.suggest(mine) == [] and lab.known().state == "active"
    assert len(pupil.suggest()) == 2, "and so it stays"


def test_a_space_is_used_up_only_where_who_stands_in_finds_nothing_either(lab: Lab) -> None:
    mine = campaign(lab)
    pupil = Pupil(lab)
    for _ in range(FAILURES):
        pupil.fail(pupil.work("suggest"), "no point is left")
    assert lab.known().state == "active"
    lab.learner.most = 0
    assert lab.suggest(mine) == []
    assert lab.known().state == "finished" and "no further point" in lab.known().reason


def test_who_waits_for_a_training_hears_of_the_learners(lab: Lab) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    pupil.suggest()
    measure(lab)
    waiting = awaiting.await_training(lab.store, lab.ids, "snar", PERSON)
    assert waiting.state == "open"
    pupil.learn(pupil.work("train"))
    with lab.store.begin() as tx:
        found = tx.inquiries.get(waiting.id)
    assert found is not None and found.state == "answered" and found.answer["model_version"] == 1
    pupil.suggest()
    measure(lab)
    waiting = awaiting.await_training(lab.store, lab.ids, "snar", PERSON)
    pupil.fail(pupil.work("train"), "no descent")
    with lab.store.begin() as tx:
        found = tx.inquiries.get(waiting.id)
    assert found is not None and found.state == "failed" and "no descent" in found.message


def test_one_after_the_other_waits_until_every_result_was_learnt(lab: Lab) -> None:
    campaign(lab, mode="sequential")
    pupil = Pupil(lab)
    assert len(pupil.suggest()) == 1
    assert pupil.nothing() == "Nothing is due."
    measure(lab)
    pupil.learn(pupil.work("train"))
    assert len(pupil.suggest()) == 1


def test_approval_is_asked_for_where_the_strategy_says_so(lab: Lab) -> None:
    campaign(lab, approve=True)
    assert {each.state for each in Pupil(lab).suggest()} == {State.PROPOSED}


def test_a_budget_is_not_exceeded(lab: Lab) -> None:
    campaign(lab, depth=4, stop={"budget": 3})
    assert len(Pupil(lab).suggest()) == 3


@pytest.mark.parametrize("obstacle", ["paused", "finished", "bayesian", "another name"])
def test_why_there_is_no_work_is_said(lab: Lab, obstacle: str) -> None:
    campaign(lab)
    pupil = Pupil(lab, name="other" if obstacle == "another name" else "")
    if obstacle == "another name":
        with pytest.raises(ConflictError, match="is called 'mine', not 'other'"):
            pupil.ask()
        return
    if obstacle == "bayesian":
        define.change_strategy(lab.store, "snar", {"method": "bayesian"}, "", PERSON)
    else:
        turn = steer.pause_campaign if obstacle == "paused" else steer.finish_campaign
        turn(lab.store, "snar", "", PERSON)
    assert obstacle in pupil.nothing()


def test_what_the_model_says_is_not_asked_of_us(lab: Lab) -> None:
    campaign(lab)
    with pytest.raises(ConflictError, match="learner mine"):
        inquire.ask(lab.store, lab.ids, "snar", "predict", {"points": [point(1)]}, PERSON)
