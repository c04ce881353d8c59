"""teach: a learner of the user's own is leased its work, versioned, stood in for, and asked again."""

from __future__ import annotations

import pytest
from flow_lab import PERSON, Lab, point
from teaching_lab import NAME, Pupil, campaign, commands, measure, seat, staged

from labqueue.errors import ConflictError, InvalidError, LeaseLostError
from labqueue.states import State
from services.flow import awaiting, define, inquire, steer, teach
from services.flow.asking import FAILURES, REST, SILENT
from services.flow.holding import LEASE

# Choosing


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
    assert lab.known().state == "finished" and "used up" in lab.known().reason


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


# Leases


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


# Standing in


def test_a_learner_that_never_came_is_stood_in_for_after_a_while(lab: Lab) -> None:
    mine = campaign(lab)
    assert lab.suggest(mine) == [] and commands(lab) == set(), "it may be on its way"
    lab.elapse(SILENT + 1)
    assert commands(lab) == {"suggest"}
    first, _ = lab.suggest(mine)
    assert first.reason.startswith("in place of the learner mine, which has not reported yet: number 1 of")


def test_silence_brings_the_fallback_and_the_learner_takes_over_again(lab: Lab) -> None:
    mine = campaign(lab, fallback="bayesian", depth=3, initial=1)
    pupil = Pupil(lab)
    lab.suggest(mine)
    pupil.suggest()
    measure(lab, 3)
    lab.elapse(SILENT + 1)
    assert commands(lab) == {"train", "suggest"}
    assert lab.train(mine) == 1
    own = lab.suggest(mine)
    assert len(own) == 3 and {each.model_version for each in own} == {1}
    assert all(each.reason.startswith("in place of the learner mine, silent for 21 s: ") for each in own)
    assert own[0].reason.endswith("the model expects the most of it")
    back = Pupil(lab, "p2")
    lesson = back.work("train")
    assert lesson.model is None, "a model of ours says nothing to it"
    assert back.learn(lesson) == 2
    new = back.give(back.work("suggest"))
    assert len(new) == 3 and {lab.state(each.id) for each in own} == {State.SUPERSEDED}
    assert commands(lab) == set()


def test_what_the_fallback_keeps_says_so_too(lab: Lab) -> None:
    mine = campaign(lab, fallback="bayesian", depth=3)
    Pupil(lab).suggest()
    measure(lab, 3)
    lab.elapse(SILENT + 1)
    lab.train(mine)
    first = lab.suggest(mine)
    measure(lab)
    lab.train(mine)
    lab.learner.order = [1, 0, None]
    lab.suggest(mine)
    now = staged(lab)
    assert {each.id for each in now} > {each.id for each in first[1:]}, "two of them are kept"
    assert {each.model_version for each in now} == {2}
    assert all(each.reason.startswith("in place of the learner mine, silent for 21 s: ") for each in now)


def test_a_deadline_that_passes_brings_the_fallback_at_once(lab: Lab) -> None:
    mine = campaign(lab, deadline=5.0)
    pupil = Pupil(lab)
    work = pupil.work("suggest")
    lab.elapse(2)
    teach.renew(lab.store, "snar", work.lease)
    lab.elapse(2)
    assert commands(lab) == set() and lab.suggest(mine) == []
    lab.elapse(1.5)
    assert commands(lab) == {"suggest"}
    told = seat(lab)
    assert (told.failures, told.error) == (1, "did not answer within its deadline of 5 s")
    first, _ = lab.suggest(mine)
    words = "in place of the learner mine, which did not answer within its deadline of 5 s: "
    assert first.reason.startswith(words)
    lab.take()
    [next_one] = lab.suggest(mine)
    assert next_one.reason.startswith(words), "nothing was heard of it since"
    with pytest.raises(LeaseLostError):
        teach.renew(lab.store, "snar", work.lease)
    with pytest.raises(LeaseLostError):
        pupil.give(work)
    assert seat(lab).failures == 1 and len(lab.events("suggestion.failed")) == 1
    lab.take()
    assert lab.suggest(mine) == [], "it is there again, and asked"
    assert len(pupil.suggest()) == 1
    assert (seat(lab).failures, seat(lab).error) == (0, "")


def test_a_worker_ends_what_is_late_without_the_janitor(lab: Lab) -> None:
    mine = campaign(lab, deadline=5.0)
    pupil = Pupil(lab)
    work = pupil.work("suggest")
    lab.elapse(5.5)
    assert len(lab.suggest(mine)) == 2 and seat(lab).failures == 1
    with pytest.raises(LeaseLostError):
        pupil.give(work)


def test_a_process_that_asks_again_after_its_deadline_is_given_new_work(lab: Lab) -> None:
    campaign(lab, deadline=5.0)
    pupil = Pupil(lab)
    work = pupil.work("suggest")
    lab.elapse(5.5)
    again = pupil.work("suggest")
    assert again.lease != work.lease and seat(lab).failures == 1
    assert len(pupil.give(again)) == 2


def test_three_failures_bring_the_fallback_for_a_while(lab: Lab) -> None:
    mine = campaign(lab)
    pupil = Pupil(lab)
    for _ in range(FAILURES):
        assert lab.suggest(mine) == []
        pupil.fail(pupil.work("suggest"))
    why = "failed 3 times in a row (the last: ValueError: singular)"
    assert why in pupil.nothing()
    assert commands(lab) == {"suggest"}
    first, _ = lab.suggest(mine)
    assert why in first.reason
    lab.take()
    lab.elapse(REST + 1)
    assert len(pupil.suggest()) == 1, "it is asked again"
    assert seat(lab).failures == 0


def test_a_new_process_is_asked_at_once(lab: Lab) -> None:
    campaign(lab)
    pupil = Pupil(lab)
    for _ in range(FAILURES):
        pupil.fail(pupil.work("suggest"))
    teach.leave(lab.store, "snar", "p1")
    assert len(Pupil(lab, "p2").suggest()) == 2


def test_processes_that_die_of_the_question_one_after_the_other_are_failures_too(lab: Lab) -> None:
    mine = campaign(lab)
    for number in range(FAILURES + 1):
        pupil = Pupil(lab, f"p{number}")
        if number == FAILURES:
            assert "failed 3 times" in pupil.nothing()
        else:
            pupil.work("suggest")
            lab.elapse(SILENT + 1)
    assert len(lab.suggest(mine)) == 2


def test_so_are_those_that_miss_the_deadline_and_die(lab: Lab) -> None:
    campaign(lab, deadline=5.0)
    for number in range(FAILURES):
        Pupil(lab, f"p{number}").work("suggest")
        lab.elapse(5.5)
        commands(lab)
        lab.elapse(SILENT)
    assert "failed 3 times" in Pupil(lab, "last").nothing()


def test_what_suggesting_failed_with_is_told_until_a_suggestion_succeeds(lab: Lab) -> None:
    campaign(lab)
    first = Pupil(lab)
    first.fail(first.work("suggest"))
    teach.leave(lab.store, "snar", "p1")
    second = Pupil(lab, "p2")
    work = second.work("suggest")
    assert (seat(lab).failures, seat(lab).error) == (0, "ValueError: singular")
    second.give(work)
    assert seat(lab).error == ""


def test_a_training_that_takes_long_leaves_no_instrument_without_work(lab: Lab) -> None:
    mine = campaign(lab, deadline=30.0)
    pupil = Pupil(lab)
    pupil.suggest()
    measure(lab)
    work = pupil.work("train")
    for _ in range(4):
        lab.elapse(10)
        teach.renew(lab.store, "snar", work.lease)
    assert lab.suggest(mine) == [], "one is staged"
    lab.take()
    first, *_ = lab.suggest(mine)
    assert "still training after 4" in first.reason
    assert pupil.learn(work) == 1


def test_models_of_both_kinds_stand_side_by_side(lab: Lab) -> None:
    """Ours trains when it stands in, whatever the learner has seen, and the other way round."""
    mine = campaign(lab, fallback="bayesian", depth=3)
    pupil = Pupil(lab)
    pupil.suggest()
    measure(lab, 3)
    pupil.suggest()
    assert pupil.learn(pupil.work("train")) == 1
    lab.elapse(SILENT + 1)
    assert lab.train(mine) == 2, "the learner's state is of no use to us"
    assert lab.train(mine) is None
    back = Pupil(lab, "p2")
    assert [each.model_version for each in back.suggest()] == [] or back.nothing()


def test_what_the_model_says_is_not_asked_of_us(lab: Lab) -> None:
    campaign(lab)
    with pytest.raises(ConflictError, match="learner mine"):
        inquire.ask(lab.store, lab.ids, "snar", "predict", {"points": [point(1)]}, PERSON)
